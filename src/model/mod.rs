//! What is computed: cells and their conventions, layers and directions, weights, readout.
//!
//! There is one layout inside the crate, and only [`crate::import`] knows the others:
//!
//! ```text
//! gates    GRU r z n    LSTM i f g o    RNN one
//! w_ih     [G·H, I]     row-major, gate after gate
//! w_hh     [G·H, H]
//! b_ih     [G·H]        optional
//! b_hh     [G·H]        optional
//! states   [L·D, B, H]  layer-major, forward then reverse
//! ```

mod activation;
mod cell;
mod layer;
mod pack;
mod readout;
mod stack;

pub use activation::{Activation, Activations, Function};
pub use cell::{Cell, Reset, RnnActivation, Update};
pub use layer::{Direction, Layer, Weights};
pub(crate) use pack::has_enclosed_bias;
pub use pack::{Constant, constants, pack};
pub use readout::{Readout, ReadoutSteps};
pub use stack::Model;

use crate::error::{Error, Result};

/// # Errors
/// [`Error::NotFinite`] at the first NaN or infinity.
fn check_finite(name: &str, values: &[f32]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(Error::NotFinite { name: name.into(), index, value: values[index] }),
        None => Ok(()),
    }
}
