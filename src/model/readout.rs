//! The dense layer after the recurrent stack: `out = W y + b` (Goodfellow et al. 2016, section 6.1).

use std::sync::Arc;

use crate::dims::{at_least_one, check_finite, check_len};
use crate::error::Result;

/// Which steps the readout is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadoutSteps {
    /// Every step: `out` is `[B, T, O]`.
    Every,
    /// The last step only: `out` is `[B, O]`.
    Last,
}

/// A dense readout of O outputs, `out = w y + b`, linear: the caller applies any activation after it. Clones share the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    input: usize,
    outputs: usize,
    steps: ReadoutSteps,
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
        Ok(Self { input, outputs, steps, w: w.into(), b: b.map(Arc::new) })
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

    /// `[O, D·P]`.
    pub fn w(&self) -> &[f32] {
        &self.w
    }

    /// `[O]`.
    pub fn b(&self) -> Option<&[f32]> {
        self.b.as_deref().map(Vec::as_slice)
    }
}
