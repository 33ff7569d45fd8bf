//! A model's constants in the layout of the fast paths: matrices transposed, so that neighbouring units are
//! side by side, and biases outside a reset product added up.

use std::fmt;

use super::{Cell, Layer, Model, Reset, Weights};

/// One of a model's constant arrays, in the layout the kernels read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Constant {
    /// `w_ih` of a layer, transposed: `[D, I, G·H]`.
    WIh(usize),
    /// `w_hh` of a layer, transposed: `[D, P, G·H]`.
    WHh(usize),
    /// The sum of a layer's biases outside a reset product, `[D, G·H]`.
    Bias(usize),
    /// `c_n` of a GRU layer with reset after, `[D, H]`.
    BHn(usize),
    /// p_i, p_f and p_o of an LSTM layer with peepholes, `[D, 3·H]`.
    Peepholes(usize),
    /// `w_hr` of an LSTM layer with a projection, transposed: `[D, H, P]`.
    WHr(usize),
    /// The readout's weight, transposed: `[D·P, O]`, or `[P, O]` where the last layer merges its directions.
    ReadoutW,
    /// The readout's bias, `[O]`.
    ReadoutB,
}

/// In words, for errors and labels: `w_hh of layer 0`.
impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, layer) = match *self {
            Self::WIh(layer) => ("w_ih", layer),
            Self::WHh(layer) => ("w_hh", layer),
            Self::Bias(layer) => ("biases", layer),
            Self::BHn(layer) => ("c_n", layer),
            Self::Peepholes(layer) => ("peepholes", layer),
            Self::WHr(layer) => ("w_hr", layer),
            Self::ReadoutW => return f.write_str("readout weight"),
            Self::ReadoutB => return f.write_str("readout bias"),
        };
        write!(f, "{name} of layer {layer}")
    }
}

/// Every constant of `model`.
pub fn constants(model: &Model) -> Vec<Constant> {
    let mut all = Vec::new();
    for (index, layer) in model.layers().iter().enumerate() {
        all.extend([Constant::WIh(index), Constant::WHh(index), Constant::Bias(index)]);
        if has_enclosed_bias(layer.cell()) {
            all.push(Constant::BHn(index));
        }
        if layer.has_peepholes() {
            all.push(Constant::Peepholes(index));
        }
        if layer.projection().is_some() {
            all.push(Constant::WHr(index));
        }
    }
    if model.readout().is_some() {
        all.extend([Constant::ReadoutW, Constant::ReadoutB]);
    }
    all
}

/// Whether a part of `b_hh` is inside the reset product: c_n of a GRU with reset after.
pub(crate) fn has_enclosed_bias(cell: Cell) -> bool {
    matches!(cell, Cell::Gru { reset: Reset::After, .. })
}

/// One constant of `model`.
pub fn pack(model: &Model, constant: Constant) -> Vec<f32> {
    let of = |index: usize, part: &dyn Fn(&Layer, &Weights) -> Vec<f32>| {
        let layer = &model.layers()[index];
        layer.weights().iter().flat_map(|weights| part(layer, weights)).collect()
    };
    match constant {
        Constant::WIh(index) => of(index, &|layer, weights| transpose(&weights.w_ih, layer.input())),
        Constant::WHh(index) => of(index, &|layer, weights| transpose(&weights.w_hh, layer.state_size())),
        Constant::Bias(index) => of(index, &bias),
        Constant::BHn(index) => of(index, &b_hn),
        Constant::Peepholes(index) => of(index, &|layer, weights| {
            weights.peepholes.clone().unwrap_or_else(|| vec![0.0; 3 * layer.hidden()])
        }),
        Constant::WHr(index) => of(index, &|layer, weights| {
            weights.w_hr.as_ref().map_or_else(Vec::new, |w_hr| transpose(w_hr, layer.hidden()))
        }),
        Constant::ReadoutW => model.readout().map_or_else(Vec::new, |r| transpose(r.w(), r.input())),
        Constant::ReadoutB => model
            .readout()
            .map_or_else(Vec::new, |r| r.b().map_or_else(|| vec![0.0; r.outputs()], <[f32]>::to_vec)),
    }
}

/// `[rows, columns]` to `[columns, rows]`.
fn transpose(w: &[f32], columns: usize) -> Vec<f32> {
    let rows = w.len() / columns;
    let mut out = Vec::with_capacity(w.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| w[row * columns + column]));
    }
    out
}

/// The biases outside the reset product: all but a GRU's c_n when reset is after.
fn bias(layer: &Layer, weights: &Weights) -> Vec<f32> {
    let hidden = layer.hidden();
    let rows = layer.cell().gates() * hidden;
    let mut bias = weights.b_ih.clone().unwrap_or_else(|| vec![0.0; rows]);
    if let Some(b_hh) = &weights.b_hh {
        let outside = if has_enclosed_bias(layer.cell()) { 2 * hidden } else { rows };
        for (sum, b) in bias.iter_mut().zip(&b_hh[..outside]) {
            *sum += b;
        }
    }
    bias
}

/// c_n of a GRU.
fn b_hn(layer: &Layer, weights: &Weights) -> Vec<f32> {
    let hidden = layer.hidden();
    match &weights.b_hh {
        Some(b_hh) => b_hh[2 * hidden..].to_vec(),
        None => vec![0.0; hidden],
    }
}
