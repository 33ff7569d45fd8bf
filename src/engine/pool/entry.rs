//! What the host knows of one stream.

use super::id::StreamId;
use crate::error::{Error, Result, StreamFault};

/// A slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// The number of the stream that has it; 0 while it is free.
    pub(super) number: u64,
    /// The pool that opened the stream: this one, or the one that a snapshot was of.
    pub(super) pool: u32,
    /// Frames that wait, `[n, I]`.
    pub(super) queue: Vec<f32>,
    /// How many there are.
    pub(super) pending: usize,
    /// Whether the slot stands in the list of those that are ready; it may have lost its frames since.
    pub(super) listed: bool,
    /// Whether the states are zero, whatever stands on the device.
    pub(super) zero: bool,
    /// Ticks, one after the other, that had frames of it to take and did not come to it.
    pub(super) passed: u32,
    /// Frames that ticks have taken.
    pub(super) frames: u64,
    /// Frames that ticks have taken since the states were saved.
    pub(super) unsaved: u64,
    /// Whether what was saved is zero.
    pub(super) saved_zero: bool,
    /// Why it takes no frames.
    pub(super) isolated: Option<String>,
}

impl Entry {
    pub(super) fn is_open(&self) -> bool {
        self.number > 0
    }

    /// Its stream, it being in this slot.
    pub(super) fn id(&self, slot: u32) -> StreamId {
        StreamId::new(self.number, slot, self.pool)
    }

    /// # Errors
    /// [`Error::Stream`] where it, being of `stream`, takes no frames.
    pub(super) fn check_isolated(&self, stream: StreamId) -> Result<()> {
        let of = |pushed: &String| Error::Stream {
            stream: stream.number(),
            fault: StreamFault::Isolated { pushed: pushed.clone() },
        };
        self.isolated.as_ref().map_or(Ok(()), |pushed| Err(of(pushed)))
    }

    pub(super) fn seen(&self) -> Seen {
        Seen { frames: self.frames, isolated: self.isolated.is_some() }
    }
}

/// What a stream has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Frames that ticks have taken.
    pub(super) frames: u64,
    /// Whether it takes no more.
    pub(super) isolated: bool,
}
