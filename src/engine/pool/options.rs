//! Options of a pool.

use std::path::PathBuf;

use crate::dims::at_least_one;
use crate::error::{Error, Result};

/// The most streams of a pool.
pub(super) const MOST: usize = 1 << 24;
/// The most frames that a tick takes of a stream.
const FRAMES: usize = 1 << 16;
/// The default limit on queued frames of a stream.
const QUEUE: usize = 1024;

/// What to do with a stream that is given NaN or an infinity. In both cases the push is an error that names the stream, the frame
/// and the feature, nothing of it is queued, and no other stream is affected.
///
/// This applies to frames. A state that leaves the range of f32 by itself makes the outputs of its own stream infinite or NaN
/// from then on, until [`super::Pool::reset`] or [`super::Pool::set_state`]; it affects no other stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NonFinite {
    /// The stream continues as if there had been no such push.
    #[default]
    Refuse,
    /// The stream takes no more frames until [`super::Pool::reset`] or [`super::Pool::set_state`], since a gap in its frames
    /// would give wrong numbers. Frames that were queued before are still computed.
    Isolate,
}

/// Options of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolOptions {
    /// Streams that the pool has room for at the start.
    pub capacity: usize,
    /// Streams that may be open at once. Where it is more than the capacity, the pool doubles when it is full.
    pub most: usize,
    /// The most frames that one tick takes of a stream: 16 by default, at most 65,536 or the device's limit, if that is lower.
    /// Further frames wait for the next tick.
    pub frames: usize,
    /// The most queued frames of a stream, 1,024 by default. A push beyond it is an error, so that the memory of a stream whose
    /// ticks do not keep up is bounded.
    pub queue: usize,
    /// What to do with a stream that is given NaN or an infinity.
    pub non_finite: NonFinite,
    /// Where and how often states are written to disk; never by default.
    pub snapshots: Option<Snapshots>,
}

/// Snapshots that a pool writes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshots {
    /// The file, which is replaced as a whole.
    pub path: PathBuf,
    /// Ticks between two snapshots.
    pub ticks: u64,
}

impl PoolOptions {
    const FRAMES: usize = 16;

    /// Room for exactly `capacity` streams.
    pub fn fixed(capacity: usize) -> Self {
        Self {
            capacity,
            most: capacity,
            frames: Self::FRAMES,
            queue: QUEUE,
            non_finite: NonFinite::default(),
            snapshots: None,
        }
    }

    /// Room for `capacity` streams at first; doubles whenever the pool is full, until the device refuses.
    pub fn growing(capacity: usize) -> Self {
        Self { most: MOST, ..Self::fixed(capacity) }
    }

    /// # Errors
    /// [`Error::Zero`] for a capacity or a number of frames or a queue of 0, [`Error::TooLarge`] for more than there may be.
    pub(super) fn checked(mut self) -> Result<Self> {
        at_least_one("capacity (streams)", self.capacity)?;
        at_least_one("frames a tick takes of a stream", self.frames)?;
        at_least_one("frames of a stream that may wait", self.queue)?;
        if self.capacity > MOST {
            return Err(Error::TooLarge {
                name: "capacity".into(),
                needed: self.capacity as u64,
                limit: MOST as u64,
                unit: "streams",
                device: "a pool".into(),
            });
        }
        self.most = self.most.clamp(self.capacity, MOST);
        self.frames = self.frames.min(FRAMES);
        Ok(self)
    }

    /// Sets [`PoolOptions::frames`].
    pub fn frames(mut self, frames: usize) -> Self {
        self.frames = frames;
        self
    }

    /// Sets [`PoolOptions::queue`]; `usize::MAX` for no limit.
    pub fn queue(mut self, frames: usize) -> Self {
        self.queue = frames;
        self
    }

    /// Sets [`PoolOptions::non_finite`].
    pub fn non_finite(mut self, non_finite: NonFinite) -> Self {
        self.non_finite = non_finite;
        self
    }

    /// Writes the states of all streams to the file `path` after every `ticks` ticks, before the next tick begins
    /// ([`super::Pool::snapshot`], [`super::Snapshot::write`]).
    ///
    /// The file is written on the thread that begins the tick, which waits for the disk, also where it polls
    /// [`super::Pool::tick_async`] or [`super::Pool::begin`]. In an executor that must not block, use
    /// [`super::Pool::snapshot_async`] instead, and write the snapshot on a thread of its own.
    ///
    /// If a snapshot cannot be written, the pool goes on: the reason is [`super::TickOutput::snapshot_error`],
    /// [`super::Pool::snapshots_failed`] counts it, and the next is tried after `ticks` more.
    pub fn snapshots(mut self, path: impl Into<PathBuf>, ticks: u64) -> Self {
        self.snapshots = Some(Snapshots { path: path.into(), ticks: ticks.max(1) });
        self
    }
}
