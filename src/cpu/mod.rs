//! The CPU path: f32, one thread, weights transposed so that neighbouring units lie side by side and the
//! compiler can use the vector units.
//!
//! A sequence and a session step go through the same code row by row, so they give the same bits.

mod activation;
mod cells;

use activation::General;

use crate::dtype::{Precision, Storage};
use crate::error::Result;
use crate::io::{Form, Layout, Strides};
use crate::model::{Constant, Layer, Model, ReadoutSteps, constants, pack};
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
    /// `[L·D, B, P]`, from initial to final.
    pub h: &'a mut [f32],
    /// `[L·D, B, H]`, from initial to final; empty where the cell has none.
    pub c: &'a mut [f32],
    /// In the order that the form says.
    pub y: &'a mut [f32],
    /// `[B, O]`, or every step in the order that the form says; empty where there is no readout.
    pub out: &'a mut [f32],
}

impl Network {
    /// Packs `model`. Weights are rounded to their storage type here, and kept in f32.
    pub fn new(model: &Model, precision: Precision) -> Result<Self> {
        let readout = match model.readout() {
            Some(readout) => Some(Dense {
                w: rounded(model, Constant::ReadoutW, precision.weights)?,
                b: pack(model, Constant::ReadoutB),
                steps: readout.steps(),
            }),
            None => None,
        };
        let layers = model.layers().iter().enumerate();
        let layers: Result<_> =
            layers.map(|(index, layer)| directions(model, index, layer, precision)).collect();
        Ok(Self { layers: layers?, readout })
    }

    /// Advances the states by T steps, or as many as `lengths` `[B]` says. `x` lies as `form` says.
    pub fn run(
        &self,
        x: &[f32],
        form: Form,
        lengths: Option<&[u32]>,
        scratch: &mut Scratch,
        to: Targets<'_>,
        progress: &Progress,
    ) {
        let Targets { h, c, y, out } = to;
        let Scratch { row, between } = scratch;
        let [mut from, mut next] = std::mem::take(between);
        let dims = form.dims;
        let last = self.layers.len() - 1;
        let directions = self.layers[0].len();
        let states = self.layers.len() * directions;
        let (h_len, c_len) = (h.len() / states, c.len() / states);
        let state = self.layers[0][0].state;
        let output = directions * state;
        progress.begin((states * dims.batch) as u64);
        let first = &self.layers[0][0];
        let features = if form.projected { directions * first.bias.len() } else { first.input };
        let mut input = Strides::of(form.x, dims, 1, features);
        for (index, layer) in self.layers.iter().enumerate() {
            if index < last {
                next.resize(dims.steps * dims.batch * output, 0.0);
            }
            let layout = if index < last { Layout::BatchMajor } else { form.y };
            let strides = Strides::of(layout, dims, directions, state);
            let data = if index == 0 { x } else { &from };
            let projected = index == 0 && form.projected;
            let x = cells::Input { data, strides: input, steps: dims.steps, lengths, projected };
            let y = if index < last { &mut next[..] } else { &mut *y };
            for packed in layer {
                let at = index * directions + packed.direction;
                let h = &mut h[at * h_len..][..h_len];
                let c = &mut c[at * c_len..][..c_len];
                packed.run(x, (h, c), row, (y, strides, form.fill), progress);
            }
            input = strides;
            std::mem::swap(&mut from, &mut next);
        }
        *between = [from, next];
        if let Some(readout) = &self.readout {
            let y = cells::Input { data: y, strides: input, steps: dims.steps, lengths, projected: false };
            readout.apply(y, output, form, out);
        }
    }
}

/// The directions of layer `index`.
fn directions(
    model: &Model,
    index: usize,
    layer: &Layer,
    precision: Precision,
) -> Result<Vec<cells::Packed>> {
    let count = layer.direction().count();
    let present = constants(model);
    // One part per direction; empty ones where the layer has no such constant.
    let parts = |constant: Constant, storage: Storage| -> Result<Vec<Vec<f32>>> {
        if !present.contains(&constant) {
            return Ok(vec![Vec::new(); count]);
        }
        let all = rounded(model, constant, storage)?;
        Ok(all.chunks_exact(all.len() / count).map(<[f32]>::to_vec).collect())
    };
    let mut w_ih = parts(Constant::WIh(index), precision.weights)?;
    let mut w_hh = parts(Constant::WHh(index), precision.weights)?;
    let mut w_hr = parts(Constant::WHr(index), precision.weights)?;
    let mut bias = parts(Constant::Bias(index), Storage::F32)?;
    let mut b_hn = parts(Constant::BHn(index), Storage::F32)?;
    let mut peepholes = parts(Constant::Peepholes(index), Storage::F32)?;
    let packed = (0..count)
        .map(|direction| cells::Packed {
            cell: layer.cell(),
            input: layer.input(),
            hidden: layer.hidden(),
            state: layer.state(),
            reverse: layer.direction().is_reverse(direction),
            direction,
            functions: General::of(layer, direction),
            state_clip: layer.state_clip().unwrap_or(f32::INFINITY),
            w_ih: std::mem::take(&mut w_ih[direction]),
            w_hh: std::mem::take(&mut w_hh[direction]),
            bias: std::mem::take(&mut bias[direction]),
            b_hn: std::mem::take(&mut b_hn[direction]),
            peepholes: std::mem::take(&mut peepholes[direction]),
            w_hr: std::mem::take(&mut w_hr[direction]),
            activations: precision.activations,
        })
        .collect();
    Ok(packed)
}

/// A constant as `storage` keeps it.
///
/// # Errors
/// [`crate::Error::Mismatch`] for a weight beyond the range of f16.
fn rounded(model: &Model, constant: Constant, storage: Storage) -> Result<Vec<f32>> {
    let mut values = pack(model, constant);
    storage.check_range(&format!("{constant:?}"), &values)?;
    values.iter_mut().for_each(|value| *value = storage.round(*value));
    Ok(values)
}

impl Dense {
    /// `out`: every step in the order of `form`, or `[B, O]` on each sequence's last step, where y is 0 if there
    /// is none. `features`: D·P.
    fn apply(&self, y: cells::Input<'_>, features: usize, form: Form, out: &mut [f32]) {
        let outputs = self.b.len();
        let (steps, to) = match self.steps {
            ReadoutSteps::Every => (form.dims.steps, Strides::of(form.y, form.dims, 1, outputs)),
            ReadoutSteps::Last => (1, Strides { step: 0, row: outputs, dir: 0 }),
        };
        for b in 0..form.dims.batch {
            for step in 0..steps {
                let time = match self.steps {
                    ReadoutSteps::Every => Some(step),
                    ReadoutSteps::Last => y.length(b).checked_sub(1),
                };
                let out = &mut out[b * to.row + step * to.step..][..outputs];
                out.fill(0.0);
                if let Some(time) = time {
                    let y = &y.data[b * y.strides.row + time * y.strides.step..][..features];
                    cells::accumulate(&self.w, y, out);
                }
                for (out, b) in out.iter_mut().zip(&self.b) {
                    *out += b;
                }
            }
        }
    }
}
