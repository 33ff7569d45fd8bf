//! Recurrent inference (GRU, LSTM, RNN) on every GPU that wgpu supports, and on the CPU.
//!
//! A [`Model`] comes from a file of PyTorch, ONNX or Keras, or is built from [`Layer`]s. A [`Device`] loads it, which gives an [`Engine`].
//! The engine runs batches of sequences, and opens sessions and pools of streams:
//!
//! ```no_run
//! # fn main() -> Result<(), wgru::Error> {
//! use wgru::{Batch, Device, Model};
//!
//! let model = Model::from_pytorch("model.safetensors")?.model;
//! let device = Device::best(&model, [8, 100])?; // a GPU or the CPU, whichever is expected to be faster
//! let engine = device.load(&model)?;
//!
//! let x = vec![0.5; 8 * 100 * model.input()]; // [B, T, I]
//! let out = engine.run(&Batch::new(&x, [8, 100, model.input()])?)?;
//! println!("{} values of y, {} of h_n", out.y.len(), out.h_n.len());
//!
//! let mut session = engine.session(8)?; // 8 streams, their states on the device
//! let y = session.step(&x[..8 * model.input()])?.y;
//! # Ok(())
//! # }
//! ```
//!
//! # What to read first
//!
//! | what you have | where it is described |
//! |---|---|
//! | a model in a file | [`Model::from_pytorch`], and [`import`] for ONNX, Keras, options and what is refused |
//! | weights in memory | [`Layer::new`], [`Weights`], [`model`] for every convention |
//! | sequences, of equal length or not | [`Batch`], [`Engine::run`], [`Output`] |
//! | streams that advance together | [`Session`] |
//! | streams that come and go | [`Pool`], [`Snapshot`] |
//! | data in buffers of a GPU | [`Device::from_wgpu`](Device), `Bindings`, [`Engine`]`::recording` (feature `gpu`) |
//! | a choice of devices | [`Device::open`], [`Device::best`], [`Device::list`] |
//! | too little memory: 16-bit storage, a limit | [`Options`] |
//! | a first run that must not take longer than the next | [`Engine::prepare`] |
//! | a run that may have to end early | [`Batch::interrupt`] |
//! | an error | [`Error::kind`] says what can be done about it |
//! | a model for another framework | [`export`] |
//!
//! # Letters of shapes
//!
//! B sequences of T steps; I features of x; L layers of D directions; H units; P outputs of a layer and direction (H, or less of an LSTM with a
//! projection); G gates (4 LSTM, 3 GRU, 1 RNN); O outputs of the readout. Arrays are row-major, numbers are `f32`.
//!
//! # Waiting
//!
//! A call that waits for a device has a variant whose name ends in `_async`. Natively, polling its future polls the device; on
//! the CPU the first poll computes the result. In a browser no thread may wait for a GPU: use the `_async` variants there.
//! The others return [`ErrorKind::Unsupported`] unless the device is the CPU. If a GPU in a browser refuses to create an object
//! during a load or a preparation, the next call that waits returns that error.
//!
//! # Logged events
//!
//! Events go to the crate `log`, under targets that begin with `wgru::`: the device that `auto` chose and why, a GPU that was passed
//! over, a pipeline cache that was ignored, a batch that is run in pieces, a run that fell back to per-step kernels, tensors of a file
//! that the model does not use. Without a logger they cost nothing.
//!
//! # Features
//!
//! | feature | | default |
//! |---|---|---|
//! | `gpu` | GPUs, by wgpu; without it the CPU path and the reference | yes |
//! | `onnx` | ONNX files, in and out | yes |
//! | `keras` | Keras files (`.h5`, `.weights.h5`, `.keras`) | no |
//! | `unstable` | plans, kernels, the cost model, the reference: for tools; changes in any version | no |
//! | `testing` | outputs filled with NaN, devices that are lost, counts of created resources: for tests | no |

