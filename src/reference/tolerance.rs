//! How far an f32 result may be from the f64 reference: derived, not tuned.
//!
//! A pre-activation sums K = I + H products. Rounding errors are nearly independent, so the error of the sum is of
//! the order of `√K·eps` times the sum S of the products' magnitudes (Higham and Mary 2019, theorem 2.4). S is
//! bounded here from the weights, the largest input and |h| ≤ 1. The activations and the blend add a few eps
//! (16 covers `exp`, two divisions and the update); a slope above 1 multiplies both. The recurrence carries an
//! error from step to step. Errors of different steps are independent, so they add up like √T; gates
//! damp old errors, so at most 64 steps count. The errors of layers add up. States that are not bounded by 1 scale the whole.
//!
//! A weight stored in 16 bits is off by up to its type's roundoff u_w, which moves a pre-activation by up to u_w·S.
//! An activation moves it by u_a·S, and y by u_a, twice that where a driver truncates. A projection is a product of
//! its own, of H terms, and bounds |h| by the sum of magnitudes of its rows instead of 1.
//!
//! Where a layer merges both directions, a sum has the errors of both, and a product each error times the largest
//! magnitude of the other; the result is rounded once more.
//!
//! The activation of a readout multiplies the error of its product a by the largest row sum of its Jacobian: 1/2 for softmax
//! (2 p (1 − p)), 2 for its logarithm (2 (1 − p)), 1 for the others. Its own roundings are those of an activation. The sum of O
//! exponentials adds √O. Its outputs may be small where a is not, so they are scaled by the largest |y|, too.
//!
//! In a projected batch the products of the first layer's x are one number each, x itself.
//!
//! Observed errors are about fifty times smaller; a wrong convention gives errors far above.
//!
//! NaN and infinity have no distance. Where the reference has either, or a number beyond f32, the result must not be finite, since
//! f32 overflows earlier than f64; everywhere else it must be finite.
//!
//! ```text
//! layer     = slope · (eps · (√K · S + 16) + (u_w + 2 u_a) · S) + 2 u_a
//! tolerance = √min(T, 64) · Σ_layers layer · max(1, largest magnitude)
//! ```

use crate::dtype::Precision;
use crate::io::{Batch, Output};
use crate::model::{Layer, Merge, Model, ReadoutActivation, Weights};

/// Unit roundoff of f32.
const EPS: f64 = (f32::EPSILON / 2.0) as f64;
/// Roundings of the activations and the state update of one step.
const ACTIVATION_ROUNDINGS: f64 = 16.0;
/// Steps after which an error no longer counts.
const MEMORY: usize = 64;
/// The largest number of f32.
const LARGEST: f64 = f32::MAX as f64;

/// An absolute tolerance for values of magnitude up to 1; it grows with values beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    all: f64,
    /// For a readout that has an activation.
    activated: Option<f64>,
}

impl Tolerance {
    /// For f32 arithmetic and storage of `model` on `batch`.
    pub fn of(model: &Model, batch: &Batch<'_>) -> Self {
        Self::stored(model, batch, Precision::default())
    }

    /// For f32 arithmetic of `model` on `batch`, with weights and activations stored in the types of `precision`.
    pub fn stored(model: &Model, batch: &Batch<'_>, precision: Precision) -> Self {
        let [h0, c0] = batch.states().map(|state| largest(state.unwrap_or_default()).max(1.0));
        let weights = precision.weights.unit_roundoff();
        let activations = 2.0 * precision.activations.unit_roundoff();
        // The error of a product with so many terms and this sum of magnitudes.
        let product = |terms: usize, sum: f64| sum * (EPS * (terms as f64).sqrt() + weights + activations);
        let mut largest_x = batch.real_steps().map(largest).fold(0.0, f64::max);
        let (mut all, mut activated) = (0.0, None);
        for (index, layer) in model.layers().iter().enumerate() {
            let largest_h = h0.max(largest_state(layer));
            let projected = index == 0 && batch.run_shape().projected;
            let terms = if projected { 1 } else { layer.input() };
            let bounds = [largest_x, largest_h, c0];
            let sums = layer.weights().iter().map(|w| largest_sum(w, layer, projected, bounds));
            let slopes = layer.activations().iter().map(|activations| activations.slope());
            let slope = slopes.fold(1.0, f64::max);
            let of_gates = product(terms + layer.state_size(), sums.fold(0.0, f64::max));
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
            let exponentials = (readout.outputs() as f64).sqrt();
            let (slope, roundings) = match readout.activation() {
                ReadoutActivation::Linear => (1.0, 0.0),
                ReadoutActivation::Relu | ReadoutActivation::Sigmoid | ReadoutActivation::Tanh => {
                    (1.0, ACTIVATION_ROUNDINGS)
                }
                ReadoutActivation::Softmax => (0.5, ACTIVATION_ROUNDINGS + exponentials),
                ReadoutActivation::LogSoftmax => (2.0, ACTIVATION_ROUNDINGS + exponentials),
            };
            let is_activated = readout.activation() != ReadoutActivation::Linear;
            activated = is_activated.then_some(slope * all + EPS * roundings);
        }
        let of_steps = (batch.dims().steps.min(MEMORY) as f64).sqrt();
        Self { all: of_steps * all, activated: activated.map(|activated| of_steps * activated) }
    }

