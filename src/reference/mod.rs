//! The truth: every cell in f64, straight from the equations in [`crate::model`], slow on purpose.
//!
//! Nothing here is shared with the paths it judges: no packing, no fused biases, no activation of ours.

mod cells;
mod tolerance;

pub use tolerance::{Comparison, Tolerance, compare};

use crate::dims::Dims;
use crate::error::Result;
use crate::io::{Batch, Output, OutputShape, State};
use crate::model::{Layer, Model, Readout, ReadoutSteps};

/// Runs `batch` through `model` in f64.
///
/// # Errors
/// A batch that does not fit the model (see [`Batch`]).
pub fn run(model: &Model, batch: &Batch<'_>) -> Result<Output<f64>> {
    batch.check(model)?;
    OutputShape::new(model, batch.dims())?;
    let mut state = State::zeros(model, batch.dims().batch)?;
    batch.initial_states(&mut state.h, state.c.as_deref_mut().unwrap_or_default());
    let (y, out) = advance(model, batch.x(), batch.dims(), batch.lengths_of(), &mut state);
    Ok(Output { y, h_n: state.h, c_n: state.c, out })
}

/// `x`: `[B, T, I]`; `lengths`: `[B]`, T where `None`; advances `state` and returns y and the readout.
pub(crate) fn advance(
    model: &Model,
    x: &[f32],
    dims: Dims,
    lengths: Option<&[u32]>,
    state: &mut State<f64>,
) -> (Vec<f64>, Option<Vec<f64>>) {
    let mut y: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
    let lengths: Vec<usize> = match lengths {
        Some(lengths) => lengths.iter().map(|&length| length as usize).collect(),
        None => vec![dims.steps; dims.batch],
    };
    let mut index = 0;
    for layer in model.layers() {
        let mut outputs = vec![0.0; dims.batch * dims.steps * layer.output()];
        for direction in 0..layer.direction().count() {
            let (h, c) = state.layer_mut(index, dims.batch * layer.hidden());
            run_direction(layer, direction, (&y, dims.steps, &lengths), (h, c), &mut outputs);
            index += 1;
        }
        y = outputs;
    }
    let out = model.readout().map(|readout| apply(readout, &y, dims.steps, &lengths));
    (y, out)
}

/// `x`: `[B, T, I]`; `h`, `c`: `[B, H]`, updated to the final states; `y`: `[B, T, D·H]`, of which this fills the
/// H columns of `direction` up to each sequence's end and leaves the rest.
fn run_direction(
    layer: &Layer,
    direction: usize,
    (x, steps, lengths): (&[f64], usize, &[usize]),
    (h, c): (&mut [f64], &mut [f64]),
    y: &mut [f64],
) {
    let (input, hidden, output) = (layer.input(), layer.hidden(), layer.output());
    let cell = cells::Direction {
        cell: layer.cell(),
        weights: &layer.weights()[direction],
        activations: layer.activations()[direction],
        clip: layer.clip(),
    };
    let mut c_rows = c.chunks_exact_mut(hidden);
    for (b, h) in h.chunks_exact_mut(hidden).enumerate() {
        let c = c_rows.next().unwrap_or_default();
        for step in 0..lengths[b] {
            let time = if layer.direction().is_reverse(direction) { lengths[b] - 1 - step } else { step };
            let row = b * steps + time;
            cell.step(&x[row * input..][..input], h, c);
            y[row * output + direction * hidden..][..hidden].copy_from_slice(h);
        }
    }
}

/// `out = W y + b` on every step, `[B, T, O]`, or on each sequence's last, `[B, O]`; y is 0 where there is none.
fn apply(readout: &Readout, y: &[f64], steps: usize, lengths: &[usize]) -> Vec<f64> {
    let row = |index: usize| &y[index * readout.input()..][..readout.input()];
    let of = |y: &[f64]| cells::affine(readout.w(), readout.b(), y, readout.outputs());
    match readout.steps() {
        ReadoutSteps::Every => (0..lengths.len() * steps).flat_map(|index| of(row(index))).collect(),
        ReadoutSteps::Last => {
            let zeros = vec![0.0; readout.input()];
            let last = |(b, &length): (usize, &usize)| match length {
                0 => of(&zeros),
                _ => of(row(b * steps + length - 1)),
            };
            lengths.iter().enumerate().flat_map(last).collect()
        }
    }
}
