//! The numbers of a case, their values in each storage, and the expected sums.

use half::{bf16, f16};

/// G of a GRU.
pub const GATES: usize = 3;

/// The storage of weights, and of h if it is not f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    F32,
    F16,
    Bf16,
    /// h in bf16 too, with the CPU's products of bf16.
    Bf16Dot,
    /// Weights of 8 bits, converted to f32; a scale for each row.
    Int8,
    /// h in 8 bits too, with a scale for each batch row, computed in every step; products of integers.
    Dot,
    /// The same with 1/127 as the scale of h, which needs no search.
    DotOfOne,
}

impl Storage {
    pub fn name(self) -> &'static str {
        match self {
            Storage::F32 => "f32",
            Storage::F16 => "f16",
            Storage::Bf16 => "bf16",
            Storage::Bf16Dot => "bf16, h too",
            Storage::Int8 => "int8",
            Storage::Dot => "int8, h too",
            Storage::DotOfOne => "int8, h by 1/127",
        }
    }
}

pub struct Numbers {
    pub batch: usize,
    pub hidden: usize,
    /// `[G·H, H]`.
    pub w: Vec<f32>,
    /// `[B, H]`.
    pub h: Vec<f32>,
    /// `w` in 8 bits, and a scale for each row.
    pub w8: Vec<i8>,
    pub scales: Vec<f32>,
}

/// A row in 8 bits, with the scale.
pub fn quantised(row: &[f32], largest: f32) -> (Vec<i8>, f32) {
    let by = 127.0 / largest;
    (row.iter().map(|v| (v * by).round_ties_even() as i8).collect(), largest / 127.0)
}

fn largest(row: &[f32]) -> f32 {
    row.iter().fold(0.0, |most, v| v.abs().max(most))
}

impl Numbers {
    pub fn draw(batch: usize, hidden: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(8);
        let mut values = |len: usize, scale: f32| -> Vec<f32> {
            (0..len).map(|_| (rng.f32() * 2.0 - 1.0) * scale).collect()
        };
        let w = values(GATES * hidden * hidden, 1.0 / (hidden as f32).sqrt());
        let h = values(batch * hidden, 1.0);
        let (w8, scales): (Vec<_>, Vec<_>) =
            w.chunks_exact(hidden).map(|row| quantised(row, largest(row))).unzip();
        Self { batch, hidden, w, h, w8: w8.concat(), scales }
    }

    /// G·H.
    pub fn columns(&self) -> usize {
        GATES * self.hidden
    }

    /// The scale of the weights.
    pub fn bytes(&self, storage: Storage) -> usize {
        self.w.len()
            * match storage {
                Storage::F32 => 4,
                Storage::F16 | Storage::Bf16 | Storage::Bf16Dot => 2,
                Storage::Int8 | Storage::Dot | Storage::DotOfOne => 1,
            }
    }

    /// Row `n` of the weights, in a storage.
    fn weights(&self, storage: Storage, n: usize) -> Vec<f64> {
        let row = n * self.hidden..(n + 1) * self.hidden;
        match storage {
            Storage::F32 => self.w[row].iter().map(|&v| v.into()).collect(),
            Storage::F16 => self.w[row].iter().map(|&v| f16::from_f32(v).into()).collect(),
            Storage::Bf16 | Storage::Bf16Dot => {
                self.w[row].iter().map(|&v| bf16::from_f32(v).into()).collect()
            }
            Storage::Int8 | Storage::Dot | Storage::DotOfOne => {
                self.w8[row].iter().map(|&v| f64::from(v) * f64::from(self.scales[n])).collect()
            }
        }
    }

    /// Row `b` of h, in a storage.
    fn state(&self, storage: Storage, b: usize) -> Vec<f64> {
        let row = &self.h[b * self.hidden..][..self.hidden];
        let most = match storage {
            Storage::Dot => largest(row),
            Storage::DotOfOne => 1.0,
            Storage::Bf16Dot => return row.iter().map(|&v| bf16::from_f32(v).into()).collect(),
            _ => return row.iter().map(|&v| v.into()).collect(),
        };
        let (values, scale) = quantised(row, most);
        values.into_iter().map(|v| f64::from(v) * f64::from(scale)).collect()
    }

    /// Compares sums, `[B, G·H]`, with those in f64; returns the largest error divided by the largest sum.
    pub fn verify(&self, storage: Storage, sums: &[f32]) -> f64 {
        assert_eq!(sums.len(), self.batch * self.columns());
        let states: Vec<_> = (0..self.batch).map(|b| self.state(storage, b)).collect();
        let (mut error, mut most) = (0.0_f64, 0.0_f64);
        for n in 0..self.columns() {
            let weights = self.weights(storage, n);
            for (b, state) in states.iter().enumerate() {
                let exact: f64 = weights.iter().zip(state).map(|(w, h)| w * h).sum();
                let off = (f64::from(sums[b * self.columns() + n]) - exact).abs();
                error = if off <= error { error } else { off };
                most = most.max(exact.abs());
            }
        }
        // An error of 1/255 in h shows as 1e-4 or more.
        assert!(
            error <= 1e-5 * most,
            "{storage:?}, B {}, H {}: off by {error:e} of {most}",
            self.batch,
            self.hidden
        );
        error / most
    }
}
