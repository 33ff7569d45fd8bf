//! The host's data of one stream.

use super::id::StreamId;
use crate::error::{Error, Result, StreamFault};

/// A slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// The number of its stream; 0 while it is free.
    pub(super) number: u64,
    /// The pool that opened the stream: this one, or the one that a snapshot was of.
    pub(super) pool: u32,
    /// Queued frames, `[n, I]`.
    pub(super) queue: Vec<f32>,
    /// Their number.
    pub(super) pending: usize,
    /// Whether the slot is in the list of ready slots; it may have lost its frames since.
    pub(super) listed: bool,
    /// Whether the states are zero, whatever the device holds.
    pub(super) zero: bool,
    /// Consecutive ticks that had frames of it to take and did not take them.
    pub(super) passed: u32,
    /// Frames that ticks have taken.
    pub(super) frames: u64,
    /// Frames that ticks have taken since the states were saved.
    pub(super) unsaved: u64,
    /// Whether the saved states are zero.
    pub(super) saved_zero: bool,
    /// Why it takes no frames.
    pub(super) isolated: Option<String>,
}

impl Entry {
    pub(super) fn is_open(&self) -> bool {
        self.number > 0
    }

    /// Its stream's id, for the slot `slot`.
    pub(super) fn id(&self, slot: u32) -> StreamId {
        StreamId::new(self.number, slot, self.pool)
    }

    /// # Errors
    /// [`Error::Stream`] where it, as `stream`, takes no frames.
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

/// The progress of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Frames that ticks have taken.
    pub(super) frames: u64,
    /// Whether it is isolated and takes no more frames.
    pub(super) isolated: bool,
}
