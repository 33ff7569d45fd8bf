//! Buffers that several parts of a program share.

use super::Lowering;
use crate::error::Result;
use crate::program::BufferId;

/// Scratch that several parts of a program share. It is made at its first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::program) enum Shared {
    /// The output of separate directions, before they are merged.
    Apart,
    /// The output of every other layer.
    Between(usize),
    /// The stand-in for an array that the model does not have.
    NoArray(usize),
}

impl Lowering<'_> {
    /// The buffer of that key, made at its first use.
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
