//! The activations, on vectors, with the formulas of the shaders (`shaders/shared/activation.wgsl`): the same rational tanh,
//! clamped arguments, exact limits; eˣ by a polynomial.

use super::simd::{MOST_LANES, Simd};
use crate::model::{Activation, Activations, Function, Layer};

/// The activations of a layer, each on its clipped input. Each call takes N vectors, which hide each other's latency.
pub(super) trait Functions {
    /// The largest N that still gains speed.
    const SIDE_BY_SIDE: usize;

    /// f: of the gates r and z of a GRU, and i, f and o of an LSTM.
    fn gate<S: Simd, const N: usize>(&self, simd: S, x: [S::Vector; N]) -> [S::Vector; N];
    /// g: of n of a GRU and g of an LSTM.
    fn candidate<S: Simd, const N: usize>(&self, simd: S, x: [S::Vector; N]) -> [S::Vector; N];
    /// h: of c' of an LSTM.
    fn output<S: Simd, const N: usize>(&self, simd: S, c: [S::Vector; N]) -> [S::Vector; N];
    /// The only activation of an RNN.
    fn rnn<S: Simd, const N: usize>(&self, simd: S, x: [S::Vector; N]) -> [S::Vector; N];
}

/// The default activations of each cell. Separate code, so that the common case has no branch per element.
pub(super) struct Standard;

impl Functions for Standard {
    const SIDE_BY_SIDE: usize = 4;

    #[inline(always)]
    fn gate<S: Simd, const N: usize>(&self, simd: S, x: [S::Vector; N]) -> [S::Vector; N] {
        sigmoid(simd, x)
    }

    #[inline(always)]
    fn candidate<S: Simd, const N: usize>(&self, simd: S, x: [S::Vector; N]) -> [S::Vector; N] {
        tanh(simd, x)
    }

    #[inline(always)]
    fn output<S: Simd, const N: usize>(&self, simd: S, c: [S::Vector; N]) -> [S::Vector; N] {
        tanh(simd, c)
    }

    #[inline(always)]
    fn rnn<S: Simd, const N: usize>(&self, simd: S, x: [S::Vector; N]) -> [S::Vector; N] {
        tanh(simd, x)
    }
}

/// Any activations and any clip.
#[derive(Debug)]
pub(super) struct General {
    activations: Activations,
    /// Infinity for none.
    clip: f32,
}

impl General {
    /// Those of a direction of `layer`; `None` where they are [`Standard`].
    pub(super) fn of(layer: &Layer, direction: usize) -> Option<Self> {
        let (activations, clip) = (layer.activations()[direction], layer.clip());
        let standard = activations == Activations::of(layer.cell()) && clip.is_none();
        (!standard).then_some(Self { activations, clip: clip.unwrap_or(f32::INFINITY) })
    }
}

impl Functions for General {
    /// There are too many functions to generate code for several vectors at once.
    const SIDE_BY_SIDE: usize = 1;

    #[inline(always)]
    fn gate<S: Simd, const N: usize>(&self, simd: S, x: [S::Vector; N]) -> [S::Vector; N] {
        self.clipped(simd, self.activations.gate, x)
    }

    #[inline(always)]
    fn candidate<S: Simd, const N: usize>(&self, simd: S, x: [S::Vector; N]) -> [S::Vector; N] {
        self.clipped(simd, self.activations.candidate, x)
    }

    #[inline(always)]
    fn output<S: Simd, const N: usize>(&self, simd: S, mut c: [S::Vector; N]) -> [S::Vector; N] {
        for c in &mut c {
            *c = apply(simd, self.activations.output, *c);
        }
        c
    }

    #[inline(always)]
    fn rnn<S: Simd, const N: usize>(&self, simd: S, x: [S::Vector; N]) -> [S::Vector; N] {
        self.gate(simd, x)
    }
}

