//! What goes in and what comes out of a run: a [`Batch`] of sequences, an [`Output`] of sequences and
//! final states. Plain slices and vectors, in the layouts a caller has them in.

mod batch;
#[cfg(feature = "gpu")]
mod bindings;
mod form;
mod output;
mod state;
mod step;

pub use batch::Batch;
#[cfg(feature = "gpu")]
pub(crate) use batch::check_lengths;
pub(crate) use batch::{OwnedBatch, Resets};
#[cfg(feature = "gpu")]
pub use bindings::{Bindings, Sink, Source};
pub(crate) use form::Strides;
pub use form::{Fill, Form, Layout};
pub use output::{Output, OutputShape, StepOutput};
pub use state::State;
pub(crate) use state::check_states;
pub use step::StepInput;

use crate::dims::product;
use crate::error::{Error, Result};

/// # Errors
/// [`Error::Overflow`], and [`Error::Memory`] where the host has none: a caller may ask for any size.
fn zeros<T: Copy + Default>(name: &str, shape: &[usize]) -> Result<Vec<T>> {
    let elements = product(name, shape)?;
    let mut values = Vec::new();
    let bytes = elements * size_of::<T>();
    values.try_reserve_exact(elements).map_err(|_| Error::Memory { name: name.into(), bytes })?;
    values.resize(elements, T::default());
    Ok(values)
}
