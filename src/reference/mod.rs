//! The reference: every cell in f64, directly from the equations in [`crate::model`], simple instead of fast.
//!
//! It shares no code with the paths that are compared with it: no packing, no fused biases, no activation of
//! theirs.

mod cells;
mod tolerance;

pub use tolerance::{Comparison, Tolerance, Worst, compare};

use crate::dims::Dims;
use crate::error::{Error, Result};
use crate::io::{Batch, Layout, Output, OutputShape, Padding, Resets, RunShape, State};
use crate::model::{Layer, Merge, Model, Readout, ReadoutActivation, ReadoutSteps};
use crate::sync::Interrupt;

/// Runs `batch` through `model` in f64.
///
/// # Errors
/// A batch that does not fit the model (see [`Batch`]).
pub fn run(model: &Model, batch: &Batch<'_>) -> Result<Output<f64>> {
    batch.check(model)?;
    OutputShape::new(model, batch.run_shape())?;
    let mut state = State::zeros(model, batch.dims().batch)?;
    batch.initial_states(&mut state.h, state.c.as_deref_mut().unwrap_or_default());
    let given = (batch.lengths_of(), batch.resets_of(), batch.interrupt_of());
    let (y, out) = advance(model, batch.x(), batch.run_shape(), given, &mut state)?;
    Ok(Output { y, h_n: state.h, c_n: state.c, out })
}

/// `x` is in the order of `run_shape`; `lengths`: `[B]`, T where `None`; advances `state` and returns y and the readout. In this
/// module everything is batch-major.
///
/// # Errors
/// [`Error::Interrupted`].
pub(crate) fn advance(
    model: &Model,
    x: &[f32],
    run_shape: RunShape,
    (lengths, resets, interrupt): (Option<&[u32]>, Option<Resets<'_>>, Option<&Interrupt<'_>>),
    state: &mut State<f64>,
) -> Result<(Vec<f64>, Option<Vec<f64>>)> {
    let dims = run_shape.dims;
    let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
    let mut y = moved(&x, dims, [1, run_shape.features(model)], run_shape.x, Layout::BatchMajor);
    let lengths: Vec<usize> = match lengths {
        Some(lengths) => lengths.iter().map(|&length| length as usize).collect(),
        None => vec![dims.steps; dims.batch],
    };
    let mut index = 0;
    for (place, layer) in model.layers().iter().enumerate() {
        let projected = place == 0 && run_shape.projected;
        let apart = layer.direction().count() * layer.state_size();
        let mut outputs = vec![0.0; dims.batch * dims.steps * apart];
        for direction in 0..layer.direction().count() {
            let (h, c) = state.layer_mut(index, model.num_states());
            let x = Input { data: &y, steps: dims.steps, lengths: &lengths, resets, projected, interrupt };
            run_direction(layer, direction, x, (h, c), (&mut outputs, run_shape.padding))?;
            index += 1;
        }
        y = merged(layer, outputs);
    }
    let out = model.readout().map(|readout| {
        let out = apply(readout, &y, dims.steps, &lengths);
        match readout.steps() {
            ReadoutSteps::Every => moved(&out, dims, [1, readout.outputs()], Layout::BatchMajor, run_shape.y),
            ReadoutSteps::Last => out,
        }
    });
    let axes = [model.output() / model.state_size(), model.state_size()];
    Ok((moved(&y, dims, axes, Layout::BatchMajor, run_shape.y), out))
}

/// The layer's output from `[B, T, D·P]`, its directions merged.
fn merged(layer: &Layer, y: Vec<f64>) -> Vec<f64> {
    let merge: fn(f64, f64) -> f64 = match layer.merge() {
        Merge::Concat => return y,
        Merge::Sum => |forward, reverse| forward + reverse,
        Merge::Mul => |forward, reverse| forward * reverse,
        Merge::Average => |forward, reverse| (forward + reverse) / 2.0,
    };
    let state = layer.state_size();
    let of_step =
        |both: &[f64]| -> Vec<f64> { (0..state).map(|at| merge(both[at], both[state + at])).collect() };
    y.chunks_exact(2 * state).flat_map(of_step).collect()
}

/// A sequence array of `[dirs, features]` a step in another order.
fn moved(data: &[f64], dims: Dims, [dirs, features]: [usize; 2], from: Layout, to: Layout) -> Vec<f64> {
    let index = |layout: Layout, b: usize, t: usize, d: usize| match layout {
        Layout::BatchMajor => ((b * dims.steps + t) * dirs + d) * features,
        Layout::TimeMajor => ((t * dims.batch + b) * dirs + d) * features,
        Layout::DirectionMajor => ((t * dirs + d) * dims.batch + b) * features,
    };
    let mut moved = vec![0.0; data.len()];
    for b in 0..dims.batch {
        for t in 0..dims.steps {
            for d in 0..dirs {
                let values = &data[index(from, b, t, d)..][..features];
                moved[index(to, b, t, d)..][..features].copy_from_slice(values);
            }
        }
    }
    moved
}

