//! What is computed: cells and their conventions, layers and directions, weights, readout.
//!
//! Begin with [`Model`]: importers return one ([`Model::from_pytorch`]), or [`Model::new`] makes one of [`Layer`]s, each a [`Cell`], a
//! [`Direction`] and [`Weights`]. A layer's `with_` methods set its options (activations, clips, merge modes).
//!
//! ```text
//! GRU   r = σ(W_r x + b_r + R_r h + c_r)                       reset gate
//!       z = σ(W_z x + b_z + R_z h + c_z)                       update gate
//!       n = tanh(W_n x + b_n + r ⊙ (R_n h + c_n))              Reset::After
//!       n = tanh(W_n x + b_n + R_n (r ⊙ h) + c_n)              Reset::Before
//!       h' = z ⊙ h + (1 − z) ⊙ n                               Update::Keeps
//!       h' = (1 − z) ⊙ h + z ⊙ n                               Update::Takes
//! LSTM  i, f, o = σ(·)   g = tanh(·)   c' = f ⊙ c + i ⊙ g   h' = o ⊙ tanh(c')
//!       f = 1 − i                                              Forget::Coupled
//! RNN   h' = tanh(W x + b + R h + c)
//! ```
//!
//! W, R, b and c are `w_ih`, `w_hh`, `b_ih` and `b_hh`. GRU: Cho et al. 2014. LSTM: Hochreiter and Schmidhuber 1997 with the
//! forget gate of Gers et al. 2000; coupled gates: Greff et al. 2017. RNN: Elman 1990.
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
//!
//! Letters as everywhere: B sequences of a batch, T steps, I input features, H hidden units, P features of h, L layers, D
//! directions, G gates, O outputs of a readout.

mod activation;
#[cfg(not(feature = "unstable"))]
mod bytes;
#[cfg(feature = "unstable")]
pub mod bytes;
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
#[cfg(feature = "unstable")]
pub use pack::{Constant, constants, pack};
#[cfg(not(feature = "unstable"))]
pub(crate) use pack::{Constant, constants, pack};
pub use readout::{Readout, ReadoutActivation, ReadoutSteps};
pub use stack::Model;
