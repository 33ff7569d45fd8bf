//! Recurrent inference (GRU, LSTM, RNN) on every GPU that wgpu reaches, and on the CPU.
//!
//! ```no_run
//! # fn main() -> Result<(), wgru::Error> {
//! let imported = wgru::Model::from_pytorch("model.safetensors")?;
//! let device = wgru::Device::best()?; // a GPU, else the CPU path
//! let engine = device.load(&imported.model)?;
//!
//! let x = vec![0.5; 8 * 100 * imported.model.input()]; // [B, T, I]
//! let out = engine.run(&wgru::Batch::new(&x, [8, 100, imported.model.input()])?)?;
//! println!("{} values of y, {} of h_n", out.y.len(), out.h_n.len());
//!
//! let mut session = engine.session(8)?; // 8 streams, their states on the device
//! let y = session.step(&x[..8 * imported.model.input()])?.y;
//! # Ok(())
//! # }
//! ```
//!
//! What a user needs stands at the root, in [`model`], [`io`], [`import`], [`export`], [`engine`] and [`mod@reference`].
//! [`plan`], [`kernels`] and [`program`] are how a run is put together, open to tools and tests; they change
//! from version to version. `ARCHITECTURE.md` says what each room is for.

// Nothing in the library panics on purpose; the few places that may say why they never do. What reads files does not index either:
// see `import`, `proto` and `file`.
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

mod cpu;
pub mod dims;
pub mod dtype;
pub mod engine;
pub mod error;
pub mod export;
pub mod file;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(not(feature = "gpu"))]
#[path = "gpu/absent.rs"]
mod gpu;
pub mod import;
mod info;
pub mod io;
pub mod kernels;
pub mod model;
pub mod plan;
pub mod program;
mod progress;
#[cfg(feature = "onnx")]
mod proto;
pub mod reference;
#[cfg(test)]
mod seed;
mod sync;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use cpu::InstructionSet;
pub use dims::Dims;
pub use dtype::Storage;
pub use engine::{
    Choice, CpuInfo, CpuOptions, Device, DeviceInfo, DeviceOptions, Engine, Memory, Options, Pieces, Pool,
    PoolOptions, Session, Snapshot, Staged, StreamId, TickOutput,
};
#[cfg(feature = "gpu")]
pub use engine::{PoolRecording, Recording};
pub use error::{BufferFault, Error, ErrorKind, Result, StreamFault};
#[cfg(feature = "keras")]
pub use import::Keras;
#[cfg(feature = "onnx")]
pub use import::Onnx;
pub use import::{Imported, PyTorch};
pub use info::{AdapterInfo, Created};
pub use io::{Batch, Fill, Form, Layout, Output, State, StepInput, StepOutput};
#[cfg(feature = "gpu")]
pub use io::{Bindings, Sink, Source};
pub use model::{Cell, Direction, Layer, Merge, Model, Readout, ReadoutSteps, Weights};
/// The version of wgpu that devices, buffers and encoders are of.
#[cfg(feature = "gpu")]
pub use wgpu;
