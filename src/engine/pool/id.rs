//! The name of a stream.

use std::fmt;

/// A stream of one pool. It means nothing to another pool, but to one that was made from its snapshot, and nothing any more
/// once the stream is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    number: u64,
    slot: u32,
    /// Drawn by the pool, so that no two pools take each other's streams for their own.
    pool: u32,
}

impl StreamId {
    pub(super) fn new(number: u64, slot: u32, pool: u32) -> Self {
        Self { number, slot, pool }
    }

    /// The number of the stream, which no other of its pool has or had.
    pub fn number(self) -> u64 {
        self.number
    }

    pub(super) fn slot(self) -> usize {
        self.slot as usize
    }

    pub(super) fn pool(self) -> u32 {
        self.pool
    }
}

/// Its number.
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}
