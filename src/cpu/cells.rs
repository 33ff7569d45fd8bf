//! One direction of a layer on the CPU, row after row: both products into one array of gates, then the gates.

use super::activation::apply;
use crate::model::{Activations, Cell, Reset, Update, has_enclosed_bias};
use crate::progress::Progress;

/// One direction's constants, as [`crate::model::pack`] gives them.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) cell: Cell,
    pub(super) input: usize,
    pub(super) hidden: usize,
    /// Whether it walks from the last step to the first.
    pub(super) reverse: bool,
    /// Its first column in y.
    pub(super) column: usize,
    /// D·H, columns of y.
    pub(super) output: usize,
    pub(super) activations: Activations,
    pub(super) clip: Option<f32>,
    /// `[I, G·H]`.
    pub(super) w_ih: Vec<f32>,
    /// `[H, G·H]`.
    pub(super) w_hh: Vec<f32>,
    /// `[G·H]`.
    pub(super) bias: Vec<f32>,
    /// `[H]`, or empty.
    pub(super) b_hn: Vec<f32>,
}

/// Arrays of one row.
#[derive(Debug, Default)]
pub(super) struct RowScratch {
    /// `[G·H]`, from x.
    from_x: Vec<f32>,
    /// `[G·H]`, from h.
    from_h: Vec<f32>,
    /// `[H]`, r ⊙ h.
    reset_h: Vec<f32>,
}

impl Packed {
    /// `x`: `[B, T, I]`; `h`, `c`: `[B, H]`, updated; `y`: `[B, T, D·H]`, of which this fills its own columns. c is
    /// empty where the cell has none.
    pub(super) fn run(
        &self,
        (x, steps, lengths): (&[f32], usize, Option<&[u32]>),
        (h, c): (&mut [f32], &mut [f32]),
        scratch: &mut RowScratch,
        y: &mut [f32],
        progress: &Progress,
    ) {
        scratch.from_x.resize(self.bias.len(), 0.0);
        scratch.from_h.resize(self.bias.len(), 0.0);
        scratch.reset_h.resize(self.hidden, 0.0);
        let mut c_rows = c.chunks_exact_mut(self.hidden);
        for (b, h) in h.chunks_exact_mut(self.hidden).enumerate() {
            let c = c_rows.next().unwrap_or_default();
            let length = lengths.map_or(steps, |lengths| lengths[b] as usize);
            for time in length..steps {
                y[(b * steps + time) * self.output + self.column..][..self.hidden].fill(0.0);
            }
            for step in 0..length {
                let row = b * steps + if self.reverse { length - 1 - step } else { step };
                self.step(&x[row * self.input..][..self.input], h, c, scratch);
                y[row * self.output + self.column..][..self.hidden].copy_from_slice(h);
            }
            progress.end(1);
        }
    }

    fn step(&self, x: &[f32], h: &mut [f32], c: &mut [f32], scratch: &mut RowScratch) {
        let RowScratch { from_x, from_h, reset_h } = scratch;
        from_x.copy_from_slice(&self.bias);
        accumulate(&self.w_ih, x, from_x);
        from_h.fill(0.0);
        if has_enclosed_bias(self.cell) {
            from_h[2 * self.hidden..].copy_from_slice(&self.b_hn);
        }
        match self.cell {
            Cell::Gru { reset: Reset::After, update } => {
                accumulate(&self.w_hh, h, from_h);
                self.gru_after(update, from_x, from_h, h);
            }
            Cell::Gru { reset: Reset::Before, update } => {
                self.gru_before(update, from_x, from_h, reset_h, h);
            }
            Cell::Lstm => {
                accumulate(&self.w_hh, h, from_h);
                self.lstm(from_x, from_h, h, c);
            }
            Cell::Rnn { .. } => {
                accumulate(&self.w_hh, h, from_h);
                for ((h, x), r) in h.iter_mut().zip(&*from_x).zip(&*from_h) {
                    *h = self.gate(x + r);
                }
            }
        }
    }

    fn gate(&self, x: f32) -> f32 {
        apply(self.activations.gate, self.clipped(x))
    }

    fn candidate(&self, x: f32) -> f32 {
        apply(self.activations.candidate, self.clipped(x))
    }

    fn clipped(&self, x: f32) -> f32 {
        self.clip.map_or(x, |clip| x.clamp(-clip, clip))
    }

    fn gru_after(&self, update: Update, from_x: &[f32], from_h: &[f32], h: &mut [f32]) {
        let hidden = h.len();
        for (unit, h) in h.iter_mut().enumerate() {
            let r = self.gate(from_x[unit] + from_h[unit]);
            let z = self.gate(from_x[hidden + unit] + from_h[hidden + unit]);
            let n = self.candidate(from_x[2 * hidden + unit] + r * from_h[2 * hidden + unit]);
            *h = blend(update, z, *h, n);
        }
    }

    fn lstm(&self, from_x: &[f32], from_h: &[f32], h: &mut [f32], c: &mut [f32]) {
        let hidden = h.len();
        for (unit, (h, c)) in h.iter_mut().zip(c).enumerate() {
            let pre = |gate: usize| from_x[gate * hidden + unit] + from_h[gate * hidden + unit];
            *c = self.gate(pre(1)) * *c + self.gate(pre(0)) * self.candidate(pre(2));
            *h = self.gate(pre(3)) * apply(self.activations.output, self.clipped(*c));
        }
    }

    /// The gates' columns first, then r ⊙ h through the candidate's columns.
    fn gru_before(
        &self,
        update: Update,
        from_x: &[f32],
        from_h: &mut [f32],
        reset_h: &mut [f32],
        h: &mut [f32],
    ) {
        let hidden = self.hidden;
        let (gates, candidate) = from_h.split_at_mut(2 * hidden);
        accumulate_columns(&self.w_hh, 3 * hidden, 0, h, gates);
        for ((rh, h), (x, r)) in reset_h.iter_mut().zip(&*h).zip(from_x.iter().zip(&*gates)) {
            *rh = self.gate(x + r) * h;
        }
        accumulate_columns(&self.w_hh, 3 * hidden, 2 * hidden, reset_h, candidate);
        for unit in 0..hidden {
            let z = self.gate(from_x[hidden + unit] + gates[hidden + unit]);
            let n = self.candidate(from_x[2 * hidden + unit] + candidate[unit]);
            h[unit] = blend(update, z, h[unit], n);
        }
    }
}

fn blend(update: Update, z: f32, h: f32, n: f32) -> f32 {
    match update {
        Update::Keeps => z * h + (1.0 - z) * n,
        Update::Takes => (1.0 - z) * h + z * n,
    }
}

/// `sum += v w`; `w`: `[len(v), len(sum)]`.
pub(super) fn accumulate(w: &[f32], v: &[f32], sum: &mut [f32]) {
    accumulate_columns(w, sum.len(), 0, v, sum);
}

/// `sum += v w` over the columns of `w`, `[len(v), pitch]`, from `first` on.
fn accumulate_columns(w: &[f32], pitch: usize, first: usize, v: &[f32], sum: &mut [f32]) {
    for (row, &v) in w.chunks_exact(pitch).zip(v) {
        for (sum, w) in sum.iter_mut().zip(&row[first..]) {
            *sum += v * w;
        }
    }
}