impl General {
    #[inline(always)]
    fn clipped<S: Simd, const N: usize>(
        &self,
        simd: S,
        activation: Activation,
        mut x: [S::Vector; N],
    ) -> [S::Vector; N] {
        for x in &mut x {
            *x = apply(simd, activation, clamp(simd, *x, self.clip));
        }
        x
    }
}

/// `x` within −bound .. bound; NaN stays NaN.
#[inline(always)]
pub(super) fn clamp<S: Simd>(simd: S, x: S::Vector, bound: f32) -> S::Vector {
    simd.max(simd.splat(-bound), simd.min(simd.splat(bound), x))
}

/// `activation` of each number: the common ones as vectors, the others one by one. In modules of WebAssembly, whose size counts, it is
/// a call; elsewhere a function of its own would not be compiled for the instruction set.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(super) fn apply<S: Simd>(simd: S, activation: Activation, x: S::Vector) -> S::Vector {
    let zero = simd.splat(0.0);
    let line = || simd.add(simd.mul(simd.splat(activation.alpha()), x), simd.splat(activation.beta()));
    match activation.function() {
        Function::Sigmoid => sigmoid(simd, [x])[0],
        Function::Tanh => tanh(simd, [x])[0],
        Function::Relu => simd.max(zero, x),
        Function::HardSigmoid => simd.max(zero, simd.min(simd.splat(1.0), line())),
        Function::Affine => line(),
        Function::ScaledTanh => {
            let [inner] = tanh(simd, [simd.mul(simd.splat(activation.beta()), x)]);
            simd.mul(simd.splat(activation.alpha()), inner)
        }
        _ => {
            let mut numbers = [0.0; MOST_LANES];
            simd.write(x, &mut numbers);
            one_by_one(activation, &mut numbers[..S::LANES]);
            simd.read(&numbers)
        }
    }
}

/// Activations that have no vector form.
#[inline(never)]
fn one_by_one(activation: Activation, numbers: &mut [f32]) {
    let alpha = activation.alpha();
    for x in numbers {
        *x = match activation.function() {
            Function::LeakyRelu if *x < 0.0 => alpha * *x,
            Function::ThresholdedRelu if *x <= alpha => 0.0,
            Function::Elu if *x < 0.0 => alpha * x.exp_m1(),
            Function::Softsign => *x / (1.0 + x.abs()),
            Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            _ => *x,
        };
    }
}

/// eˣ within −87 .. 87: 2ⁿ eʳ, eʳ as a polynomial of degree 6 fitted on |r| ≤ ln 2 / 2.
#[inline(always)]
pub(super) fn exp<S: Simd, const N: usize>(simd: S, x: [S::Vector; N]) -> [S::Vector; N] {
    // ln 2 in two parts, the first of so few bits that its product with n is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const E: [f32; 5] = [1.381_445_6e-3, 8.368_785_5e-3, 4.166_839_6e-2, 0.166_665_2, 0.499_999_94];
    // Adding it leaves no mantissa bits for a fraction.
    let whole = simd.splat(12_582_912.0);
    let (mut n, mut r) = (x, x);
    for i in 0..N {
        n[i] = simd.fma(x[i], simd.splat(std::f32::consts::LOG2_E), whole);
        n[i] = simd.sub(n[i], whole);
        r[i] = simd.fma(n[i], simd.splat(-LN_2[0]), x[i]);
        r[i] = simd.fma(n[i], simd.splat(-LN_2[1]), r[i]);
    }
    let mut e = [simd.splat(E[0]); N];
    for c in &E[1..] {
        for i in 0..N {
            e[i] = simd.fma(e[i], r[i], simd.splat(*c));
        }
    }
    for i in 0..N {
        e[i] = simd.add(simd.fma(simd.mul(r[i], r[i]), e[i], r[i]), simd.splat(1.0));
        e[i] = simd.mul(e[i], simd.exp2_whole(n[i]));
    }
    e
}

