//! Inputs and outputs of a run: a [`Batch`] of sequences, an [`Output`] of sequences and
//! final states. Plain slices and vectors, in several layouts.
//!
//! Begin with [`Batch::new`] and [`Output`]; see [`Batch::lengths`] for sequences of different lengths, and [`Layout`] for other orders of
//! axes. [`StepInput`], [`StepOutput`] and [`State`] are for sessions. `Bindings`, of the feature `gpu`, names arrays in the
//! caller's own buffers.
//!
//! | array | shape | |
//! |---|---|---|
//! | x | `[B, T, I]` | or another [`Layout`] |
//! | h0, c0 | `[L·D, B, P]`, `[L·D, B, H]` | zeros by default |
//! | lengths | `[B]` | T for all by default |
//! | y | `[B, T, D·P]` | the last layer's h at every step |
//! | h_n, c_n | as h0, c0 | every layer's state after the last step |
//! | out | `[B, T, O]` or `[B, O]` | the readout's |

mod batch;
#[cfg(feature = "gpu")]
mod bindings;
mod output;
mod run_shape;
mod state;
mod step;

pub use batch::Batch;
#[cfg(feature = "gpu")]
pub(crate) use batch::check_lengths;
pub(crate) use batch::{OwnedBatch, Resets};
#[cfg(feature = "gpu")]
pub use bindings::{Bindings, Sink, Source};
pub(crate) use output::OutputMut;
#[cfg(not(feature = "unstable"))]
pub(crate) use output::OutputShape;
#[cfg(feature = "unstable")]
pub use output::OutputShape;
pub use output::{Output, StepOutput};
pub(crate) use run_shape::Strides;
pub use run_shape::{Layout, Padding, RunShape};
pub use state::State;
pub(crate) use state::check_states;
pub use step::StepInput;

use crate::dims::product;
use crate::error::{Error, Result};

/// # Errors
/// [`Error::Overflow`], and [`Error::Memory`] where the host has too little: a caller may pass any size.
pub(crate) fn zeros<T: Copy + Default>(name: &str, shape: &[usize]) -> Result<Vec<T>> {
    let elements = product(name, shape)?;
    let mut values = Vec::new();
    let bytes = elements * size_of::<T>();
    values.try_reserve_exact(elements).map_err(|_| Error::Memory { name: name.into(), bytes })?;
    values.resize(elements, T::default());
    Ok(values)
}
