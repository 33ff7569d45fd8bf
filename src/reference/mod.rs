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
    let (y, out) = advance(model, batch.x(), batch.dims(), &mut state);
    Ok(Output { y, h_n: state.h, c_n: state.c, out })
}

/// `x`: `[B, T, I]`; advances `state` by T steps and returns y and the readout.
pub(crate) fn advance(
    model: &Model,
    x: &[f32],
    dims: Dims,
    state: &mut State<f64>,
) -> (Vec<f64>, Option<Vec<f64>>) {
    let mut y: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
    let mut index = 0;
    for layer in model.layers() {
        let mut outputs = vec![0.0; dims.batch * dims.steps * layer.output()];
        for direction in 0..layer.direction().count() {
            let (h, c) = state.layer_mut(index, dims.batch * layer.hidden());
            run_direction(layer, direction, &y, dims.steps, (h, c), &mut outputs);
            index += 1;
        }
        y = outputs;
    }
    let out = model.readout().map(|readout| apply(readout, &y, dims.steps));
    (y, out)
}

/// `x`: `[B, T, I]`; `h`, `c`: `[B, H]`, updated to the final states; `y`: `[B, T, D·H]`, of which this fills the
/// H columns of `direction`.
fn run_direction(
    layer: &Layer,
    direction: usize,
    x: &[f64],
    steps: usize,
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
        for step in 0..steps {
            let time = if layer.direction().is_reverse(direction) { steps - 1 - step } else { step };
            let row = b * steps + time;
            cell.step(&x[row * input..][..input], h, c);
            y[row * output + direction * hidden..][..hidden].copy_from_slice(h);
        }
    }
}

/// `out = W y + b` on every step, `[B, T, O]`, or on the last, `[B, O]`.
fn apply(readout: &Readout, y: &[f64], steps: usize) -> Vec<f64> {
    let rows = y.chunks_exact(readout.input());
    let skip = match readout.steps() {
        ReadoutSteps::Every => 1,
        ReadoutSteps::Last => steps,
    };
    rows.skip(skip - 1)
        .step_by(skip)
        .flat_map(|row| cells::affine(readout.w(), readout.b(), row, readout.outputs()))
        .collect()
}
