//! A separate engine, in f64 and from the equations, that can make errors that no change of a model, a batch or an
//! output expresses. Without an error it gives the goldens' numbers.

use wgru::model::{Activation, Activations, Forget, Function, Reset, Update};
use wgru::{Cell, Layer, Layout, Output, Padding, Weights};

use crate::golden::Golden;
use crate::mutations::faults::at;

/// The error that it makes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Slip {
    None,
    /// p_o multiplies c and not c'.
    PeepholeOnOldC,
    /// The clip applies to the gates and not to the candidate.
    ClipOnGatesOnly,
    /// The clip applies to the candidate and not to the gates.
    ClipOnCandidateOnly,
    /// Peepholes are added after the clip.
    ClipBeforePeepholes,
    /// W x and R h are clipped separately, and their sum is not.
    ClipOnProducts,
    /// h' is computed from c' before its clip.
    StateClipAfterH,
    /// The state clip is applied to an LSTM's h.
    StateClipOnH,
    /// With reset before, c_n is multiplied by r.
    ResetOnBias,
    /// A unit's h' overwrites the h that another unit still reads.
    UnitsInPlace,
    /// A row starts from the final state of the previous row.
    RowsInARow,
    /// Every step starts from the initial state.
    NothingCarried,
    /// Each direction starts from the initial states of the other.
    StatesOfTheOtherDirection,
}

fn apply(activation: Activation, x: f64) -> f64 {
    let (alpha, beta) = (f64::from(activation.alpha()), f64::from(activation.beta()));
    match activation.function() {
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Function::Tanh => x.tanh(),
        Function::Relu => x.max(0.0),
        Function::LeakyRelu => {
            if x < 0.0 {
                alpha * x
            } else {
                x
            }
        }
        Function::ScaledTanh => alpha * (beta * x).tanh(),
        Function::HardSigmoid => (alpha * x + beta).clamp(0.0, 1.0),
        Function::Elu => {
            if x < 0.0 {
                alpha * (x.exp() - 1.0)
            } else {
                x
            }
        }
        Function::Softsign => x / (1.0 + x.abs()),
        Function::Affine => alpha * x + beta,
        Function::ThresholdedRelu => {
            if x > alpha {
                x
            } else {
                0.0
            }
        }
        Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        other => panic!("{other:?} is not computed here"),
    }
}

/// One direction of a layer.
struct Side<'a> {
    layer: &'a Layer,
    weights: &'a Weights,
    activations: Activations,
    slip: Slip,
}

fn bounded(x: f64, bound: Option<f32>) -> f64 {
    bound.map_or(x, |bound| x.clamp(-f64::from(bound), f64::from(bound)))
}

