//! How far an f32 result may lie from the f64 reference, derived and not picked.
//!
//! A pre-activation sums K = I + H products. Rounding errors are as good as independent, so the sum is off by
//! the order of `√K·eps` times the sum S of the products' magnitudes (Higham and Mary 2019, theorem 2.4). S is
//! bounded here from the weights, the largest input and |h| ≤ 1. The activations and the blend add a few eps
//! (16 covers `exp`, two divisions and the update); a slope above 1 multiplies both. The recurrence carries an
//! error from step to step; errors of different steps are independent, so they add up like √T, and gates
//! forget, so no more than 64 steps count. Layers add. States that are not bounded by 1 scale the whole.
//!
//! A weight stored in 16 bits is off by up to its type's roundoff u_w, which moves a pre-activation by up to u_w·S;
//! so does an activation, by u_a·S and in y by u_a, twice that where a driver truncates. A projection is a product of
//! its own, of H terms, and bounds |h| by the sum of magnitudes of its rows instead of 1.
//!
//! Where a layer makes one of both directions, their errors meet: a sum is off by both, a product by each times the largest
//! magnitude of the other; and what is made is rounded once more.
//!
//! Of a batch that is projected already the products of the first layer's x are one each, x itself.
//!
//! ```text
//! layer     = slope · (eps · (√K · S + 16) + (u_w + 2 u_a) · S) + 2 u_a
//! tolerance = √min(T, 64) · Σ_layers layer · max(1, largest magnitude)
//! ```

use crate::dtype::Precision;
use crate::io::{Batch, Output};
use crate::model::{Layer, Merge, Model, Weights};

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
        Self::stored(model, batch, Precision::default())
    }

    /// For f32 arithmetic of `model` on `batch`, with weights and activations stored as `precision` says.
    pub fn stored(model: &Model, batch: &Batch<'_>, precision: Precision) -> Self {
        let [h0, c0] = batch.states().map(|state| largest(state.unwrap_or_default()).max(1.0));
        let weights = precision.weights.unit_roundoff();
        let activations = 2.0 * precision.activations.unit_roundoff();
        // Of a product of so many terms and a sum of magnitudes.
        let product = |terms: usize, sum: f64| sum * (EPS * (terms as f64).sqrt() + weights + activations);
        let mut largest_x = batch.real_steps().map(largest).fold(0.0, f64::max);
        let mut all = 0.0;
        for (index, layer) in model.layers().iter().enumerate() {
            let largest_h = h0.max(largest_state(layer));
            let projected = index == 0 && batch.form().projected;
            let terms = if projected { 1 } else { layer.input() };
            let bounds = [largest_x, largest_h, c0];
            let sums = layer.weights().iter().map(|w| largest_sum(w, layer, projected, bounds));
            let slopes = layer.activations().iter().map(|activations| activations.slope());
            let slope = slopes.fold(1.0, f64::max);
            let of_gates = product(terms + layer.state(), sums.fold(0.0, f64::max));
            let mut of_layer = slope * (of_gates + EPS * ACTIVATION_ROUNDINGS);
            if layer.projection().is_some() {
                of_layer = largest_state(layer) * of_layer + product(layer.hidden(), largest_state(layer));
            }
            all += of_layer + activations;
            largest_x = largest_state(layer);
            let (gain, largest_y) = match layer.merge() {
                Merge::Concat => continue,
                Merge::Sum => (2.0, 2.0 * largest_x),
                Merge::Mul => (2.0 * largest_x, largest_x * largest_x),
                Merge::Average => (1.0, largest_x),
            };
            all = gain * all + largest_y * (activations + EPS);
            largest_x = largest_y;
        }
        if let Some(readout) = model.readout() {
            let rows = readout.w().chunks_exact(readout.input()).map(magnitude);
            let bias = readout.b().map_or(0.0, largest);
            all += product(readout.input(), rows.fold(0.0, f64::max) * largest_x + bias);
        }
        Self((batch.dims().steps.min(MEMORY) as f64).sqrt() * all)
    }

    /// The tolerance for an array whose largest magnitude is `largest`.
    pub fn at(self, largest: f64) -> f64 {
        self.0 * largest.max(1.0)
    }
}

/// What |h| is bounded by where the activations are: 1, or the largest row of a projection.
fn largest_state(layer: &Layer) -> f64 {
    let projections = layer.weights().iter().filter_map(|weights| weights.w_hr.as_ref());
    let rows = projections.flat_map(|w_hr| w_hr.chunks_exact(layer.hidden())).map(magnitude);
    rows.fold(1.0, f64::max)
}

/// S: the largest sum of magnitudes that a row of the layer can have, for the largest x, h and c.
fn largest_sum(
    weights: &Weights,
    layer: &Layer,
    projected: bool,
    [largest_x, largest_h, largest_c]: [f64; 3],
) -> f64 {
    let of_row = |row: &[f32]| if projected { largest_x } else { magnitude(row) * largest_x };
    let from_x = weights.w_ih.chunks_exact(layer.input()).map(of_row);
    let from_h = weights.w_hh.chunks_exact(layer.state()).map(|row| magnitude(row) * largest_h);
    let rows = from_x.zip(from_h).map(|(x, h)| x + h).fold(0.0, f64::max);
    let biases = [&weights.b_ih, &weights.b_hh].into_iter().flatten();
    let peepholes = weights.peepholes.as_deref().map_or(0.0, largest) * largest_c;
    rows + peepholes + biases.map(|bias| largest(bias)).sum::<f64>()
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
