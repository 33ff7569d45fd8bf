//! An engine of its own, in f64 and from the equations, that can make one of the slips that no change of a model, a
//! batch or an output expresses. Without a slip it gives the goldens' numbers.

use wgru::model::{Activation, Activations, Forget, Function, Reset, Update};
use wgru::{Cell, Fill, Layer, Layout, Output, Weights};

use crate::golden::Golden;

/// What it does otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Slip {
    None,
    /// p_o weighs c and not c'.
    PeepholeOnOldC,
    /// The clip is that of the gates and not of the candidate.
    ClipOnGatesOnly,
    /// The clip is that of the candidate and not of the gates.
    ClipOnCandidateOnly,
    /// Peepholes are added to what is clipped already.
    ClipBeforePeepholes,
    /// W x and R h are clipped each, and their sum is not.
    ClipOnProducts,
    /// h' is made of c' as it was before its clip.
    StateClipAfterH,
    /// The state clip is that of an LSTM's h.
    StateClipOnH,
    /// With reset before, c_n is weighed by r.
    ResetOnBias,
    /// A unit's h' is where another unit still reads h.
    UnitsInPlace,
    /// A row starts where the row before ended.
    RowsInARow,
    /// Every step starts from the initial state.
    NothingCarried,
    /// A direction of an upper layer has the other's states.
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
        other => panic!("no golden has {other:?}"),
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

    fn step(&self, x: &[f64], h: &mut Vec<f64>, c: &mut [f64]) {
        let Self { weights, layer, slip, .. } = self;
        let (units, bound) = (layer.hidden(), layer.state_clip());
        let from_x = |row: usize| self.product(&weights.w_ih, weights.b_ih.as_ref(), x, row);
        let from_h = |h: &[f64], row: usize| self.product(&weights.w_hh, weights.b_hh.as_ref(), h, row);
        let mut read = h.clone();
        let mut made = vec![0.0; units];
        for unit in 0..units {
            let pre = |h: &[f64], gate: usize| from_x(gate * units + unit) + from_h(h, gate * units + unit);
            made[unit] = match layer.cell() {
                Cell::Rnn => bounded(self.gate(pre(&read, 0)), bound),
                Cell::Gru { reset, update } => {
                    let r = |unit: usize| self.gate(from_x(unit) + from_h(&read, unit));
                    let (z, n_row) = (self.gate(pre(&read, 1)), 2 * units + unit);
                    let inner = match reset {
                        Reset::After => r(unit) * from_h(&read, n_row),
                        Reset::Before => {
                            let reset_h: Vec<f64> = (0..units).map(|unit| r(unit) * read[unit]).collect();
                            let c_n = weights.b_hh.as_ref().map_or(0.0, |b| f64::from(b[n_row]));
                            let weighed =
                                if *slip == Slip::ResetOnBias { (r(unit) - 1.0) * c_n } else { 0.0 };
                            from_h(&reset_h, n_row) + weighed
                        }
                    };
                    let n = self.candidate(from_x(n_row) + inner);
                    let keeps = if update == Update::Keeps { z } else { 1.0 - z };
                    bounded(keeps * read[unit] + (1.0 - keeps) * n, bound)
                }
                Cell::Lstm { forget } => {
                    let peephole = |gate: usize, c: f64| {
                        weights.peepholes.as_ref().map_or(0.0, |p| f64::from(p[gate * units + unit]) * c)
                    };
                    let gated = |gate: usize, peephole: f64| {
                        let early = self.clip(*slip == Slip::ClipBeforePeepholes);
                        self.gate(bounded(pre(&read, gate), early) + peephole)
                    };
                    let old = c[unit];
                    let i = gated(0, peephole(0, old));
                    let f = match forget {
                        Forget::Own => gated(1, peephole(1, old)),
                        Forget::Coupled => 1.0 - i,
                    };
                    let whole = f * old + i * self.candidate(pre(&read, 2));
                    let on_c = bound.filter(|_| *slip != Slip::StateClipOnH);
                    c[unit] = bounded(whole, on_c);
                    let o = gated(3, peephole(2, if *slip == Slip::PeepholeOnOldC { old } else { c[unit] }));
                    let shown = if *slip == Slip::StateClipAfterH { whole } else { c[unit] };
                    let h = o * apply(self.activations.output, bounded(shown, layer.clip()));
                    bounded(h, bound.filter(|_| *slip == Slip::StateClipOnH))
                }
            };
            if *slip == Slip::UnitsInPlace && layer.projection().is_none() {
                read[unit] = made[unit];
            }
        }
        *h = match &weights.w_hr {
            Some(w_hr) => {
                let rows = w_hr.chunks_exact(units);
                rows.map(|row| row.iter().zip(&made).map(|(&w, h)| f64::from(w) * h).sum()).collect()
            }
            None => made,
        };
    }
}

/// What a golden's model makes of its batch, with a slip.
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
                let initial = (first(&inputs.h0, layer.state(), b), first(&inputs.c0, layer.hidden(), b));
                let (mut h, mut c) = match last.take() {
                    Some(last) if slip == Slip::RowsInARow => last,
                    _ => initial.clone(),
                };
                let length = inputs.lengths.as_ref().map_or(steps, |all| all[b] as usize);
                let mut out = vec![vec![0.0; layer.state()]; steps];
                for step in 0..length {
                    let t = if reverse { length - 1 - step } else { step };
                    if slip == Slip::NothingCarried {
                        (h, c) = initial.clone();
                    }
                    side.step(&y[b][t], &mut h, &mut c);
                    out[t].clone_from(&h);
                }
                if inputs.fill == Fill::Last && !reverse && length > 0 {
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
    let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let all = (0..steps).flat_map(|t| (0..batch).map(move |b| (t, b)));
    let y: Vec<f32> = match inputs.layouts.1 {
        Layout::BatchMajor => y.iter().flatten().flat_map(|y| narrow(y)).collect(),
        Layout::TimeMajor => all.flat_map(|(t, b)| narrow(&y[b][t])).collect(),
        Layout::DirectionMajor => {
            let (dirs, state) = (model.output() / model.state(), model.state());
            let of = |t: usize| (0..dirs).flat_map(move |d| (0..batch).map(move |b| (t, d, b)));
            (0..steps).flat_map(of).flat_map(|(t, d, b)| narrow(&y[b][t][d * state..][..state])).collect()
        }
    };
    Output { y, h_n, c_n: model.cell().has_c().then_some(c_n), out: None }
}
