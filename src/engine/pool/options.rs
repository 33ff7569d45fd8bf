//! How a pool is made.

use std::path::PathBuf;

use crate::dims::at_least_one;
use crate::error::{Error, Result};

/// Streams of a pool at the most.
pub(super) const MOST: usize = 1 << 24;
/// Frames that a tick takes of a stream at the most.
const FRAMES: usize = 1 << 16;
/// Frames of a stream that may wait, unless the caller says otherwise.
const QUEUE: usize = 1024;

/// What becomes of a stream that is given NaN or an infinity. Either way the push is an error that names the stream, the
/// frame and the feature, nothing of it is queued, and no other stream is touched.
///
/// It is about frames. A state that leaves the range of f32 by itself is infinite or NaN in the outputs of its own stream from there
/// on, until [`super::Pool::reset`] or [`super::Pool::set_state`], and touches no other either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NonFinite {
    /// The stream goes on as if there had been no such push.
    #[default]
    Refuse,
    /// The stream takes no more frames until [`super::Pool::reset`] or [`super::Pool::set_state`], since a gap in its frames would
    /// give wrong numbers from there on. What it was given before is still computed.
    Isolate,
}

/// How a pool is made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolOptions {
    /// Streams that there is room for from the start.
    pub capacity: usize,
    /// Streams that may be open at once. Where it is more than the capacity, the pool doubles when it is full.
    pub most: usize,
    /// Frames that one tick takes of a stream at the most, 65,536 or as many as the device bears where that is less; what is
    /// beyond waits for the next tick.
    pub frames: usize,
    /// Frames of a stream that may wait, 1,024 by default; a push beyond it is an error, so that a stream whose ticks do not
    /// keep up takes no more and more memory.
    pub queue: usize,
    /// What becomes of a stream that is given NaN or an infinity.
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
    /// Ticks from one to the next.
    pub ticks: u64,
}

impl PoolOptions {
    const FRAMES: usize = 16;

    /// Room for so many streams and no more.
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

    /// Room for so many streams, which doubles whenever the pool is full, until the device refuses.
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

    /// Sets [`PoolOptions::frames`]; 16 by default.
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

    /// Writes the states of all streams to the file `path` before the first tick that follows `ticks` others, and so on
    /// ([`super::Pool::snapshot`], [`super::Snapshot::write`]).
    ///
    /// The file is written on the thread that begins the tick, which waits for the disk, also where it polls
    /// [`super::Pool::tick_async`] or [`super::Pool::begin`]. An executor that may not wait takes
    /// [`super::Pool::snapshot_async`] instead, and writes the snapshot on a thread of its own.
    ///
    /// A snapshot that cannot be written does not keep the pool from ticking: the reason is
    /// [`super::TickOutput::snapshot_error`], [`super::Pool::snapshots_failed`] counts, and the next is tried after `ticks` more.
    pub fn snapshots(mut self, path: impl Into<PathBuf>, ticks: u64) -> Self {
        self.snapshots = Some(Snapshots { path: path.into(), ticks: ticks.max(1) });
        self
    }
}