impl Side<'_> {
    fn clip(&self, clips: bool) -> Option<f32> {
        self.layer.clip().filter(|_| clips)
    }

    fn gate(&self, x: f64) -> f64 {
        let otherwise = [Slip::ClipOnCandidateOnly, Slip::ClipOnProducts, Slip::ClipBeforePeepholes];
        apply(self.activations.gate, bounded(x, self.clip(!otherwise.contains(&self.slip))))
    }

    fn candidate(&self, x: f64) -> f64 {
        let otherwise = [Slip::ClipOnGatesOnly, Slip::ClipOnProducts];
        apply(self.activations.candidate, bounded(x, self.clip(!otherwise.contains(&self.slip))))
    }

    /// Row `row` of `w v + b`.
    fn product(&self, w: &[f32], b: Option<&Vec<f32>>, v: &[f64], row: usize) -> f64 {
        let terms = w[row * v.len()..][..v.len()].iter().zip(v);
        let sum = terms.map(|(&w, v)| f64::from(w) * v).sum::<f64>() + b.map_or(0.0, |b| f64::from(b[row]));
        bounded(sum, self.clip(self.slip == Slip::ClipOnProducts))
    }

    fn of_x(&self, x: &[f64], row: usize) -> f64 {
        self.product(&self.weights.w_ih, self.weights.b_ih.as_ref(), x, row)
    }

    fn of_h(&self, h: &[f64], row: usize) -> f64 {
        self.product(&self.weights.w_hh, self.weights.b_hh.as_ref(), h, row)
    }

    /// Both products of a gate of a unit.
    fn pre(&self, x: &[f64], h: &[f64], gate: usize, unit: usize) -> f64 {
        let row = gate * self.layer.hidden() + unit;
        self.of_x(x, row) + self.of_h(h, row)
    }

    fn step(&self, x: &[f64], h: &mut Vec<f64>, c: &mut [f64]) {
        let units = self.layer.hidden();
        let mut read = h.clone();
        let mut made = vec![0.0; units];
        for unit in 0..units {
            made[unit] = match self.layer.cell() {
                Cell::Rnn => bounded(self.gate(self.pre(x, &read, 0, unit)), self.layer.state_clip()),
                Cell::Gru { reset, update } => self.gru(reset, update, x, &read, unit),
                Cell::Lstm { forget } => self.lstm(forget, x, &read, &mut c[unit], unit),
                other => panic!("{other} is not computed here"),
            };
            if self.slip == Slip::UnitsInPlace && self.layer.projection().is_none() {
                read[unit] = made[unit];
            }
        }
        *h = match &self.weights.w_hr {
            Some(w_hr) => {
                let rows = w_hr.chunks_exact(units);
                rows.map(|row| row.iter().zip(&made).map(|(&w, h)| f64::from(w) * h).sum()).collect()
            }
            None => made,
        };
    }

    fn gru(&self, reset: Reset, update: Update, x: &[f64], h: &[f64], unit: usize) -> f64 {
        let r = |unit: usize| self.gate(self.pre(x, h, 0, unit));
        let (z, n_row) = (self.gate(self.pre(x, h, 1, unit)), 2 * h.len() + unit);
        let inner = match reset {
            Reset::After => r(unit) * self.of_h(h, n_row),
            Reset::Before => {
                let reset_h: Vec<f64> = h.iter().enumerate().map(|(unit, h)| r(unit) * h).collect();
                let c_n = self.weights.b_hh.as_ref().map_or(0.0, |b| f64::from(b[n_row]));
                let weighed = if self.slip == Slip::ResetOnBias { (r(unit) - 1.0) * c_n } else { 0.0 };
                self.of_h(&reset_h, n_row) + weighed
            }
        };
        let n = self.candidate(self.of_x(x, n_row) + inner);
        let keeps = if update == Update::Keeps { z } else { 1.0 - z };
        bounded(keeps * h[unit] + (1.0 - keeps) * n, self.layer.state_clip())
    }

    fn lstm(&self, forget: Forget, x: &[f64], h: &[f64], c: &mut f64, unit: usize) -> f64 {
        let (slip, state_clip) = (self.slip, self.layer.state_clip());
        let gated = |place: usize, gate: usize, c: f64| {
            let peepholes = self.weights.peepholes.as_ref();
            let weight = peepholes.map_or(0.0, |p| f64::from(p[place * self.layer.hidden() + unit]));
            let early = self.clip(slip == Slip::ClipBeforePeepholes);
            self.gate(bounded(self.pre(x, h, gate, unit), early) + weight * c)
        };
        let old = *c;
        let i = gated(0, 0, old);
        let f = match forget {
            Forget::Own => gated(1, 1, old),
            Forget::Coupled => 1.0 - i,
        };
        let whole = f * old + i * self.candidate(self.pre(x, h, 2, unit));
        *c = bounded(whole, state_clip.filter(|_| slip != Slip::StateClipOnH));
        let o = gated(2, 3, if slip == Slip::PeepholeOnOldC { old } else { *c });
        let shown = if slip == Slip::StateClipAfterH { whole } else { *c };
        let h = o * apply(self.activations.output, shown);
        bounded(h, state_clip.filter(|_| slip == Slip::StateClipOnH))
    }
}