    /// The tolerance for an array whose largest magnitude is `largest`.
    pub fn at(self, largest: f64) -> f64 {
        self.all * largest.max(1.0)
    }
}

/// The bound of |h| where the activations are bounded: 1, or the largest row of a projection.
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
    let from_h = weights.w_hh.chunks_exact(layer.state_size()).map(|row| magnitude(row) * largest_h);
    let rows = from_x.zip(from_h).map(|(x, h)| x + h).fold(0.0, f64::max);
    let biases = [&weights.b_ih, &weights.b_hh].into_iter().flatten();
    let peepholes = weights.peepholes.as_deref().map_or(0.0, largest) * largest_c;
    rows + peepholes + biases.map(|bias| largest(bias)).sum::<f64>()
}

fn magnitude(row: &[f32]) -> f64 {
    row.iter().map(|&v| f64::from(v).abs()).sum()
}

/// Of the finite ones.
fn largest(values: &[f32]) -> f64 {
    values.iter().filter(|v| v.is_finite()).fold(0.0, |all: f64, &v| all.max(f64::from(v).abs()))
}

/// One output array compared with the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// `y`, `h_n`, `c_n` or `out`.
    pub array: &'static str,
    /// The largest absolute difference; infinite where a number is finite on one side alone, or a length differs.
    pub error: f64,
    /// The tolerance.
    pub tolerance: f64,
    /// The position of the error; `None` where all is equal or a length differs.
    pub worst: Option<Worst>,
}

/// The element of an array that is farthest from the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worst {
    /// Its flat index. Where numbers are finite on one side alone, that of the first of them.
    pub index: usize,
    /// The reference's number.
    pub expected: f64,
    /// The number that was compared.
    pub got: f32,
    /// Numbers of the array that are NaN or infinite where the reference has finite ones.
    pub not_finite: usize,
    /// Numbers of the array that are finite where the reference has none: NaN, an infinity, or a number beyond f32.
    pub finite: usize,
}

impl Comparison {
    /// Whether the error is within the tolerance.
    pub fn passes(&self) -> bool {
        self.error.is_finite() && self.error <= self.tolerance
    }
}

/// Compares every array of `got` with `truth`.
pub fn compare(truth: &Output<f64>, got: &Output, tolerance: Tolerance) -> Vec<Comparison> {
    let arrays = [
        ("y", Some(&truth.y), Some(&got.y)),
        ("h_n", Some(&truth.h_n), Some(&got.h_n)),
        ("c_n", truth.c_n.as_ref(), got.c_n.as_ref()),
        ("out", truth.out.as_ref(), got.out.as_ref()),
    ];
    let largest_of = |truth: &[f64]| {
        let in_range = truth.iter().filter(|v| v.abs() <= LARGEST);
        in_range.fold(0.0, |all: f64, v| all.max(v.abs()))
    };
    let of_y = largest_of(&truth.y);
    arrays
        .into_iter()
        .filter(|(_, truth, got)| truth.is_some() || got.is_some())
        .map(|(array, truth, got)| {
            let truth = truth.map_or(&[][..], Vec::as_slice);
            let got = got.map_or(&[][..], Vec::as_slice);
            let largest = largest_of(truth);
            let tolerance = match tolerance.activated {
                Some(all) if array == "out" => all * largest.max(of_y).max(1.0),
                _ => tolerance.at(largest),
            };
            let (error, worst) = worst(truth, got, tolerance);
            Comparison { array, error, tolerance, worst }
        })
        .collect()
}

