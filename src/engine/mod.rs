//! The public objects: a [`Device`], an [`Engine`] (a model loaded on it), an output of a sequence run, a [`Session`] that steps,
//! a [`Pool`] of streams that come and go, and a [`Staged`] batch that stays on the device.

mod any;
mod backend;
#[cfg(feature = "gpu")]
mod check_matrices;
mod device;
mod exchange;
#[cfg(feature = "gpu")]
mod gpu;
mod host;
mod memory;
mod options;
mod pieces;
pub mod pool;
mod ranking;
mod ready;
#[cfg(feature = "gpu")]
mod recording;
mod run;
mod select;
#[cfg(all(feature = "gpu", feature = "unstable"))]
mod self_test;
mod session;
mod staged;
#[cfg(feature = "testing")]
mod testing;
#[cfg(feature = "unstable")]
mod unstable;
mod wait;

pub use device::{CpuInfo, Device, DeviceInfo};
pub use exchange::{Exchange, Fallback, Fallbacks};
pub use memory::Memory;
pub use options::{CpuOptions, DeviceOptions, Options};
pub use pieces::Pieces;
#[cfg(feature = "gpu")]
pub use pool::PoolRecording;
pub use pool::{Frames, Lost, NonFinite, Pool, PoolOptions, Snapshot, Snapshots, StreamId, TickOutput};
pub use ranking::DeviceRanking;
#[cfg(feature = "gpu")]
pub use recording::Recording;
pub use run::Engine;
#[cfg(all(feature = "gpu", feature = "unstable"))]
pub use self_test::{SelfTest, StoppedAt};
pub use session::Session;
pub use staged::Staged;