/// The results of a golden's model for its batch, with an error.
pub fn run(golden: &Golden, slip: Slip) -> Output {
    let (model, inputs) = (&golden.model, &golden.inputs);
    let (batch, steps) = (inputs.dims.batch, inputs.dims.steps);
    let input = |b: usize, t: usize| {
        let row = if inputs.layouts.0 == Layout::BatchMajor { b * steps + t } else { t * batch + b };
        inputs.x[row * inputs.input..][..inputs.input].iter().map(|&v| f64::from(v)).collect::<Vec<f64>>()
    };
    let mut y: Vec<Vec<Vec<f64>>> = (0..batch).map(|b| (0..steps).map(|t| input(b, t)).collect()).collect();
    let (mut h_n, mut c_n) = (Vec::new(), Vec::new());
    for (index, layer) in model.layers().iter().enumerate() {
        let dirs = layer.direction().count();
        let mut next = vec![vec![Vec::new(); steps]; batch];
        for d in 0..dirs {
            let from = if slip == Slip::StatesOfTheOtherDirection { dirs - 1 - d } else { d };
            let first = |states: &Option<Vec<f32>>, features: usize, b: usize| -> Vec<f64> {
                let at = ((index * dirs + from) * batch + b) * features;
                states.as_ref().map_or(vec![0.0; features], |all| {
                    all[at..at + features].iter().map(|&v| f64::from(v)).collect()
                })
            };
            let (weights, activations) = (&layer.weights()[d], layer.activations()[d]);
            let side = Side { layer, weights, activations, slip };
            let reverse = layer.direction().is_reverse(d);
            let mut last: Option<(Vec<f64>, Vec<f64>)> = None;
            for b in 0..batch {
                let initial =
                    (first(&inputs.h0, layer.state_size(), b), first(&inputs.c0, layer.hidden(), b));
                let (mut h, mut c) = match last.take() {
                    Some(last) if slip == Slip::RowsInARow => last,
                    _ => initial.clone(),
                };
                let length = inputs.lengths.as_ref().map_or(steps, |all| all[b] as usize);
                let mut out = vec![vec![0.0; layer.state_size()]; steps];
                for step in 0..length {
                    let t = if reverse { length - 1 - step } else { step };
                    if slip == Slip::NothingCarried {
                        (h, c) = initial.clone();
                    }
                    side.step(&y[b][t], &mut h, &mut c);
                    out[t].clone_from(&h);
                }
                if inputs.padding == Padding::Last && !reverse && length > 0 {
                    out[length..].iter_mut().for_each(|out| out.clone_from(&h));
                }
                next[b].iter_mut().zip(out).for_each(|(to, from)| to.extend(from));
                h_n.extend(h.iter().map(|&v| v as f32));
                c_n.extend(c.iter().map(|&v| v as f32));
                last = Some((h, c));
            }
        }
        y = next;
    }
    let y = laid_out(golden, &y);
    Output { y, h_n, c_n: model.cell().has_c().then_some(c_n), out: None }
}

/// `[B][T][D·P]` in the golden's layout of y.
fn laid_out(golden: &Golden, y: &[Vec<Vec<f64>>]) -> Vec<f32> {
    let (dims, state, features) = (golden.inputs.dims, golden.model.state_size(), golden.model.output());
    let mut out = vec![0.0; dims.batch * dims.steps * features];
    for (b, t) in (0..dims.batch).flat_map(|b| (0..dims.steps).map(move |t| (b, t))) {
        for d in 0..features / state {
            let values = y[b][t][d * state..][..state].iter().map(|&v| v as f32);
            out[at(golden, b, t, d)..].iter_mut().zip(values).for_each(|(to, v)| *to = v);
        }
    }
    out
}
