//! How far an f32 result may lie from the f64 reference, derived and not picked.
//!
//! A pre-activation sums K = I + H products. Rounding errors are as good as independent, so the sum is off by
//! the order of `√K·eps` times the sum S of the products' magnitudes (Higham and Mary 2019, theorem 2.4). S is
//! bounded here from the weights, the largest input and |h| ≤ 1. The activations and the blend add a few eps
//! (16 covers `exp`, two divisions and the update); a slope above 1 multiplies both. The recurrence carries an
//! error from step to step; errors of different steps are independent, so they add up like √T, and gates
//! forget, so no more than 64 steps count. Layers add. States that are not bounded by 1 scale the whole.
//!
//! ```text
//! tolerance = eps · √min(T, 64) · Σ_layers (√(I + H) · S + 16) · max(1, largest magnitude)
//! ```

use crate::io::{Batch, Output};
use crate::model::{Layer, Model, Weights};

/// Unit roundoff of f32.
const EPS: f64 = (f32::EPSILON / 2.0) as f64;
/// Roundings of the activations and the state update of one step.
const ACTIVATION_ROUNDINGS: f64 = 16.0;
/// Steps after which an error counts as forgotten.
const MEMORY: usize = 64;

/// An absolute tolerance for values of magnitude up to 1; it grows with values beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance(f64);

impl Tolerance {
    /// For f32 arithmetic and storage of `model` on `batch`.
    pub fn of(model: &Model, batch: &Batch<'_>) -> Self {
        let [h0, _] = batch.states();
        let largest_h = largest(h0.unwrap_or_default()).max(1.0);
        let mut largest_x = largest(batch.x());
        let mut roundings = 0.0;
        for layer in model.layers() {
            let terms = (layer.input() + layer.hidden()) as f64;
            let sums =
                layer.weights().iter().map(|weights| largest_sum(weights, layer, largest_x, largest_h));
            let slopes = layer.activations().iter().map(|activations| activations.slope());
            let slope = slopes.fold(1.0, f64::max);
            roundings += slope * (terms.sqrt() * sums.fold(0.0, f64::max) + ACTIVATION_ROUNDINGS);
            largest_x = 1.0;
        }
        if let Some(readout) = model.readout() {
            let rows = readout.w().chunks_exact(readout.input()).map(magnitude);
            let bias = readout.b().map_or(0.0, largest);
            roundings += (readout.input() as f64).sqrt() * (rows.fold(0.0, f64::max) + bias);
        }
        Self(EPS * (batch.dims().steps.min(MEMORY) as f64).sqrt() * roundings)
    }

    /// The tolerance for an array whose largest magnitude is `largest`.
    pub fn at(self, largest: f64) -> f64 {
        self.0 * largest.max(1.0)
    }
}

/// S: the largest sum of magnitudes that a row of the layer can have.
fn largest_sum(weights: &Weights, layer: &Layer, largest_x: f64, largest_h: f64) -> f64 {
    let from_x = weights.w_ih.chunks_exact(layer.input()).map(|row| magnitude(row) * largest_x);
    let from_h = weights.w_hh.chunks_exact(layer.state()).map(|row| magnitude(row) * largest_h);
    let rows = from_x.zip(from_h).map(|(x, h)| x + h).fold(0.0, f64::max);
    let biases = [&weights.b_ih, &weights.b_hh].into_iter().flatten();
    rows + biases.map(|bias| largest(bias)).sum::<f64>()
}

fn magnitude(row: &[f32]) -> f64 {
    row.iter().map(|&v| f64::from(v).abs()).sum()
}

fn largest(values: &[f32]) -> f64 {
    values.iter().fold(0.0, |all: f64, &v| all.max(f64::from(v).abs()))
}

/// One output array held against the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// `y`, `h_n`, `c_n` or `out`.
    pub array: &'static str,
    /// The largest absolute difference; infinite where a value is not finite or a length differs.
    pub error: f64,
    /// What is allowed.
    pub tolerance: f64,
}

impl Comparison {
    /// Whether the error is within the tolerance.
    pub fn passes(&self) -> bool {
        self.error.is_finite() && self.error <= self.tolerance
    }
}

/// Holds every array of `got` against `truth`.
pub fn compare(truth: &Output<f64>, got: &Output, tolerance: Tolerance) -> Vec<Comparison> {
    let arrays = [
        ("y", Some(&truth.y), Some(&got.y)),
        ("h_n", Some(&truth.h_n), Some(&got.h_n)),
        ("c_n", truth.c_n.as_ref(), got.c_n.as_ref()),
        ("out", truth.out.as_ref(), got.out.as_ref()),
    ];
    arrays
        .into_iter()
        .filter(|(_, truth, got)| truth.is_some() || got.is_some())
        .map(|(array, truth, got)| {
            let truth = truth.map_or(&[][..], Vec::as_slice);
            let got = got.map_or(&[][..], Vec::as_slice);
            let finite = truth.iter().filter(|v| v.is_finite());
            let largest = finite.fold(0.0, |all: f64, v| all.max(v.abs()));
            Comparison { array, error: largest_error(truth, got), tolerance: tolerance.at(largest) }
        })
        .collect()
}

fn largest_error(truth: &[f64], got: &[f32]) -> f64 {
    if truth.len() != got.len() {
        return f64::INFINITY;
    }
    truth.iter().zip(got).fold(0.0, |largest, (&truth, &got)| {
        // An infinity, and a value beyond f32, is matched by the infinity of its sign alone.
        if truth.is_infinite() || truth.abs() > f64::from(f32::MAX) {
            let same = f64::from(got) == f64::from(truth as f32);
            return if same { largest } else { f64::INFINITY };
        }
        let error = (truth - f64::from(got)).abs();
        // A NaN must not pass: max() would drop it.
        if error.is_nan() { f64::INFINITY } else { largest.max(error) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_does_not_pass() {
        let error = |truth: f64, got: f32| largest_error(&[truth], &[got]);
        assert_eq!(error(1.0, 1.5), 0.5);
        assert_eq!(error(1.0, f32::NAN), f64::INFINITY);
        assert_eq!(error(f64::NAN, 1.0), f64::INFINITY);
        assert_eq!(error(f64::INFINITY, f32::INFINITY), 0.0);
        assert_eq!(error(1e300, f32::INFINITY), 0.0);
        assert_eq!(error(f64::INFINITY, f32::NEG_INFINITY), f64::INFINITY);
        assert_eq!(error(f64::INFINITY, 1.0), f64::INFINITY);
        let comparison = Comparison { array: "y", error: f64::INFINITY, tolerance: f64::INFINITY };
        assert!(!comparison.passes());
        assert_eq!(largest_error(&[1.0, 2.0], &[1.0]), f64::INFINITY);
    }
}