// Nothing in the library panics on purpose; the few places that may panic say why they never do. The file readers do not index
// either: see `import`, `proto` and `file`.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used,
    )
)]
// Items for tools and tests alone are always compiled, except the few calls that make them public. So the features change what is
// public, not how the crate computes. Unused items are found in builds with both features.
#![cfg_attr(not(all(feature = "unstable", feature = "testing")), allow(dead_code, unused_imports))]

mod cpu;
pub mod export;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(not(feature = "gpu"))]
#[path = "gpu/absent.rs"]
mod gpu;
pub mod import;
mod info;
pub mod model;
mod progress;
#[cfg(feature = "onnx")]
mod proto;
#[cfg(test)]
mod seed;
mod sync;

// Public for tools and tests alone.
#[cfg(not(feature = "unstable"))]
mod dims;
#[cfg(feature = "unstable")]
pub mod dims;
#[cfg(not(feature = "unstable"))]
mod dtype;
#[cfg(feature = "unstable")]
pub mod dtype;
#[cfg(not(feature = "unstable"))]
mod engine;
#[cfg(feature = "unstable")]
pub mod engine;
#[cfg(not(feature = "unstable"))]
mod error;
#[cfg(feature = "unstable")]
pub mod error;
#[cfg(not(feature = "unstable"))]
mod file;
#[cfg(feature = "unstable")]
pub mod file;
#[cfg(not(feature = "unstable"))]
mod io;
#[cfg(feature = "unstable")]
pub mod io;
#[cfg(not(feature = "unstable"))]
mod kernels;
#[cfg(feature = "unstable")]
pub mod kernels;
#[cfg(not(feature = "unstable"))]
mod plan;
#[cfg(feature = "unstable")]
pub mod plan;
#[cfg(not(feature = "unstable"))]
mod program;
#[cfg(feature = "unstable")]
pub mod program;
#[cfg(not(feature = "unstable"))]
mod reference;
#[cfg(feature = "unstable")]
pub mod reference;

/// The examples of the README and the guide, compiled.
#[cfg(doctest)]
mod documents {
    macro_rules! pages {
        ($($name:ident: $path:literal,)*) => { $(#[doc = include_str!($path)] struct $name;)* };
    }

    pages! {
        Readme: "../README.md",
        Batches: "../docs/guide/src/batches.md",
        Buffers: "../docs/guide/src/buffers.md",
        Devices: "../docs/guide/src/devices.md",
        Models: "../docs/guide/src/models.md",
        Storage: "../docs/guide/src/storage.md",
        Streams: "../docs/guide/src/streams.md",
    }
}

pub use cpu::InstructionSet;
pub use dims::Dims;
pub use dtype::Storage;
pub use engine::{
    CpuInfo, CpuOptions, Device, DeviceInfo, DeviceOptions, Engine, Frames, Lost, Memory, NonFinite, Options,
    Pool, PoolOptions, Session, Snapshot, Snapshots, StreamId, TickOutput,
};
#[cfg(feature = "unstable")]
pub use engine::{DeviceRanking, Pieces, Staged};
#[cfg(feature = "gpu")]
pub use engine::{PoolRecording, Recording};
pub use error::{BufferFault, Error, ErrorKind, Result, StreamFault};
#[doc(inline)]
pub use import::Imported;
pub use info::AdapterInfo;
#[cfg(feature = "testing")]
pub use info::ResourceCounts;
pub use io::{Batch, Layout, Output, Padding, RunShape, State, StepInput, StepOutput};
#[cfg(feature = "gpu")]
pub use io::{Bindings, Sink, Source};
#[doc(inline)]
pub use model::{Cell, Direction, Layer, Merge, Model, Readout, ReadoutActivation, ReadoutSteps, Weights};
pub use sync::Interrupt;
/// The version of wgpu that devices, buffers and encoders have to be from.
#[cfg(feature = "gpu")]
pub use wgpu;
