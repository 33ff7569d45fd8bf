//! Dense layers without activation, and the sigmoid.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as arch;

/// Outputs whose sums are in registers together.
const LANES: usize = 32;

/// The instructions of the products: those of the target, or more where the processor has them.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Set {
    Target,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Set {
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return if is_x86_feature_detected!("avx512f") { Self::Avx512 } else { Self::Avx2 };
        }
        Self::Target
    }
}

/// `y = W x`. Terms are summed k after k in f32, so a row's bits do not depend on the rows beside it.
#[derive(Debug)]
pub(crate) struct Dense {
    /// `[⌈N/32⌉, K, 32]`, zeros beyond N.
    weights: Vec<[f32; LANES]>,
    inputs: usize,
    outputs: usize,
    set: Set,
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
        Self { weights: packed, inputs, outputs, set: Set::best() }
    }

    /// N.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Any number of rows. `x`: `[R, K]`, `y`: `[R, N]`.
    pub(crate) fn apply(&self, x: &[f32], y: &mut [f32]) {
        match self.set {
            Set::Target => self.rows_plain(x, y),
            // SAFETY: `Set::best` has found the instructions.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { self.rows_avx2(x, y) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { self.rows_avx512(x, y) },
        }
    }

    /// Row after row.
    fn rows_plain(&self, x: &[f32], y: &mut [f32]) {
        let rows = x.chunks_exact(self.inputs.max(1)).zip(y.chunks_exact_mut(self.outputs.max(1)));
        for (x, y) in rows {
            let panels = self.weights.chunks_exact(self.inputs.max(1));
            for (panel, y) in panels.zip(y.chunks_mut(LANES)) {
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

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn rows_avx2(&self, x: &[f32], y: &mut [f32]) {
        // 12 of 16 registers are sums or weights.
        self.rows::<arch::__m256, 4, 2>(x, y);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn rows_avx512(&self, x: &[f32], y: &mut [f32]) {
        self.rows::<arch::__m512, 2, 6>(x, y);
    }

    /// R rows at a time, then those left over one by one. P vectors of V are the 32 numbers of a panel.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn rows<V: Vector, const P: usize, const R: usize>(&self, x: &[f32], y: &mut [f32]) {
        let (inputs, outputs) = (self.inputs.max(1), self.outputs.max(1));
        let (mut xs, mut ys) = (x.chunks_exact(R * inputs), y.chunks_exact_mut(R * outputs));
        for (x, y) in xs.by_ref().zip(ys.by_ref()) {
            self.tile::<V, P, R>(x, y);
        }
        let rest = xs.remainder().chunks_exact(inputs).zip(ys.into_remainder().chunks_exact_mut(outputs));
        for (x, y) in rest {
            self.tile::<V, P, 1>(x, y);
        }
    }

    /// `x`: `[R, K]`, `y`: `[R, N]`.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn tile<V: Vector, const P: usize, const R: usize>(&self, x: &[f32], y: &mut [f32]) {
        let inputs = self.inputs.max(1);
        let x: [&[f32]; R] = std::array::from_fn(|row| &x[row * inputs..][..inputs]);
        for (at, panel) in self.weights.chunks_exact(inputs).enumerate() {
            let mut sums = [[V::splat(0.0); P]; R];
            for (k, weights) in panel.iter().enumerate() {
                let weights: [V; P] = std::array::from_fn(|part| V::of(weights, part));
                for (sums, x) in sums.iter_mut().zip(x) {
                    let x = V::splat(x[k]);
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum = weight.times_plus(x, *sum);
                    }
                }
            }
            let first = at * LANES;
            let count = LANES.min(self.outputs - first);
            for (row, sums) in sums.iter().enumerate() {
                let mut all = [0.0; LANES];
                for (part, sum) in sums.iter().enumerate() {
                    sum.put(&mut all, part);
                }
                y[row * self.outputs + first..][..count].copy_from_slice(&all[..count]);
            }
        }
    }
}

/// A vector of the processor. Only functions that have its instructions may use it.
#[cfg(target_arch = "x86_64")]
trait Vector: Copy {
    fn splat(value: f32) -> Self;
    /// Part `part` of a panel's weights.
    fn of(all: &[f32; LANES], part: usize) -> Self;
    fn put(self, all: &mut [f32; LANES], part: usize);
    /// `self ⊙ x + sum`, rounded once.
    fn times_plus(self, x: Self, sum: Self) -> Self;
}

// SAFETY of every block below: only `rows_avx2` and `rows_avx512`, which have the instructions, come here; the pointers are of
// slices as long as the vector.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Vector for arch::__m256 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        unsafe { arch::_mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn of(all: &[f32; LANES], part: usize) -> Self {
        unsafe { arch::_mm256_loadu_ps(all[8 * part..][..8].as_ptr()) }
    }

    #[inline(always)]
    fn put(self, all: &mut [f32; LANES], part: usize) {
        unsafe { arch::_mm256_storeu_ps(all[8 * part..][..8].as_mut_ptr(), self) }
    }

    #[inline(always)]
    fn times_plus(self, x: Self, sum: Self) -> Self {
        unsafe { arch::_mm256_fmadd_ps(self, x, sum) }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks, reason = "as above")]
impl Vector for arch::__m512 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        unsafe { arch::_mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn of(all: &[f32; LANES], part: usize) -> Self {
        unsafe { arch::_mm512_loadu_ps(all[16 * part..][..16].as_ptr()) }
    }

    #[inline(always)]
    fn put(self, all: &mut [f32; LANES], part: usize) {
        unsafe { arch::_mm512_storeu_ps(all[16 * part..][..16].as_mut_ptr(), self) }
    }

    #[inline(always)]
    fn times_plus(self, x: Self, sum: Self) -> Self {
        unsafe { arch::_mm512_fmadd_ps(self, x, sum) }
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
        for (inputs, outputs, rows) in [(1, 1, 1), (7, 31, 2), (5, 32, 6), (512, 33, 13), (40, 257, 4)] {
            let mut draw = |len: usize| (0..len).map(|_| rng.f32() * 2.0 - 1.0).collect::<Vec<_>>();
            let (weights, x) = (draw(inputs * outputs), draw(rows * inputs));
            let mut dense = Dense::new(&weights, inputs);
            assert_eq!(dense.outputs(), outputs);
            for set in [Set::best(), Set::Target] {
                dense.set = set;
                let mut y = vec![f32::NAN; rows * outputs];
                dense.apply(&x, &mut y);
                for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact(outputs)) {
                    for (row, y) in weights.chunks_exact(inputs).zip(y) {
                        let exact: f64 = row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                        assert!((f64::from(*y) - exact).abs() < 1e-6 * inputs as f64, "{inputs} {outputs}");
                    }
                    let mut alone = vec![f32::NAN; outputs];
                    dense.apply(x, &mut alone);
                    assert_eq!(alone, y, "{set:?}: a row's bits depend on others");
                }
            }
        }
    }
}
