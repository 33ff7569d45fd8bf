//! ONNX: a GRU, LSTM or RNN node per layer, and the operators that join them.
//!
//! ```text
//! inputs   X [T, B, I]; if the options ask for them, sequence_lens [B], initial_h [L·D, B, H], initial_c [L·D, B, H]
//! outputs  Y [T, D, B, H] of the last layer, Y_h [L·D, B, H], an LSTM's Y_c [L·D, B, H];
//!          with a readout out, [T, B, O] of every step or [B, O] of the last
//! layers   [T, D, B, H] ── Transpose, Reshape ──▶ [T, B, D·H]
//! readout  [T, B, D·H] ── Gather of the last step, for a readout of it ── MatMul, Add ──▶ out
//! ```
//!
//! T and B are free dimensions. Nodes are named `gru_0`, `lstm_1`: their operator and layer. Source: the ONNX
//! operator specification, opset 14.

mod graph;
mod node;

use prost::Message;

use crate::error::{Error, Result};
use crate::model::Model;

/// The most bytes that protobuf readers accept.
const MOST: usize = i32::MAX as usize;

/// An ONNX file with the input X alone; see [`Onnx`] for lengths and initial states.
///
/// # Errors
/// As [`Onnx::write`].
pub fn onnx(model: &Model) -> Result<Vec<u8>> {
    Onnx::new().write(model)
}

/// The run-time inputs of an ONNX file beside X.
///
/// ```no_run
/// # fn main() -> Result<(), wgru::Error> {
/// let model = wgru::Model::from_pytorch("m.safetensors")?.model;
/// let bytes = wgru::export::Onnx::new().with_lengths().with_states().write(&model)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Onnx {
    lengths: bool,
    states: bool,
}

impl Onnx {
    /// X alone: every sequence has T steps and begins with a state of zeros.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the input `sequence_lens`, int32 `[B]`.
    pub fn with_lengths(mut self) -> Self {
        self.lengths = true;
        self
    }

    /// Adds the input `initial_h`, and for an LSTM `initial_c`: `[L·D, B, H]`, layer-major, forward then reverse.
    pub fn with_states(mut self) -> Self {
        self.states = true;
        self
    }

    /// The file's bytes, all weights in f32. [`crate::import::Onnx`] reads the same numbers from each node, bit by
    /// bit, except for the changes to z and to absent biases that [`crate::export`] describes. If only one direction
    /// has peepholes, those of the other are zeros.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for features that the operators lack, by name: a projection, a clip of the state,
    /// directions that are merged, a readout of the last step together with lengths, and a z that takes the candidate
    /// through an activation other than a sigmoid, or a line or hard sigmoid through ½. [`Error::TooLarge`] beyond
    /// protobuf's 2 GiB.
    pub fn write(self, model: &Model) -> Result<Vec<u8>> {
        let file = graph::model(self, model)?;
        let bytes = file.encoded_len();
        if bytes > MOST {
            return Err(Error::TooLarge {
                name: format!("an ONNX file of {model}"),
                needed: bytes as u64,
                limit: MOST as u64,
                unit: "bytes",
                device: "protobuf".into(),
            });
        }
        Ok(file.encode_to_vec())
    }
}
