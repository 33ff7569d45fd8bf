//! Buffers that several parts of a program have in common.

use super::Lowering;
use crate::error::Result;
use crate::program::BufferId;

/// Scratch that several parts of a program have in common: the first that asks makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::program) enum Shared {
    /// What layers write that make one of their directions, before they do.
    Apart,
    /// What every other layer writes.
    Between(usize),
    /// What is bound in the place of an array that there is not.
    NoArray(usize),
}

impl Lowering<'_> {
    /// The buffer of that key, which is made where it is not there yet.
    pub(in crate::program) fn shared(
        &mut self,
        key: Shared,
        make: impl FnOnce(&mut Self) -> Result<BufferId>,
    ) -> Result<BufferId> {
        if let Some(buffer) = self.shared.get(&key) {
            return Ok(*buffer);
        }
        let buffer = make(self)?;
        self.shared.insert(key, buffer);
        Ok(buffer)
    }
}
