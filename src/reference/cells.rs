//! One step of one sequence, cell by cell, as the equations in [`crate::model`] read.

use crate::model::{Cell, Reset, RnnActivation, Update, Weights};

/// `x`: `[I]`; `h`, `c`: `[H]`, replaced by h' and c' (c is left alone by cells that have none).
pub(super) fn step(cell: Cell, weights: &Weights, x: &[f64], h: &mut [f64], c: &mut [f64]) {
    match cell {
        Cell::Gru { reset, update } => gru(reset, update, weights, x, h),
        Cell::Lstm => lstm(weights, x, h, c),
        Cell::Rnn { activation } => rnn(activation, weights, x, h),
    }
}

fn gru(reset: Reset, update: Update, weights: &Weights, x: &[f64], h: &mut [f64]) {
    let n_units = h.len();
    let from_x = affine(&weights.w_ih, weights.b_ih.as_deref(), x, 3 * n_units);
    let from_h = affine(&weights.w_hh, weights.b_hh.as_deref(), h, 3 * n_units);
    let gate =
        |block: usize, unit: usize| sigmoid(from_x[block * n_units + unit] + from_h[block * n_units + unit]);
    let r: Vec<f64> = (0..n_units).map(|unit| gate(0, unit)).collect();
    let z: Vec<f64> = (0..n_units).map(|unit| gate(1, unit)).collect();

    let recurrent: Vec<f64> = match reset {
        Reset::After => r.iter().zip(&from_h[2 * n_units..]).map(|(r, product)| r * product).collect(),
        Reset::Before => {
            let reset_h: Vec<f64> = r.iter().zip(h.iter()).map(|(r, h)| r * h).collect();
            let w_n = &weights.w_hh[2 * n_units * n_units..];
            let b_n = weights.b_hh.as_deref().map(|b| &b[2 * n_units..]);
            affine(w_n, b_n, &reset_h, n_units)
        }
    };
    for unit in 0..n_units {
        let n = (from_x[2 * n_units + unit] + recurrent[unit]).tanh();
        h[unit] = match update {
            Update::Keeps => z[unit] * h[unit] + (1.0 - z[unit]) * n,
            Update::Takes => (1.0 - z[unit]) * h[unit] + z[unit] * n,
        };
    }
}

fn lstm(weights: &Weights, x: &[f64], h: &mut [f64], c: &mut [f64]) {
    let n_units = h.len();
    let from_x = affine(&weights.w_ih, weights.b_ih.as_deref(), x, 4 * n_units);
    let from_h = affine(&weights.w_hh, weights.b_hh.as_deref(), h, 4 * n_units);
    let pre = |block: usize, unit: usize| from_x[block * n_units + unit] + from_h[block * n_units + unit];
    for unit in 0..n_units {
        let i = sigmoid(pre(0, unit));
        let f = sigmoid(pre(1, unit));
        let g = pre(2, unit).tanh();
        let o = sigmoid(pre(3, unit));
        c[unit] = f * c[unit] + i * g;
        h[unit] = o * c[unit].tanh();
    }
}

fn rnn(activation: RnnActivation, weights: &Weights, x: &[f64], h: &mut [f64]) {
    let n_units = h.len();
    let from_x = affine(&weights.w_ih, weights.b_ih.as_deref(), x, n_units);
    let from_h = affine(&weights.w_hh, weights.b_hh.as_deref(), h, n_units);
    for unit in 0..n_units {
        let pre = from_x[unit] + from_h[unit];
        h[unit] = match activation {
            RnnActivation::Tanh => pre.tanh(),
            // Written so that NaN stays NaN, as max() would not have it.
            RnnActivation::Relu => {
                if pre < 0.0 {
                    0.0
                } else {
                    pre
                }
            }
        };
    }
}

/// `w v + b`; `w`: `[rows, len(v)]`, row-major; `b`: `[rows]` or zero.
pub(super) fn affine(w: &[f32], b: Option<&[f32]>, v: &[f64], rows: usize) -> Vec<f64> {
    debug_assert_eq!(w.len(), rows * v.len());
    w.chunks_exact(v.len())
        .enumerate()
        .map(|(row, w)| {
            let dot: f64 = w.iter().zip(v).map(|(&w, v)| f64::from(w) * v).sum();
            dot + b.map_or(0.0, |b| f64::from(b[row]))
        })
        .collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
