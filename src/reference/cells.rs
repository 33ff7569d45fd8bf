//! One step of one sequence, cell by cell, written like the equations in [`crate::model`].

use crate::model::{Activation, Activations, Cell, Forget, Function, Reset, Update, Weights};

/// One direction of a layer: the constants of a step.
pub(super) struct Direction<'a> {
    pub(super) cell: Cell,
    pub(super) weights: &'a Weights,
    pub(super) activations: Activations,
    pub(super) clip: Option<f32>,
    pub(super) state_clip: Option<f32>,
    /// Whether x is `w_ih x`.
    pub(super) projected: bool,
}

impl Direction<'_> {
    /// `x`: `[I]`, or `[G·H]` where it is projected; `h`: `[P]`, `c`: `[H]`, replaced by h' and c'. A cell without c leaves `c`
    /// unchanged.
    pub(super) fn step(&self, x: &[f64], h: &mut [f64], c: &mut [f64]) {
        match self.cell {
            Cell::Gru { reset, update } => self.gru(reset, update, x, h),
            Cell::Lstm { forget } => self.lstm(forget, x, h, c),
            Cell::Rnn => self.rnn(x, h),
        }
    }

    fn gate(&self, x: f64) -> f64 {
        apply(self.activations.gate, self.clipped(x))
    }

    fn candidate(&self, x: f64) -> f64 {
        apply(self.activations.candidate, self.clipped(x))
    }

    fn output(&self, x: f64) -> f64 {
        apply(self.activations.output, x)
    }

    fn clipped(&self, x: f64) -> f64 {
        self.clip.map_or(x, |clip| x.clamp(-f64::from(clip), f64::from(clip)))
    }

    /// The new state after the clip, for the next step and the output.
    fn state(&self, x: f64) -> f64 {
        self.state_clip.map_or(x, |clip| x.clamp(-f64::from(clip), f64::from(clip)))
    }

    /// `w_ih x + b_ih` and `w_hh h + b_hh`, `[G·H]` each.
    fn products(&self, x: &[f64], h: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let rows = self.weights.w_hh.len() / h.len();
        let b_ih = self.weights.b_ih.as_deref();
        let from_x = match self.projected {
            false => affine(&self.weights.w_ih, b_ih, x, rows),
            true => {
                x.iter().enumerate().map(|(row, x)| x + b_ih.map_or(0.0, |b| f64::from(b[row]))).collect()
            }
        };
        let from_h = affine(&self.weights.w_hh, self.weights.b_hh.as_deref(), h, rows);
        (from_x, from_h)
    }

    fn gru(&self, reset: Reset, update: Update, x: &[f64], h: &mut [f64]) {
        let n_units = h.len();
        let (from_x, from_h) = self.products(x, h);
        let gate = |block: usize, unit: usize| {
            self.gate(from_x[block * n_units + unit] + from_h[block * n_units + unit])
        };
        let r: Vec<f64> = (0..n_units).map(|unit| gate(0, unit)).collect();
        let z: Vec<f64> = (0..n_units).map(|unit| gate(1, unit)).collect();

        let recurrent: Vec<f64> = match reset {
            Reset::After => r.iter().zip(&from_h[2 * n_units..]).map(|(r, product)| r * product).collect(),
            Reset::Before => {
                let reset_h: Vec<f64> = r.iter().zip(h.iter()).map(|(r, h)| r * h).collect();
                let w_n = &self.weights.w_hh[2 * n_units * n_units..];
                let b_n = self.weights.b_hh.as_deref().map(|b| &b[2 * n_units..]);
                affine(w_n, b_n, &reset_h, n_units)
            }
        };
        for unit in 0..n_units {
            let n = self.candidate(from_x[2 * n_units + unit] + recurrent[unit]);
            h[unit] = self.state(match update {
                Update::Keeps => z[unit] * h[unit] + (1.0 - z[unit]) * n,
                Update::Takes => (1.0 - z[unit]) * h[unit] + z[unit] * n,
            });
        }
    }

    fn lstm(&self, forget: Forget, x: &[f64], h: &mut [f64], c: &mut [f64]) {
        let n_units = c.len();
        let (from_x, from_h) = self.products(x, h);
        let pre = |block: usize, unit: usize| from_x[block * n_units + unit] + from_h[block * n_units + unit];
        // Without peepholes nothing is added: 0 · c would be NaN where c is infinite.
        let peephole = |block: usize, unit: usize, c: &[f64]| {
            self.weights.peepholes.as_ref().map_or(0.0, |p| f64::from(p[block * n_units + unit]) * c[unit])
        };
        let mut unprojected = vec![0.0; n_units];
        for unit in 0..n_units {
            let i = self.gate(pre(0, unit) + peephole(0, unit, c));
            let f = match forget {
                Forget::Own => self.gate(pre(1, unit) + peephole(1, unit, c)),
                Forget::Coupled => 1.0 - i,
            };
            let g = self.candidate(pre(2, unit));
            c[unit] = self.state(f * c[unit] + i * g);
            let o = self.gate(pre(3, unit) + peephole(2, unit, c));
            unprojected[unit] = o * self.output(c[unit]);
        }
        match &self.weights.w_hr {
            Some(w_hr) => h.copy_from_slice(&affine(w_hr, None, &unprojected, h.len())),
            None => h.copy_from_slice(&unprojected),
        }
    }

    fn rnn(&self, x: &[f64], h: &mut [f64]) {
        let (from_x, from_h) = self.products(x, h);
        for ((h, x), r) in h.iter_mut().zip(from_x).zip(from_h) {
            *h = self.state(self.gate(x + r));
        }
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

/// The activations as [`crate::model::Activation`] defines them. Comparisons are written so that NaN stays NaN.
fn apply(activation: Activation, x: f64) -> f64 {
    let (alpha, beta) = (f64::from(activation.alpha()), f64::from(activation.beta()));
    match activation.function() {
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Function::Tanh => x.tanh(),
        Function::Relu if x < 0.0 => 0.0,
        Function::Relu => x,
        Function::Affine => alpha * x + beta,
        Function::LeakyRelu if x < 0.0 => alpha * x,
        Function::LeakyRelu => x,
        Function::ThresholdedRelu if x <= alpha => 0.0,
        Function::ThresholdedRelu => x,
        Function::ScaledTanh => alpha * (beta * x).tanh(),
        Function::HardSigmoid => (alpha * x + beta).clamp(0.0, 1.0),
        Function::Elu if x < 0.0 => alpha * x.exp_m1(),
        Function::Elu => x,
        Function::Softsign => x / (1.0 + x.abs()),
        // ln(1 + eˣ) without overflow; the second term propagates NaN.
        Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
    }
}
