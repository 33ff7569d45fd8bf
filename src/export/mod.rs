//! Writes a [`crate::Model`] as a file of another framework; reading that file gives the same bits.
//!
//! Start with [`pytorch`] or `onnx` (feature `onnx`): each returns the bytes of a file. `Onnx` adds inputs to the
//! ONNX file.
//!
//! ```text
//!            written                                             refused (the error names it)
//! pytorch    nn.GRU, nn.LSTM, nn.RNN (tanh, relu), projections,  reset before, reverse alone, peepholes, coupled
//!            readout                                             gates, clips, other activations
//! onnx       a GRU, LSTM or RNN node per layer, readout          projection, state clip
//! ```
//!
//! Both formats support only a z that keeps the old state. For a cell whose z takes the candidate, the z rows are
//! negated, since `1 − σ(a) = σ(−a)`. If the gates have another activation, for which that does not hold, the model
//! is refused. Both formats have two biases or none: if a model has one of them, the missing one is written as zeros.

#[cfg(feature = "onnx")]
mod onnx;
mod pytorch;

#[cfg(feature = "onnx")]
pub use onnx::{Onnx, onnx};
pub use pytorch::pytorch;

use crate::error::{Error, Result};
use crate::model::{Activation, Cell, Function, Layer, Update, Weights};

/// The weights per direction with `z ⊙ h + (1 − z) ⊙ n` for an update, and with two biases if `biased`.
///
/// # Errors
/// [`Error::Unsupported`] for a z that takes the candidate through an activation f with `1 − f(a) ≠ f(−a)`.
fn converted(layer: &Layer, biased: bool) -> Result<Vec<Weights>> {
    let rows = layer.cell().gates() * layer.hidden();
    let takes = matches!(layer.cell(), Cell::Gru { update: Update::Takes, .. });
    if let Some(set) = layer.activations().iter().find(|set| takes && !mirrors(set.gate)) {
        let what = format!("{} of {}: no weights make its z keep the old state", set.gate, layer.cell());
        return Err(Error::Unsupported { what });
    }
    let convert = |set: &Weights| {
        let mut set = set.clone();
        if takes {
            negate_z(&mut set.w_ih);
            negate_z(&mut set.w_hh);
            for bias in [&mut set.b_ih, &mut set.b_hh].into_iter().flatten() {
                negate_z(bias);
            }
        }
        if biased {
            set.b_ih.get_or_insert_with(|| vec![0.0; rows]);
            set.b_hh.get_or_insert_with(|| vec![0.0; rows]);
        }
        set
    };
    Ok(layer.weights().iter().map(convert).collect())
}

/// Whether `1 − f(a) = f(−a)`: true for a sigmoid, and for lines through ½.
fn mirrors(activation: Activation) -> bool {
    match activation.function() {
        Function::Sigmoid => true,
        Function::HardSigmoid | Function::Affine => activation.beta() == 0.5,
        _ => false,
    }
}

/// The second block of a GRU's r, z and n, `[3·H, …]`.
fn negate_z(values: &mut [f32]) {
    let block = values.len() / 3;
    values[block..2 * block].iter_mut().for_each(|value| *value = -*value);
}

/// Whether any direction of a layer has a bias.
fn is_biased(layer: &Layer) -> bool {
    layer.weights().iter().any(|set| set.b_ih.is_some() || set.b_hh.is_some())
}
