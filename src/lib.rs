//! Recurrent inference (GRU, LSTM, RNN) on every GPU that wgpu reaches, and on the CPU.
//!
//! ```no_run
//! # fn main() -> Result<(), wgru::Error> {
//! let imported = wgru::Model::from_pytorch("model.safetensors")?;
//! let device = wgru::Device::open("auto")?; // a GPU, else the CPU path
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
//! FRONT

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
// What tools and tests alone use is compiled all the same, but for the few calls that open it: with their features a build differs
// in what is public, not in how it computes. What nothing uses is found where both are on.
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

// Open to tools and tests alone.
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

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use cpu::InstructionSet;
pub use dims::Dims;
pub use dtype::Storage;
#[cfg(feature = "unstable")]
pub use engine::{Choice, Pieces, Staged};
pub use engine::{
    CpuInfo, CpuOptions, Device, DeviceInfo, DeviceOptions, Engine, Frames, Lost, Memory, NonFinite, Options,
    Pool, PoolOptions, Session, Snapshot, StreamId, TickOutput,
};
#[cfg(feature = "gpu")]
pub use engine::{PoolRecording, Recording};
pub use error::{BufferFault, Error, ErrorKind, Result, StreamFault};
pub use import::Imported;
pub use info::AdapterInfo;
#[cfg(feature = "testing")]
pub use info::Created;
pub use io::{Batch, Fill, Form, Layout, Output, State, StepInput, StepOutput};
#[cfg(feature = "gpu")]
pub use io::{Bindings, Sink, Source};
pub use model::{Cell, Direction, Layer, Merge, Model, Readout, ReadoutSteps, Weights};
/// The version of wgpu that devices, buffers and encoders are of.
#[cfg(feature = "gpu")]
pub use wgpu;
