//! From a [`crate::Model`] back to the files of other frameworks, so that reading such a file gives the same bits.
//!
//! ```text
//!            written                                             refused, by name
//! pytorch    nn.GRU, nn.LSTM, nn.RNN (tanh, relu), projections,  reset before, reverse alone, peepholes, coupled
//!            readout                                             gates, clips, other activations
//! onnx       a GRU, LSTM or RNN node per layer, readout          projection, state clip
//! ```
//!
//! Both know only a z that keeps the old state: the z rows of a cell whose z takes the candidate are negated, since
//! `1 − σ(a) = σ(−a)`. Both want two biases or none: where any is there, an absent one is written as zeros.

mod onnx;
mod pytorch;

pub use onnx::{Onnx, onnx};
pub use pytorch::pytorch;

use crate::model::{Cell, Layer, Update, Weights};

/// The weights per direction with `z ⊙ h + (1 − z) ⊙ n` for an update, and with two biases if `biased`.
fn converted(layer: &Layer, biased: bool) -> Vec<Weights> {
    let rows = layer.cell().gates() * layer.hidden();
    let takes = matches!(layer.cell(), Cell::Gru { update: Update::Takes, .. });
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
    layer.weights().iter().map(convert).collect()
}

/// Of a GRU's r, z and n, `[3·H, …]`, the second.
fn negate_z(values: &mut [f32]) {
    let block = values.len() / 3;
    values[block..2 * block].iter_mut().for_each(|value| *value = -*value);
}

/// Whether any direction of a layer has a bias.
fn is_biased(layer: &Layer) -> bool {
    layer.weights().iter().any(|set| set.b_ih.is_some() || set.b_hh.is_some())
}
