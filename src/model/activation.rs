//! The activations of ONNX's recurrent operators, with their parameters.
//!
//! ```text
//! Sigmoid 1/(1+e⁻ˣ)      Tanh             Relu max(0, x)
//! Affine αx+β            LeakyRelu x<0 ? αx : x        ThresholdedRelu x>α ? x : 0
//! ScaledTanh α·tanh(βx)  HardSigmoid max(0, min(1, αx+β))
//! Elu x<0 ? α(eˣ−1) : x  Softsign x/(1+|x|)            Softplus ln(1+eˣ)
//! ```
//!
//! Source: the ONNX operator specification, operator GRU, attribute `activations`. Hard sigmoid is 0.2·x + 0.5 in
//! ONNX and x/6 + 0.5 in Keras 3, so the parameters are part of the function and never implied.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::Cell;
use crate::error::{Error, Result};

/// A function of one number. Its parameters α and β are in [`Activation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Function {
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `max(0, x)`.
    Relu,
    /// `αx + β`.
    Affine,
    /// `x < 0 ? αx : x`.
    LeakyRelu,
    /// `x > α ? x : 0`.
    ThresholdedRelu,
    /// `α tanh(βx)`.
    ScaledTanh,
    /// `max(0, min(1, αx + β))`.
    HardSigmoid,
    /// `x < 0 ? α(eˣ − 1) : x`.
    Elu,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `ln(1 + eˣ)`.
    Softplus,
}

impl Function {
    /// Every function, in the order the shaders number them.
    pub const ALL: [Self; 11] = [
        Self::Sigmoid,
        Self::Tanh,
        Self::Relu,
        Self::Affine,
        Self::LeakyRelu,
        Self::ThresholdedRelu,
        Self::ScaledTanh,
        Self::HardSigmoid,
        Self::Elu,
        Self::Softsign,
        Self::Softplus,
    ];

    /// Whether it takes α, and whether it takes β.
    pub fn parameters(self) -> (bool, bool) {
        match self {
            Self::Affine | Self::ScaledTanh | Self::HardSigmoid => (true, true),
            Self::LeakyRelu | Self::ThresholdedRelu | Self::Elu => (true, false),
            Self::Sigmoid | Self::Tanh | Self::Relu | Self::Softsign | Self::Softplus => (false, false),
        }
    }
}

/// A function with its parameters; those it does not take are 0. Compared by the bits of the parameters.
#[derive(Debug, Clone, Copy)]
pub struct Activation {
    function: Function,
    alpha: f32,
    beta: f32,
}

impl Activation {
    /// `1 / (1 + e⁻ˣ)`.
    pub const SIGMOID: Self = Self { function: Function::Sigmoid, alpha: 0.0, beta: 0.0 };
    /// Hyperbolic tangent.
    pub const TANH: Self = Self { function: Function::Tanh, alpha: 0.0, beta: 0.0 };
    /// `max(0, x)`.
    pub const RELU: Self = Self { function: Function::Relu, alpha: 0.0, beta: 0.0 };

    /// A function with its parameters α and β, 0 for those that it does not take ([`Function::parameters`]).
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a parameter that is not finite, or that the function does not take and is not 0.
    pub fn new(function: Function, alpha: f32, beta: f32) -> Result<Self> {
        let (takes_alpha, takes_beta) = function.parameters();
        for (name, value, takes) in [("alpha", alpha, takes_alpha), ("beta", beta, takes_beta)] {
            if !value.is_finite() || (!takes && value != 0.0) {
                let need = if takes { "a finite number" } else { "none" };
                let reason = format!("{function:?} takes {need}, got {value}");
                return Err(Error::Mismatch { name: name.into(), reason });
            }
        }
        Ok(Self { function, alpha: alpha + 0.0, beta: beta + 0.0 })
    }

    /// `max(0, min(1, αx + β))`.
    ///
    /// # Errors
    /// Those of [`Activation::new`].
    pub fn hard_sigmoid(alpha: f32, beta: f32) -> Result<Self> {
        Self::new(Function::HardSigmoid, alpha, beta)
    }

    /// Which function.
    pub fn function(self) -> Function {
        self.function
    }

    /// α, 0 where the function takes none.
    pub fn alpha(self) -> f32 {
        self.alpha
    }

    /// β, 0 where the function takes none.
    pub fn beta(self) -> f32 {
        self.beta
    }

    /// Its largest slope, which bounds how much it amplifies an error.
    pub(crate) fn slope(self) -> f64 {
        let (alpha, beta) = (f64::from(self.alpha).abs(), f64::from(self.beta).abs());
        match self.function {
            Function::Affine | Function::HardSigmoid => alpha,
            Function::ScaledTanh => alpha * beta,
            Function::LeakyRelu | Function::Elu => alpha.max(1.0),
            _ => 1.0,
        }
    }

    fn bits(self) -> (Function, u32, u32) {
        (self.function, self.alpha.to_bits(), self.beta.to_bits())
    }
}

impl PartialEq for Activation {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Activation {}

impl Hash for Activation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.function)?;
        match self.function.parameters() {
            (true, true) => write!(f, "({}, {})", self.alpha, self.beta),
            (true, false) => write!(f, "({})", self.alpha),
            _ => Ok(()),
        }
    }
}

/// The activations of one direction, by their place in the equations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Activations {
    /// f: of a GRU's r and z, and an LSTM's i, f and o; an RNN's only activation.
    pub gate: Activation,
    /// g: of a GRU's n and an LSTM's g. Unused in an RNN.
    pub candidate: Activation,
    /// h: of an LSTM's c'. Unused in the others.
    pub output: Activation,
}

impl Activations {
    /// The defaults of `cell`; tanh for an RNN.
    pub fn of(cell: Cell) -> Self {
        let gate = match cell {
            Cell::Gru { .. } | Cell::Lstm { .. } => Activation::SIGMOID,
            Cell::Rnn => Activation::TANH,
        };
        Self { gate, candidate: Activation::TANH, output: Activation::TANH }
    }

    /// The activations that `cell` uses, in the order f, g, h.
    pub fn places(self, cell: Cell) -> Vec<Activation> {
        let count = match cell {
            Cell::Gru { .. } => 2,
            Cell::Lstm { .. } => 3,
            Cell::Rnn => 1,
        };
        [self.gate, self.candidate, self.output][..count].to_vec()
    }

    pub(crate) fn slope(self) -> f64 {
        self.gate.slope().max(self.candidate.slope()).max(self.output.slope())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked_against_the_function() {
        assert!(Activation::new(Function::Tanh, 0.0, 0.0).is_ok());
        assert!(Activation::new(Function::Tanh, 1.0, 0.0).is_err());
        assert!(Activation::new(Function::Elu, 1.0, 0.5).is_err());
        assert!(Activation::new(Function::Affine, f32::NAN, 0.5).is_err());
        assert_eq!(Activation::hard_sigmoid(0.2, 0.5).unwrap().to_string(), "HardSigmoid(0.2, 0.5)");
    }
}