/// 1 / (1 + exp(−x)); absolute error at most 2e-7.
#[inline(always)]
fn sigmoid<S: Simd, const N: usize>(simd: S, x: [S::Vector; N]) -> [S::Vector; N] {
    let one = simd.splat(1.0);
    let mut y = x;
    for i in 0..N {
        y[i] = clamp(simd, simd.sub(simd.splat(0.0), x[i]), 87.0);
    }
    y = exp(simd, y);
    for i in 0..N {
        y[i] = simd.div(one, simd.add(one, y[i]));
        y[i] = simd.if_less(x[i], simd.splat(-87.0), simd.splat(0.0), y[i]);
    }
    y
}

/// tanh as x·p(x²)/q(x²), of degree 13/6; absolute error at most 4e-7.
#[inline(always)]
fn tanh<S: Simd, const N: usize>(simd: S, x: [S::Vector; N]) -> [S::Vector; N] {
    const P: [f32; 7] = [
        -2.760_768_4e-16,
        2.000_188e-13,
        -8.604_672e-11,
        5.122_297e-8,
        1.485_722_35e-5,
        6.372_619_5e-4,
        4.893_524_6e-3,
    ];
    const Q: [f32; 4] = [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_7e-3, 4.893_525e-3];
    let one = simd.splat(1.0);
    let (mut a, mut s) = (x, x);
    for i in 0..N {
        a[i] = clamp(simd, x[i], 7.998_811_7);
        s[i] = simd.mul(a[i], a[i]);
    }
    let mut p = [simd.splat(P[0]); N];
    for c in &P[1..] {
        for i in 0..N {
            p[i] = simd.fma(s[i], p[i], simd.splat(*c));
        }
    }
    let mut q = [simd.splat(Q[0]); N];
    for c in &Q[1..] {
        for i in 0..N {
            q[i] = simd.fma(s[i], q[i], simd.splat(*c));
        }
    }
    for i in 0..N {
        let inner = clamp(simd, simd.div(simd.mul(a[i], p[i]), q[i]), 1.0);
        let inner = simd.if_less(simd.splat(9.0), x[i], one, inner);
        a[i] = simd.if_less(x[i], simd.splat(-9.0), simd.splat(-1.0), inner);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::super::simd::{InstructionSet, Level, Work, at_level};
    use super::super::size;
    use super::*;

    struct Each<'a>(Kind, &'a mut [f32]);

    #[derive(Clone, Copy)]
    enum Kind {
        Sigmoid,
        Tanh,
        Relu,
    }

    impl Work for Each<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for numbers in self.1.chunks_mut(16) {
                let mut own = [0.0; 16];
                own[..numbers.len()].copy_from_slice(numbers);
                for own in own.chunks_exact_mut(S::LANES) {
                    let x = simd.read(own);
                    let y = match self.0 {
                        Kind::Sigmoid => sigmoid(simd, [x])[0],
                        Kind::Tanh => tanh(simd, [x])[0],
                        Kind::Relu => apply(simd, Activation::RELU, x),
                    };
                    simd.write(y, own);
                }
                numbers.copy_from_slice(&own[..numbers.len()]);
            }
        }
    }

    fn of(set: InstructionSet, kind: Kind, numbers: &[f32]) -> Vec<f32> {
        let mut numbers = numbers.to_vec();
        let level = Level::of(set).unwrap();
        at_level!(level, simd => simd.run(Each(kind, &mut numbers)));
        numbers
    }

    #[test]
    fn errors_over_the_whole_range() {
        let apart = size(1, 10_000);
        let numbers: Vec<f32> = (-1_000_000..=1_000_000).step_by(apart).map(|i| i as f32 * 1e-4).collect();
        for set in InstructionSet::available() {
            for (x, y) in numbers.iter().zip(of(set, Kind::Tanh, &numbers)) {
                let error = (f64::from(y) - f64::from(*x).tanh()).abs();
                assert!(error <= 4e-7, "{set}: tanh({x}) is off by {error:e}");
            }
            for (x, y) in numbers.iter().zip(of(set, Kind::Sigmoid, &numbers)) {
                let exact = 1.0 / (1.0 + (-f64::from(*x)).exp());
                let error = (f64::from(y) - exact).abs();
                assert!(error <= 2e-7, "{set}: sigmoid({x}) is off by {error:e}");
                // Small results are accurate to their last digits, too.
                let is_close = error <= 1e-6 * exact || *x < -87.0;
                assert!(is_close, "{set}: sigmoid({x}) is {y:e}, exactly {exact:e}");
            }
        }
    }

    /// The values of a gate with a clip for the inputs NaN, ∞ and −∞, in this order.
    struct Special<'a>(Activation, Option<f32>, &'a mut [f32; 3]);

    impl Work for Special<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            let Self(activation, clip, numbers) = self;
            let activations = Activations { gate: activation, candidate: activation, output: activation };
            let general = General { activations, clip: clip.unwrap_or(f32::INFINITY) };
            for number in numbers {
                let mut lanes = [0.0; MOST_LANES];
                simd.write(general.gate(simd, [simd.splat(*number)])[0], &mut lanes);
                // A NaN may have any bits.
                assert!(lanes[..S::LANES].iter().all(|v| *v == lanes[0] || v.is_nan() && lanes[0].is_nan()));
                *number = lanes[0];
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri draws the error of `exp_m1` anew for each number, even at infinity")]
    fn every_function_of_nan_and_of_infinities() {
        const INFINITE: f32 = f32::INFINITY;
        for set in InstructionSet::available() {
            for function in Function::ALL {
                let (alpha, beta) = function.parameters();
                let of = |takes, value| if takes { value } else { 0.0 };
                let activation = Activation::new(function, of(alpha, 0.5), of(beta, 0.25)).unwrap();
                let result = |clip| {
                    let mut numbers = [f32::NAN, INFINITE, -INFINITE];
                    at_level!(Level::of(set).unwrap(), simd => simd.run(Special(activation, clip, &mut numbers)));
                    numbers
                };
                let limits = match function {
                    Function::Sigmoid | Function::HardSigmoid => [1.0, 0.0],
                    Function::Tanh => [1.0, -1.0],
                    Function::ScaledTanh => [0.5, -0.5],
                    Function::Relu | Function::ThresholdedRelu | Function::Softplus => [INFINITE, 0.0],
                    Function::Affine | Function::LeakyRelu => [INFINITE, -INFINITE],
                    Function::Elu => [INFINITE, -0.5],
                    // ∞ / ∞, in the reference too.
                    Function::Softsign => [f32::NAN; 2],
                };
                let [of_nan, of_limits @ ..] = result(None);
                assert!(of_nan.is_nan(), "{set}, {function:?}");
                let same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
                assert!(of_limits.iter().zip(&limits).all(same), "{set}, {function:?}: {of_limits:?}");
                let [of_nan, of_limits @ ..] = result(Some(0.75));
                assert!(of_nan.is_nan() && of_limits.iter().all(|v| v.is_finite()), "{set}, {function:?}");
            }
        }
    }

    #[test]
    fn limits_are_exact_and_nan_stays() {
        for set in InstructionSet::available() {
            let large = [1e3, 1e20, f32::MAX, f32::INFINITY];
            let small = large.map(|x| -x);
            assert_eq!(of(set, Kind::Sigmoid, &large), [1.0; 4]);
            assert_eq!(of(set, Kind::Sigmoid, &small), [0.0; 4]);
            assert_eq!(of(set, Kind::Tanh, &large), [1.0; 4]);
            assert_eq!(of(set, Kind::Tanh, &small), [-1.0; 4]);
            assert_eq!(of(set, Kind::Relu, &[-2.0, 3.0]), [0.0, 3.0]);
            assert_eq!(of(set, Kind::Sigmoid, &[0.0]), [0.5]);
            assert_eq!(of(set, Kind::Tanh, &[0.0]), [0.0]);
            for kind in [Kind::Sigmoid, Kind::Tanh, Kind::Relu] {
                assert!(of(set, kind, &[f32::NAN])[0].is_nan(), "{set}");
            }
        }
    }
}