/// The input of a layer.
#[derive(Clone, Copy)]
struct Input<'a> {
    /// `[B, T, I]`, or `[B, T, D·G·H]` where it is projected.
    data: &'a [f64],
    steps: usize,
    lengths: &'a [usize],
    resets: Option<Resets<'a>>,
    /// Whether it is `w_ih x`, direction by direction.
    projected: bool,
    interrupt: Option<&'a Interrupt<'a>>,
}

/// `h`: `[B, P]`, `c`: `[B, H]`, updated to the final states; `y`: `[B, T, D·P]`, all 0, of which
/// this fills the P columns of `direction`.
fn run_direction(
    layer: &Layer,
    direction: usize,
    x: Input<'_>,
    (h, c): (&mut [f64], &mut [f64]),
    (y, fill): (&mut [f64], Padding),
) -> Result<()> {
    let Input { data, steps, lengths, resets, projected, interrupt } = x;
    let (state, output) = (layer.state_size(), layer.direction().count() * layer.state_size());
    let columns = layer.cell().gates() * layer.hidden();
    // Features of a step, and those of this direction.
    let (features, own) = match projected {
        false => (layer.input(), 0..layer.input()),
        true => (layer.direction().count() * columns, direction * columns..(direction + 1) * columns),
    };
    let cell = cells::Direction {
        cell: layer.cell(),
        weights: &layer.weights()[direction],
        activations: layer.activations()[direction],
        clip: layer.clip(),
        state_clip: layer.state_clip(),
        projected,
    };
    let reverse = layer.direction().is_reverse(direction);
    let mut c_rows = c.chunks_exact_mut(layer.hidden());
    for (b, h) in h.chunks_exact_mut(state).enumerate() {
        let c = c_rows.next().unwrap_or_default();
        let (h0, c0) = (h.to_vec(), c.to_vec());
        let mut emit = |time: usize, h: &[f64]| {
            y[(b * steps + time) * output + direction * state..][..state].copy_from_slice(h);
        };
        for step in 0..lengths[b] {
            if interrupt.is_some_and(Interrupt::poll) {
                return Err(Error::Interrupted);
            }
            let time = if reverse { lengths[b] - 1 - step } else { step };
            if resets.is_some_and(|resets| resets.at(b, time)) {
                h.copy_from_slice(&h0);
                c.copy_from_slice(&c0);
            }
            cell.step(&data[(b * steps + time) * features..][own.clone()], h, c);
            emit(time, h);
        }
        if fill == Padding::Last && !reverse && lengths[b] > 0 {
            (lengths[b]..steps).for_each(|time| emit(time, h));
        }
    }
    Ok(())
}

/// `out = f(W y + b)` on every step, `[B, T, O]`, or on each sequence's last, `[B, O]`; y is 0 for a sequence without a step.
fn apply(readout: &Readout, y: &[f64], steps: usize, lengths: &[usize]) -> Vec<f64> {
    let row = |index: usize| &y[index * readout.input()..][..readout.input()];
    let of = |y: &[f64]| {
        activated(readout.activation(), cells::affine(readout.w(), readout.b(), y, readout.outputs()))
    };
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

/// f of the outputs of one step.
fn activated(activation: ReadoutActivation, mut outputs: Vec<f64>) -> Vec<f64> {
    let most = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = || -> f64 { outputs.iter().map(|a| (a - most).exp()).sum() };
    match activation {
        ReadoutActivation::Linear => {}
        // `max` would drop a NaN.
        ReadoutActivation::Relu => outputs.iter_mut().filter(|a| **a < 0.0).for_each(|a| *a = 0.0),
        ReadoutActivation::Sigmoid => outputs.iter_mut().for_each(|a| *a = 1.0 / (1.0 + (-*a).exp())),
        ReadoutActivation::Tanh => outputs.iter_mut().for_each(|a| *a = a.tanh()),
        ReadoutActivation::Softmax => {
            let sum = sum();
            outputs.iter_mut().for_each(|a| *a = (*a - most).exp() / sum);
        }
        ReadoutActivation::LogSoftmax => {
            let log = sum().ln();
            outputs.iter_mut().for_each(|a| *a = *a - most - log);
        }
    }
    outputs
}
