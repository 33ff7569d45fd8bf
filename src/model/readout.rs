//! The dense layer after the recurrent stack: `out = f(W y + b)` (Goodfellow et al. 2016, sections 6.1 and 6.2.2).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::dims::{at_least_one, check_finite, check_len};
use crate::error::{Error, Result};

/// Which steps the readout is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadoutSteps {
    /// Every step: `out` is `[B, T, O]`.
    Every,
    /// The last step only: `out` is `[B, O]`.
    Last,
}

/// f of a readout, on the O outputs a of one row and step. Its name as text is the one in brackets.
///
/// Softmax subtracts the largest output first, so that no exponential overflows. A NaN makes every output of its row NaN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadoutActivation {
    /// `a` (`linear`).
    #[default]
    Linear,
    /// `max(0, a)` (`relu`).
    Relu,
    /// `1 / (1 + e⁻ᵃ)` (`sigmoid`).
    Sigmoid,
    /// Hyperbolic tangent (`tanh`).
    Tanh,
    /// `eᵃ / Σ eᵃ`, summed over the outputs (`softmax`).
    Softmax,
    /// `ln(eᵃ / Σ eᵃ)` (`log_softmax`).
    LogSoftmax,
}

impl ReadoutActivation {
    /// Every activation.
    pub const ALL: [Self; 6] =
        [Self::Linear, Self::Relu, Self::Sigmoid, Self::Tanh, Self::Softmax, Self::LogSoftmax];

    /// Its name, as PyTorch and Keras have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softmax => "softmax",
            Self::LogSoftmax => "log_softmax",
        }
    }
}

impl fmt::Display for ReadoutActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ReadoutActivation {
    type Err = Error;

    /// # Errors
    /// [`Error::Mismatch`] for a text that is the name of none.
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name).ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            Error::Mismatch {
                name: "activation of the readout".into(),
                reason: format!("expected one of {all}, got {name}"),
            }
        })
    }
}

/// A dense readout of O outputs, `out = f(w y + b)`; f is linear unless [`Readout::with_activation`] sets it. Clones share the
/// weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    input: usize,
    outputs: usize,
    steps: ReadoutSteps,
    activation: ReadoutActivation,
    w: Arc<Vec<f32>>,
    b: Option<Arc<Vec<f32>>>,
}

impl Readout {
    /// `w`: `[O, D·P]`, row-major; `b`: `[O]`. `input` is D·P of the last layer, or P where it merges its directions.
    ///
    /// # Errors
    /// [`crate::Error::Zero`] for a size of 0, [`crate::Error::Length`] for a slice that does not fit its shape,
    /// [`crate::Error::NotFinite`].
    pub fn new(
        input: usize,
        outputs: usize,
        steps: ReadoutSteps,
        w: Vec<f32>,
        b: Option<Vec<f32>>,
    ) -> Result<Self> {
        at_least_one("readout input features", input)?;
        at_least_one("O (readout outputs)", outputs)?;
        check_len("readout weight", &[outputs, input], w.len())?;
        check_finite("readout weight", &[outputs, input], &w)?;
        if let Some(b) = &b {
            check_len("readout bias", &[outputs], b.len())?;
            check_finite("readout bias", &[outputs], b)?;
        }
        let activation = ReadoutActivation::Linear;
        Ok(Self { input, outputs, steps, activation, w: w.into(), b: b.map(Arc::new) })
    }

    /// The same with f = `activation`.
    pub fn with_activation(mut self, activation: ReadoutActivation) -> Self {
        self.activation = activation;
        self
    }

    /// The same at these steps.
    pub(crate) fn with_steps(mut self, steps: ReadoutSteps) -> Self {
        self.steps = steps;
        self
    }

    /// The features it reads: D·P, or P where the last layer merges its directions.
    pub fn input(&self) -> usize {
        self.input
    }

    /// O, the features it writes.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The steps it is applied to.
    pub fn steps(&self) -> ReadoutSteps {
        self.steps
    }

    /// f, on the outputs of each step.
    pub fn activation(&self) -> ReadoutActivation {
        self.activation
    }

    /// `[O, D·P]`.
    pub fn w(&self) -> &[f32] {
        &self.w
    }

    /// `[O]`.
    pub fn b(&self) -> Option<&[f32]> {
        self.b.as_deref().map(Vec::as_slice)
    }
}
