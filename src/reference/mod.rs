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
/// A batch that does not fit the model (see [`Batch`]), or a layer that is not forward.
pub fn run(model: &Model, batch: &Batch<'_>) -> Result<Output<f64>> {
    batch.check(model)?;
    model.check_runnable()?;
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
    for (index, layer) in model.layers().iter().enumerate() {
        let (h, c) = state.layer_mut(index, dims.batch * layer.hidden());
        y = run_layer(layer, &y, dims.steps, h, c);
    }
    let out = model.readout().map(|readout| apply(readout, &y, dims.steps));
    (y, out)
}

/// `x`: `[B, T, I]`; `h`, `c`: `[B, H]`, updated to the final states; returns `[B, T, H]`.
fn run_layer(layer: &Layer, x: &[f64], steps: usize, h: &mut [f64], c: &mut [f64]) -> Vec<f64> {
    let (input, hidden) = (layer.input(), layer.hidden());
    let weights = &layer.weights()[0];
    let mut y = Vec::with_capacity(x.len() / input * hidden);
    let mut c_rows = c.chunks_exact_mut(hidden);
    for (x, h) in x.chunks_exact(steps * input).zip(h.chunks_exact_mut(hidden)) {
        let c = c_rows.next().unwrap_or_default();
        for x_t in x.chunks_exact(input) {
            cells::step(layer.cell(), weights, x_t, h, c);
            y.extend_from_slice(h);
        }
    }
    y
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
