//! The reasons of errors about a buffer or a stream, with fields of their own.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::count;

/// Why a buffer cannot be bound to an array; offsets and sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BufferFault {
    /// It ends before the array.
    TooSmall {
        /// The array's size.
        needed: u64,
        /// The buffer's size.
        has: u64,
        /// Where the array begins.
        offset: u64,
    },
    /// It was made without a usage.
    Usage {
        /// Which, as wgpu names it.
        missing: &'static str,
    },
    /// The array begins at an offset that the device cannot bind.
    Alignment {
        /// Where the array begins.
        offset: u64,
        /// Its offset has to be a multiple of this.
        alignment: u64,
    },
    /// Another array lies in the same part of the same buffer, and one of them is written.
    Overlap {
        /// The other array.
        other: String,
        /// Where this array and the other begin.
        offsets: [u64; 2],
        /// Their sizes.
        bytes: [u64; 2],
    },
    /// Another array is in the same buffer, and a dispatch reads one and writes the other, which no API allows.
    Shared {
        /// The other array.
        other: String,
    },
    /// It was made by another device than the engine's.
    OtherDevice,
}

impl fmt::Display for BufferFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed, has, offset } => write!(
                f,
                "needs {needed} bytes from offset {offset} on, the buffer has {has}: bind one of at least {} bytes",
                needed.saturating_add(*offset)
            ),
            Self::Usage { missing } => write!(f, "the buffer was made without the usage {missing}: add it"),
            Self::Alignment { offset, alignment } => {
                write!(f, "begins at offset {offset}, must be a multiple of {alignment} bytes on this device")
            }
            Self::Overlap { other, offsets: [own, others], bytes: [size, other_size] } => write!(
                f,
                "its {size} bytes from offset {own} on overlap the {other_size} bytes of {other} from offset {others} \
                 on, and one is written: move one of them"
            ),
            Self::Shared { other } => write!(
                f,
                "lies in the buffer of {other}, and one dispatch reads the one and writes the other: bind two buffers"
            ),
            Self::OtherDevice => write!(
                f,
                "the buffer was made by another device than the engine's: make it there, or open the engine's device with Device::from_wgpu"
            ),
        }
    }
}

/// Why a call on a stream of a pool failed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StreamFault {
    /// It was closed before, or is of another pool.
    NotOpen,
    /// It was isolated for numbers that are not finite, until it is reset or given a state.
    Isolated {
        /// A description of the push.
        pushed: String,
    },
    /// The pushed numbers are no whole number of frames.
    PartialFrame {
        /// The numbers that were pushed.
        numbers: usize,
        /// The numbers of a frame, I.
        input: usize,
    },
    /// The pushed and the queued frames together are more than the queue takes (`PoolOptions::queue`).
    QueueFull {
        /// The frames that were pushed.
        pushed: usize,
        /// The frames that wait.
        waiting: usize,
        /// The most that may wait.
        limit: usize,
    },
    /// A number that was pushed is NaN or infinite.
    NotFinite {
        /// The frame of the push, from 0.
        frame: usize,
        /// The feature of the frame, from 0.
        feature: usize,
        /// The number.
        value: f32,
    },
    /// A number of a frame is beyond the range of the engine's activation storage.
    Range(Arc<dyn Error + Send + Sync>),
    /// A state does not fit the model, or is not finite.
    State(Arc<dyn Error + Send + Sync>),
    /// A recording or a tick names it twice.
    Twice,
    /// Its states have moved since the recording was prepared.
    Moved,
}

impl StreamFault {
    /// The error that caused this one.
    pub(super) fn source(&self) -> Option<&Arc<dyn Error + Send + Sync>> {
        match self {
            Self::Range(error) | Self::State(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for StreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen => f.write_str("not open: closed before, or of another pool"),
            Self::Isolated { pushed } => {
                write!(
                    f,
                    "isolated after this push: {pushed}; call Pool::reset or Pool::set_state to use it again"
                )
            }
            Self::PartialFrame { numbers, input } => {
                write!(
                    f,
                    "frames [n, I] with I = {input}: got {}, no whole frames",
                    count(*numbers, "number")
                )
            }
            Self::QueueFull { pushed, waiting, limit } => write!(
                f,
                "{} more than its queue takes: {waiting} of at most {limit} wait there (PoolOptions::queue). Nothing of \
                 the push was kept: tick first, push fewer at once, or make the pool with a larger queue",
                if *pushed == 1 { "1 frame is".into() } else { format!("{pushed} frames are") }
            ),
            Self::NotFinite { frame, feature, value } => {
                write!(f, "feature {feature} of frame {frame} is {value}, must be finite")
            }
            Self::Range(error) | Self::State(error) => error.fmt(f),
            Self::Twice => f.write_str("named twice in a recording"),
            Self::Moved => f.write_str("its states have moved since: prepare the recording again"),
        }
    }
}