/// The distance of a number from the reference's, infinite where only one of them is finite.
fn distance(truth: f64, got: f32, tolerance: f64) -> f64 {
    // A number at the end of the range may or may not overflow by rounding.
    let may_overflow = !truth.is_finite() || truth.abs() + tolerance > LARGEST;
    let error = (truth - f64::from(got)).abs();
    if got.is_finite() {
        let is_near = truth.abs() <= LARGEST || error <= tolerance;
        return if is_near { error } else { f64::INFINITY };
    }
    // Where f64 overflows later, f32 may have a NaN, as the difference of two infinities.
    let agrees =
        may_overflow && (got.is_nan() || truth.is_nan() || truth.signum() == f64::from(got).signum());
    if agrees { 0.0 } else { f64::INFINITY }
}

/// The largest distance, and its position.
fn worst(truth: &[f64], got: &[f32], tolerance: f64) -> (f64, Option<Worst>) {
    if truth.len() != got.len() {
        return (f64::INFINITY, None);
    }
    let (mut error, mut at) = (0.0, None);
    let (mut not_finite, mut finite) = (0, 0);
    for (index, (&truth, &got)) in truth.iter().zip(got).enumerate() {
        let distance = distance(truth, got, tolerance);
        if distance == f64::INFINITY {
            *(if got.is_finite() { &mut finite } else { &mut not_finite }) += 1;
        }
        if distance > error {
            (error, at) = (distance, Some(index));
        }
    }
    let worst = |index| Worst { index, expected: truth[index], got: got[index], not_finite, finite };
    (error, at.map(worst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_finite_does_not_pass() {
        let error = |truth: f64, got: f32| worst(&[truth], &[got], 1e-3).0;
        assert_eq!(error(1.0, 1.5), 0.5);
        assert_eq!(error(1.0, f32::NAN), f64::INFINITY);
        assert_eq!(error(1.0, f32::INFINITY), f64::INFINITY);
        assert_eq!(error(f64::NAN, 1.0), f64::INFINITY);
        assert_eq!(error(f64::NAN, f32::NAN), 0.0);
        assert_eq!(error(f64::INFINITY, f32::INFINITY), 0.0);
        assert_eq!(error(f64::INFINITY, f32::NAN), 0.0);
        assert_eq!(error(1e300, f32::INFINITY), 0.0);
        assert_eq!(error(f64::INFINITY, f32::NEG_INFINITY), f64::INFINITY);
        assert_eq!(error(-1e300, f32::INFINITY), f64::INFINITY);
        assert_eq!(error(f64::INFINITY, 1.0), f64::INFINITY);
        assert_eq!(error(1e300, 42.0), f64::INFINITY);
        // At the end of the range, rounding decides.
        let near = f64::from(f32::MAX);
        assert_eq!(worst(&[near * (1.0 - 1e-8)], &[f32::INFINITY], near * 1e-6).0, 0.0);
        assert!(worst(&[near * (1.0 + 1e-8)], &[f32::MAX], near * 1e-6).0.is_finite());
        let comparison =
            Comparison { array: "y", error: f64::INFINITY, tolerance: f64::INFINITY, worst: None };
        assert!(!comparison.passes());
        assert_eq!(worst(&[1.0, 2.0], &[1.0], 1.0), (f64::INFINITY, None));
    }

    #[test]
    fn the_worst_element_is_named() {
        let truth = [1.0, 2.0, f64::NAN, 1e39, 4.0];
        let (error, at) = worst(&truth, &[1.0, 2.5, f32::NAN, f32::INFINITY, 4.25], 1.0);
        let expected = Worst { index: 1, expected: 2.0, got: 2.5, not_finite: 0, finite: 0 };
        assert_eq!((error, at), (0.5, Some(expected)));
        let got = [1.0, 9.0, 0.0, 42.0, f32::NEG_INFINITY];
        let (error, at) = worst(&truth, &got, 1.0);
        let at = at.unwrap();
        assert_eq!((error, at.index, at.got, at.not_finite, at.finite), (f64::INFINITY, 2, 0.0, 1, 2));
        // A number beyond f32 does not widen the tolerance.
        let output = |y: Vec<f64>| Output { y, h_n: vec![], c_n: None, out: None };
        let got = Output { y: vec![3.0, f32::INFINITY], h_n: vec![], c_n: None, out: None };
        let all = compare(&output(vec![2.0, 1e300]), &got, Tolerance { all: 1e-6, activated: None });
        assert!(!all[0].passes() && all[0].tolerance < 1e-5, "{all:?}");
    }
}
