//! The CPU path: f32, one thread, weights transposed so that neighbouring units lie side by side and the
//! compiler can use the vector units.
//!
//! A sequence and a session step go through the same code row by row, so they give the same bits.

mod activation;
mod cells;

use crate::dims::Dims;
use crate::model::{Constant, Layer, Model, ReadoutSteps, has_enclosed_bias, pack};
use crate::progress::Progress;

/// A model's constants, packed for the CPU.
#[derive(Debug)]
pub struct Network {
    /// One per direction of each layer.
    layers: Vec<Vec<cells::Packed>>,
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
    /// `[L·D, B, H]`, from initial to final.
    pub h: &'a mut [f32],
    /// `[L·D, B, H]`, from initial to final; empty where the cell has none.
    pub c: &'a mut [f32],
    /// `[B, T, D·H]`.
    pub y: &'a mut [f32],
    /// `[B, T, O]` or `[B, O]`; empty where there is no readout.
    pub out: &'a mut [f32],
}

impl Network {
    /// Packs `model`.
    pub fn new(model: &Model) -> Self {
        let readout = model.readout().map(|readout| Dense {
            w: pack(model, Constant::ReadoutW),
            b: pack(model, Constant::ReadoutB),
            steps: readout.steps(),
        });
        let layers = model.layers().iter().enumerate();
        Self { layers: layers.map(|(index, layer)| directions(model, index, layer)).collect(), readout }
    }

    /// Advances the states by T steps, or as many as `lengths` `[B]` says. `x`: `[B, T, I]`.
    pub fn run(
        &self,
        x: &[f32],
        dims: Dims,
        lengths: Option<&[u32]>,
        scratch: &mut Scratch,
        to: Targets<'_>,
        progress: &Progress,
    ) {
        let Targets { h, c, y, out } = to;
        let Scratch { row, between } = scratch;
        let [mut from, mut next] = std::mem::take(between);
        let last = self.layers.len() - 1;
        let directions = self.layers[0].len();
        let size = dims.batch * self.layers[0][0].hidden;
        progress.begin((self.layers.len() * directions * dims.batch) as u64);
        for (index, layer) in self.layers.iter().enumerate() {
            if index < last {
                next.resize(dims.steps * directions * size, 0.0);
            }
            let x = if index == 0 { x } else { &from };
            let y = if index < last { &mut next[..] } else { &mut *y };
            for (direction, packed) in layer.iter().enumerate() {
                let state = index * directions + direction;
                let h = &mut h[state * size..][..size];
                let c = if c.is_empty() { &mut [][..] } else { &mut c[state * size..][..size] };
                packed.run((x, dims.steps, lengths), (h, c), row, y, progress);
            }
            std::mem::swap(&mut from, &mut next);
        }
        *between = [from, next];
        if let Some(readout) = &self.readout {
            let features = directions * self.layers[last][0].hidden;
            readout.apply((y, features), (dims, lengths), out);
        }
    }
}

/// The directions of layer `index`.
fn directions(model: &Model, index: usize, layer: &Layer) -> Vec<cells::Packed> {
    let count = layer.direction().count();
    let parts = |constant| {
        let all = pack(model, constant);
        all.chunks_exact(all.len() / count).map(<[f32]>::to_vec).collect::<Vec<_>>().into_iter()
    };
    let mut w_ih = parts(Constant::WIh(index));
    let mut w_hh = parts(Constant::WHh(index));
    let mut bias = parts(Constant::Bias(index));
    let mut b_hn = has_enclosed_bias(layer.cell()).then(|| parts(Constant::BHn(index)));
    (0..count)
        .map(|direction| cells::Packed {
            cell: layer.cell(),
            input: layer.input(),
            hidden: layer.hidden(),
            reverse: layer.direction().is_reverse(direction),
            column: direction * layer.hidden(),
            output: layer.output(),
            activations: layer.activations()[direction],
            clip: layer.clip(),
            w_ih: w_ih.next().unwrap_or_default(),
            w_hh: w_hh.next().unwrap_or_default(),
            bias: bias.next().unwrap_or_default(),
            b_hn: b_hn.as_mut().and_then(Iterator::next).unwrap_or_default(),
        })
        .collect()
}

impl Dense {
    /// `y`: `[B, T, features]`; `out`: `[B, T, O]`, or `[B, O]` on each sequence's last step, where y is 0 if there is none.
    fn apply(
        &self,
        (y, features): (&[f32], usize),
        (dims, lengths): (Dims, Option<&[u32]>),
        out: &mut [f32],
    ) {
        for (index, out) in out.chunks_exact_mut(self.b.len()).enumerate() {
            let row = match self.steps {
                ReadoutSteps::Every => Some(index),
                ReadoutSteps::Last => {
                    let length = lengths.map_or(dims.steps, |lengths| lengths[index] as usize);
                    length.checked_sub(1).map(|last| index * dims.steps + last)
                }
            };
            out.fill(0.0);
            if let Some(row) = row {
                cells::accumulate(&self.w, &y[row * features..][..features], out);
            }
            for (out, b) in out.iter_mut().zip(&self.b) {
                *out += b;
            }
        }
    }
}
