//! The activations, in the form the shaders have them (`shaders/shared/activation.wgsl`): clamped arguments,
//! exact limits.

use crate::model::{Activation, Activations, Function, Layer};

/// The activations of a layer, each on its clipped input.
pub(super) trait Functions {
    /// f: a GRU's r and z, an LSTM's i, f and o.
    fn gate(&self, x: f32) -> f32;
    /// g: a GRU's n, an LSTM's g.
    fn candidate(&self, x: f32) -> f32;
    /// h: an LSTM's, on c'.
    fn output(&self, c: f32) -> f32;
    /// An RNN's only one.
    fn rnn(&self, x: f32) -> f32;
}

/// What every cell has by definition; code of its own, so that the common case asks nothing per element.
pub(super) struct Standard;

impl Functions for Standard {
    fn gate(&self, x: f32) -> f32 {
        sigmoid(x)
    }

    fn candidate(&self, x: f32) -> f32 {
        tanh(x)
    }

    fn output(&self, c: f32) -> f32 {
        tanh(c)
    }

    fn rnn(&self, x: f32) -> f32 {
        tanh(x)
    }
}

/// Any activations and any clip.
#[derive(Debug)]
pub(super) struct General {
    activations: Activations,
    clip: Option<f32>,
}

impl General {
    /// Those of a direction of `layer`; none where they are [`Standard`].
    pub(super) fn of(layer: &Layer, direction: usize) -> Option<Self> {
        let (activations, clip) = (layer.activations()[direction], layer.clip());
        let standard = activations == Activations::of(layer.cell()) && clip.is_none();
        (!standard).then_some(Self { activations, clip })
    }

    fn clipped(&self, x: f32) -> f32 {
        self.clip.map_or(x, |clip| x.clamp(-clip, clip))
    }
}

impl Functions for General {
    fn gate(&self, x: f32) -> f32 {
        apply(self.activations.gate, self.clipped(x))
    }

    fn candidate(&self, x: f32) -> f32 {
        apply(self.activations.candidate, self.clipped(x))
    }

    fn output(&self, c: f32) -> f32 {
        apply(self.activations.output, c)
    }

    fn rnn(&self, x: f32) -> f32 {
        self.gate(x)
    }
}

/// `activation` of x.
fn apply(activation: Activation, x: f32) -> f32 {
    let (alpha, beta) = (activation.alpha(), activation.beta());
    match activation.function() {
        Function::Sigmoid => sigmoid(x),
        Function::Tanh => tanh(x),
        Function::Relu => relu(x),
        Function::Affine => alpha * x + beta,
        Function::LeakyRelu if x < 0.0 => alpha * x,
        Function::LeakyRelu => x,
        Function::ThresholdedRelu if x <= alpha => 0.0,
        Function::ThresholdedRelu => x,
        Function::ScaledTanh => alpha * tanh(beta * x),
        Function::HardSigmoid => (alpha * x + beta).clamp(0.0, 1.0),
        Function::Elu if x < 0.0 => alpha * x.exp_m1(),
        Function::Elu => x,
        Function::Softsign => x / (1.0 + x.abs()),
        Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
    }
}

/// 1 / (1 + exp(−x)).
fn sigmoid(x: f32) -> f32 {
    // clamp() keeps NaN, as min() would not.
    if x < -87.0 { 0.0 } else { 1.0 / (1.0 + (-x.clamp(-87.0, 87.0)).exp()) }
}

/// max(0, x); NaN stays NaN.
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// tanh as x·p(x²)/q(x²), of degree 13/6; absolute error at most 4e-7.
fn tanh(x: f32) -> f32 {
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
    if x.abs() > 9.0 {
        return x.signum();
    }
    let a = x.clamp(-7.998_811_7, 7.998_811_7);
    let s = a * a;
    let horner = |coefficients: &[f32]| coefficients.iter().fold(0.0, |sum, c| sum * s + c);
    (a * horner(&P) / horner(&Q)).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_over_the_whole_range() {
        for i in -200_000..=200_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x);
            let error = (f64::from(tanh(x)) - exact.tanh()).abs();
            assert!(error <= 4e-7, "tanh({x}) is off by {error:e}");
            let error = (f64::from(sigmoid(x)) - 1.0 / (1.0 + (-exact).exp())).abs();
            assert!(error <= 2e-7, "sigmoid({x}) is off by {error:e}");
        }
    }

    #[test]
    fn limits_are_exact() {
        for x in [1e3, 1e20, f32::MAX, f32::INFINITY] {
            assert_eq!((sigmoid(x), sigmoid(-x)), (1.0, 0.0));
            assert_eq!((tanh(x), tanh(-x)), (1.0, -1.0));
        }
        assert_eq!((sigmoid(0.0), tanh(0.0)), (0.5, 0.0));
        assert_eq!((relu(-2.0), relu(3.0)), (0.0, 3.0));
        assert!([sigmoid, tanh, relu].iter().all(|activation| activation(f32::NAN).is_nan()));
    }
}
