//! DTLN, the Dual-signal Transformation LSTM Network (Westhausen and Meyer 2020): noise suppression of speech at 16 kHz, with its
//! four LSTMs on [`wgru`].
//!
//! ```text
//! every 128 samples, on the last 512:
//!   X = rfft(block)                                                257 bins, no window
//!   core 1   2 LSTMs on |X|, dense, sigmoid          -> mask       block' = irfft(mask ⊙ X)
//!   core 2   f = E block'                                          encoder, 512 -> F features
//!            instant layer norm, 2 LSTMs, dense, sigmoid -> mask   block'' = D (mask ⊙ f)
//!   overlap-add of block''; the 128 samples that are complete come out
//! ```
//!
//! [`Dtln`] reads the two ONNX files of the cores. Its [`Stream`] computes 128 samples at a time, as in a call; on the CPU path with
//! one thread it neither allocates nor waits for a lock, so it may run on an audio thread. A [`Pool`] computes thousands of streams in
//! one tick. [`Dtln::denoise`] computes a whole recording. All run on any device, and give the same bits on one device. A [`Resampler`] brings sound of another rate to 16 kHz and back.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use wgru_dtln::{Dtln, HOP};
//!
//! let [core_1, core_2] = [std::fs::read("model_1.onnx")?, std::fs::read("model_2.onnx")?];
//! let dtln = Dtln::from_onnx(&core_1, &core_2, &wgru::Device::open("cpu:1")?)?;
//! let mut stream = dtln.stream()?;
//! let (noisy, mut clean) = ([0.0; HOP], [0.0; HOP]);
//! stream.process(&noisy, &mut clean)?; // 128 samples at 16 kHz, 384 samples later
//! # Ok(())
//! # }
//! ```
//!
//! Features: `gpu` for devices by wgpu, `wav` for the command; both are on by default, and a browser's audio thread needs neither.

#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unwrap_used, clippy::todo)
)]

/// The examples of the README and of the guide's page, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../../docs/guide/src/denoise.md")]
struct Pages;

mod blocks;
mod cell;
mod cores;
mod dense;
mod dtln;
mod error;
mod file;
mod graph;
// A pool measures its ticks, and a browser has another clock.
#[cfg(not(target_arch = "wasm32"))]
mod pool;
mod resampler;
mod stream;

pub use dtln::Dtln;
pub use error::{Error, Result};
#[cfg(not(target_arch = "wasm32"))]
pub use pool::{Pool, Tick};
pub use resampler::Resampler;
pub use stream::Stream;

/// Samples per second.
pub const RATE: u32 = 16_000;
/// Samples of a block, 32 ms.
pub const BLOCK: usize = 512;
/// Samples from one block to the next, 8 ms.
pub const HOP: usize = 128;
/// Samples from the input to the output of [`Stream::process`]: what overlap-add holds back, 24 ms.
pub const LATENCY: usize = BLOCK - HOP;
/// Samples from the input to the output of [`Stream::push`]: a hop more, 32 ms.
pub const PUSH_LATENCY: usize = BLOCK;
/// The largest sample, in both directions. Full scale is 1; 16-bit integers that were not scaled are still computed.
pub const LOUDEST: f32 = 32_768.0;
/// Bins of a block's spectrum.
const BINS: usize = BLOCK / 2 + 1;
