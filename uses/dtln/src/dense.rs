//! Dense layers without activation, and the sigmoid.

/// Outputs whose sums are in registers together.
const LANES: usize = 32;

/// `y = W x`. Terms are summed k after k, in f32.
#[derive(Debug)]
pub(crate) struct Dense {
    /// `[⌈N/32⌉, K, 32]`, zeros beyond N.
    weights: Vec<[f32; LANES]>,
    inputs: usize,
    outputs: usize,
}

impl Dense {
    /// `weights`: `[N, K]`, row-major; `inputs` is K.
    pub(crate) fn new(weights: &[f32], inputs: usize) -> Self {
        let outputs = weights.len() / inputs.max(1);
        let mut packed = vec![[0.0; LANES]; outputs.div_ceil(LANES) * inputs];
        for (n, row) in weights.chunks_exact(inputs.max(1)).enumerate() {
            for (k, &weight) in row.iter().enumerate() {
                packed[n / LANES * inputs + k][n % LANES] = weight;
            }
        }
        Self { weights: packed, inputs, outputs }
    }

    /// N.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `x`: `[K]`, `y`: `[N]`.
    pub(crate) fn apply(&self, x: &[f32], y: &mut [f32]) {
        let panels = self.weights.chunks_exact(self.inputs.max(1));
        for (panel, y) in panels.zip(y[..self.outputs].chunks_mut(LANES)) {
            let mut sums = [0.0f32; LANES];
            for (weights, &x) in panel.iter().zip(x) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += weight * x;
                }
            }
            y.copy_from_slice(&sums[..y.len()]);
        }
    }
}

/// `1 / (1 + e⁻ˣ)`.
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_those_of_f64_for_every_number_of_them() {
        let mut rng = fastrand::Rng::with_seed(3);
        for (inputs, outputs) in [(1, 1), (7, 31), (5, 32), (512, 33), (40, 257)] {
            let mut draw = |len: usize| (0..len).map(|_| rng.f32() * 2.0 - 1.0).collect::<Vec<_>>();
            let (weights, x) = (draw(inputs * outputs), draw(inputs));
            let dense = Dense::new(&weights, inputs);
            assert_eq!(dense.outputs(), outputs);
            let mut y = vec![f32::NAN; outputs];
            dense.apply(&x, &mut y);
            for (row, y) in weights.chunks_exact(inputs).zip(y) {
                let exact: f64 = row.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                assert!((f64::from(y) - exact).abs() < 1e-6 * inputs as f64, "{inputs} {outputs}");
            }
        }
    }
}
