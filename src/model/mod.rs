//! What is computed: cells and their conventions, layers and directions, weights, readout.
//!
//! There is one layout inside the crate, and only [`crate::import`] and [`crate::export`] know the others:
//!
//! ```text
//! gates      GRU r z n    LSTM i f g o    RNN one
//! w_ih       [G·H, I]     row-major, gate after gate
//! w_hh       [G·H, P]     P is H unless an LSTM projects its h
//! b_ih       [G·H]        optional
//! b_hh       [G·H]        optional
//! peepholes  [3·H]        optional: an LSTM's p_i p_f p_o
//! w_hr       [P, H]       optional: an LSTM's projection
//! states     [L·D, B, P]  layer-major, forward then reverse; an LSTM's c [L·D, B, H]
//! ```

mod activation;
mod cell;
mod layer;
mod order;
mod pack;
mod readout;
mod stack;

pub use activation::{Activation, Activations, Function};
pub use cell::{Cell, Forget, Reset, Update};
pub use layer::{Direction, Layer, Merge, Weights};
pub use order::GateOrder;
pub(crate) use pack::has_enclosed_bias;
pub use pack::{Constant, constants, pack};
pub use readout::{Readout, ReadoutSteps};
pub use stack::Model;
