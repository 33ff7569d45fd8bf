//! The name of a stream.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A stream of one pool. It is valid in the pool that opened it, and in a pool that was made from that pool's snapshot, until the
/// stream is closed.
///
/// A stream is identified by its number and the pool that opened it. The id also holds a slot, which is only a hint where the
/// pool looks first: ids that differ in the slot alone are equal. A pool that is made from a snapshot has its streams in other
/// slots, and finds them by number.
#[derive(Debug, Clone, Copy)]
pub struct StreamId {
    number: u64,
    /// A hint: the slot to try first.
    slot: u32,
    /// Drawn at random by the pool that opened it, so that no pool accepts another pool's streams.
    pool: u32,
}

impl StreamId {
    pub(super) fn new(number: u64, slot: u32, pool: u32) -> Self {
        Self { number, slot, pool }
    }

    /// The number of the stream, unique in its pool at all times. A pool that is made from a snapshot continues the numbering
    /// from the snapshot.
    pub fn number(self) -> u64 {
        self.number
    }

    pub(super) fn slot(self) -> usize {
        self.slot as usize
    }

    pub(super) fn pool(self) -> u32 {
        self.pool
    }

    /// What identifies the stream.
    fn key(self) -> (u64, u32) {
        (self.number, self.pool)
    }
}

impl PartialEq for StreamId {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for StreamId {}

impl Hash for StreamId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for StreamId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By number.
impl Ord for StreamId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Its number.
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}
