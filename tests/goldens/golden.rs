//! A model, a batch and a framework's results for them, with the tolerance for a device.

use wgru::dtype::Precision;
use wgru::reference::{Comparison, Tolerance, compare};
use wgru::{Batch, Device, DeviceInfo, Error, Model, Output, Storage};

use crate::common::{Inputs, options};

/// The precision of the framework's computation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Made {
    /// f64 from the same numbers: the reference must agree to 1e-12.
    F64,
    /// f32: the reference must agree within its tolerance, a device within twice that, because both sides round.
    F32,
    /// f64, with matrices and activations rounded to 16 bits by the framework.
    Rounded,
    /// By others, with a stated tolerance: `atol + rtol·|expected|`. An array that they do not give is empty.
    #[allow(dead_code, reason = "each suite uses a part")]
    Published { atol: f64, rtol: f64 },
}

/// A 16-bit y may differ from the framework's only if a state lies halfway between two numbers of the type: so many
/// of its values at most.
const SHARE_THAT_DIFFERS: f64 = 0.1;

/// A case.
#[derive(Clone)]
pub struct Golden {
    pub name: String,
    pub model: Model,
    pub inputs: Inputs,
    pub precision: Precision,
    /// In the layouts of the inputs.
    pub expected: Output<f64>,
    pub made: Made,
}

impl Golden {
    pub fn batch(&self) -> Batch<'_> {
        self.inputs.batch()
    }

    /// # Errors
    /// The device's error.
    pub fn run(&self, device: &Device) -> Result<Output, Error> {
        let Precision { weights, activations } = self.precision;
        let options = options().fill_nan(true).weights(weights).activations(activations);
        device.load_with(&self.model, options)?.run(&self.batch())
    }

    /// Compares the results of a device, or of another implementation in f32, with the golden.
    pub fn judge(&self, device: &Device, got: &Output) -> Vec<Comparison> {
        let batch = self.batch();
        if self.made == Made::Rounded && self.rounds_to_nearest(device) {
            return self.judge_rounded(got);
        }
        if let Made::Published { atol, rtol } = self.made {
            return self.judge_published(got, |expected| atol + rtol * expected.abs());
        }
        let slack = if self.made == Made::F32 { 2.0 } else { 1.0 };
        let mut all = compare(&self.expected, got, Tolerance::stored(&self.model, &batch, self.precision));
        all.iter_mut().for_each(|comparison| comparison.tolerance *= slack);
        all
    }

    fn judge_published(&self, got: &Output, allowed: impl Fn(f64) -> f64) -> Vec<Comparison> {
        let Output { y, h_n, c_n, .. } = &self.expected;
        let arrays = [("y", y, &got.y), ("h_n", h_n, &got.h_n)].into_iter();
        let arrays = arrays.chain(c_n.iter().zip(&got.c_n).map(|(expected, got)| ("c_n", expected, got)));
        let share = |expected: &[f64], got: &[f32]| {
            let shares = expected.iter().zip(got).map(|(&e, &g)| (e - f64::from(g)).abs() / allowed(e));
            shares.fold(0.0, |all: f64, share| if share.is_nan() { f64::INFINITY } else { all.max(share) })
        };
        arrays.map(|(array, expected, got)| comparison(array, share(expected, got), 1.0)).collect()
    }

    /// A GPU driver may truncate to f16, which is within the tolerance of f16 alone; those of a CPU round.
    fn rounds_to_nearest(&self, device: &Device) -> bool {
        let hardware = matches!(device.info(), DeviceInfo::Gpu(info) if !info.software);
        !hardware || self.precision.activations != Storage::F16
    }

    /// For one layer the states are those of f32, since nothing else is rounded, and y differs by one number of its
    /// type at most. With more layers, a number that another layer rounded the other way affects the result.
    fn judge_rounded(&self, got: &Output) -> Vec<Comparison> {
        let (storage, layers) = (self.precision.activations, self.model.layers().len());
        assert_eq!(got.y.len(), self.expected.y.len(), "{}", self.name);
        let mut all = compare(&self.expected, got, Tolerance::of(&self.model, &self.batch()));
        let place = |v: f32| place(storage, v);
        let pairs = || got.y.iter().zip(&self.expected.y).map(|(&got, &expected)| (got, expected as f32));
        if layers == 1 {
            all.retain(|comparison| comparison.array != "y");
            let distances = pairs().map(|(got, expected)| match got.is_finite() {
                true => place(got).abs_diff(place(expected)) as f64,
                false => f64::INFINITY,
            });
            let error = distances.fold(0.0, f64::max);
            all.push(comparison("y in numbers of its type", error, 1.0));
        } else {
            let number = 2.0 * storage.unit_roundoff();
            all.iter_mut().for_each(|comparison| comparison.tolerance += layers as f64 * number);
        }
        let differ = pairs().filter(|&(got, expected)| place(got) != place(expected)).count();
        let error = differ as f64 / self.expected.y.len() as f64;
        all.push(comparison("share of y that differs", error, SHARE_THAT_DIFFERS));
        all
    }
}

fn comparison(array: &'static str, error: f64, tolerance: f64) -> Comparison {
    Comparison { array, error, tolerance, worst: None }
}

/// The index of `v` in the order of the numbers of a type; both zeros have one.
fn place(storage: Storage, v: f32) -> i64 {
    let magnitude = match storage {
        Storage::F32 => i64::from(v.abs().to_bits()),
        Storage::F16 => i64::from(half::f16::from_f32(v.abs()).to_bits()),
        Storage::Bf16 => i64::from(half::bf16::from_f32(v.abs()).to_bits()),
        other => unreachable!("{other}"),
    };
    if v < 0.0 { -magnitude } else { magnitude }
}
