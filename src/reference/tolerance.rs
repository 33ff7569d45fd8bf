//! How far an f32 result may lie from the f64 reference, derived and not picked.
//!
//! A pre-activation sums K = I + H products. Rounding it in any order is off by at most
//! `K·eps` times the sum of their magnitudes (Higham 2002, section 3.1), which for trained and for
//! initialised weights is of the order of 1, or of the order of the largest value where the state is not
//! bounded by 1. An activation adds a few eps (16 covers `exp`, a division and the blend). The recurrence carries an error from
//! step to step; errors of different steps are independent, so they add up like √T, and gates forget, so
//! no more than 64 steps count. Layers add.
//!
//! ```text
//! tolerance = eps · Σ_layers (I + H + 16) · √min(T, 64) · max(1, largest magnitude)
//! ```

use crate::dims::Dims;
use crate::io::Output;
use crate::model::Model;

/// Unit roundoff of f32.
const EPS: f64 = (f32::EPSILON / 2.0) as f64;
/// Roundings of the activations and the state update of one step.
const ACTIVATION_ROUNDINGS: usize = 16;
/// Steps after which an error counts as forgotten.
const MEMORY: usize = 64;

/// An absolute tolerance for values of magnitude up to 1; it grows with values beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance(f64);

impl Tolerance {
    /// For f32 arithmetic and storage of `model` on `dims`.
    pub fn of(model: &Model, dims: Dims) -> Self {
        let terms = model
            .layers()
            .iter()
            .map(|layer| layer.input() + layer.hidden() + ACTIVATION_ROUNDINGS)
            .sum::<usize>()
            + model.readout().map_or(0, |readout| readout.input());
        Self(EPS * terms as f64 * (dims.steps.min(MEMORY) as f64).sqrt())
    }

    /// The tolerance for an array whose largest magnitude is `largest`.
    pub fn at(self, largest: f64) -> f64 {
        self.0 * largest.max(1.0)
    }
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
        self.error <= self.tolerance
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
            let largest = truth.iter().fold(0.0, |all: f64, v| all.max(v.abs()));
            Comparison { array, error: largest_error(truth, got), tolerance: tolerance.at(largest) }
        })
        .collect()
}

fn largest_error(truth: &[f64], got: &[f32]) -> f64 {
    if truth.len() != got.len() {
        return f64::INFINITY;
    }
    truth.iter().zip(got).fold(0.0, |largest, (truth, &got)| {
        let error = (truth - f64::from(got)).abs();
        // A NaN must not pass: max() would drop it.
        if error.is_nan() { f64::INFINITY } else { largest.max(error) }
    })
}
