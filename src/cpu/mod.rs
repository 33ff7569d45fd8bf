//! The CPU path: f32, one thread, weights transposed so that neighbouring units lie side by side and the
//! compiler can use the vector units.
//!
//! A sequence and a session step go through the same code row by row, so they give the same bits.

mod activation;
mod cells;

use crate::dims::Dims;
use crate::model::{Constant, Layer, Model, ReadoutSteps, constants, pack};
use crate::progress::Progress;

/// A model's constants, packed for the CPU.
#[derive(Debug)]
pub struct Network {
    layers: Vec<cells::Packed>,
    readout: Option<Dense>,
}

#[derive(Debug)]
struct Dense {
    w: Vec<f32>,
    b: Vec<f32>,
    steps: ReadoutSteps,
}

/// Memory that a run needs beside its outputs; grows to what is needed and stays.
#[derive(Debug, Default)]
pub struct Scratch {
    row: cells::RowScratch,
    /// Sequences between layers, two in turn.
    between: [Vec<f32>; 2],
}

/// The arrays a run advances and fills.
#[derive(Debug)]
pub struct Targets<'a> {
    /// `[L, B, H]`, from initial to final.
    pub h: &'a mut [f32],
    /// `[L, B, H]`, from initial to final; empty where the cell has none.
    pub c: &'a mut [f32],
    /// `[B, T, H]`.
    pub y: &'a mut [f32],
    /// `[B, T, O]` or `[B, O]`; empty where there is no readout.
    pub out: &'a mut [f32],
}

impl Network {
    /// Packs `model`, whose layers must be forward.
    pub fn new(model: &Model) -> Self {
        let all = constants(model);
        let take = |constant| if all.contains(&constant) { pack(model, constant) } else { Vec::new() };
        let layer = |(index, layer): (usize, &Layer)| cells::Packed {
            cell: layer.cell(),
            input: layer.input(),
            hidden: layer.hidden(),
            w_ih: take(Constant::WIh(index)),
            w_hh: take(Constant::WHh(index)),
            bias: take(Constant::Bias(index)),
            b_hn: take(Constant::BHn(index)),
        };
        let readout = model.readout().map(|readout| Dense {
            w: take(Constant::ReadoutW),
            b: take(Constant::ReadoutB),
            steps: readout.steps(),
        });
        Self { layers: model.layers().iter().enumerate().map(layer).collect(), readout }
    }

    /// Advances the states by T steps. `x`: `[B, T, I]`; `h`, `c`: `[L, B, H]`, c empty where the cell has none;
    /// `y`: `[B, T, H]`; `out`: `[B, T, O]` or `[B, O]`, empty where there is no readout.
    pub fn run(&self, x: &[f32], dims: Dims, scratch: &mut Scratch, to: Targets<'_>, progress: &Progress) {
        let Targets { h, c, y, out } = to;
        let Scratch { row, between } = scratch;
        let [mut from, mut next] = std::mem::take(between);
        let last = self.layers.len() - 1;
        progress.begin((self.layers.len() * dims.batch) as u64);
        for (index, layer) in self.layers.iter().enumerate() {
            let states = index * dims.batch * layer.hidden..(index + 1) * dims.batch * layer.hidden;
            let h = &mut h[states.clone()];
            let c = if c.is_empty() { &mut [][..] } else { &mut c[states] };
            let x = if index == 0 { x } else { &from };
            if index == last {
                layer.run(x, dims.steps, (h, c), row, y, progress);
            } else {
                next.resize(dims.batch * dims.steps * layer.hidden, 0.0);
                layer.run(x, dims.steps, (h, c), row, &mut next, progress);
                std::mem::swap(&mut from, &mut next);
            }
        }
        *between = [from, next];
        if let Some(readout) = &self.readout {
            readout.apply(y, self.layers[last].hidden, dims.steps, out);
        }
    }
}

impl Dense {
    fn apply(&self, y: &[f32], features: usize, steps: usize, out: &mut [f32]) {
        let stride = match self.steps {
            ReadoutSteps::Every => 1,
            ReadoutSteps::Last => steps,
        };
        let rows = y.chunks_exact(features).skip(stride - 1).step_by(stride);
        for (row, out) in rows.zip(out.chunks_exact_mut(self.b.len())) {
            out.fill(0.0);
            cells::accumulate(&self.w, row, out);
            for (out, b) in out.iter_mut().zip(&self.b) {
                *out += b;
            }
        }
    }
}
