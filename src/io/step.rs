//! The input of a session's step.

use crate::dims::check_len;
use crate::error::Result;
use crate::model::Model;

/// One step of B streams, borrowed from the caller: x, `[B, I]`, and the streams to reset before it. A slice converts to a step
/// without resets.
#[derive(Debug, Clone, Copy)]
pub struct StepInput<'a> {
    x: &'a [f32],
    resets: Option<&'a [u32]>,
}

impl<'a> StepInput<'a> {
    /// `x`: `[B, I]`.
    pub fn new(x: &'a [f32]) -> Self {
        Self { x, resets: None }
    }

    /// The streams to reset, `[B]`: where the number is not 0 the states are zero before this step, also after
    /// [`crate::Session::set_state`].
    pub fn resets(mut self, resets: &'a [u32]) -> Self {
        self.resets = Some(resets);
        self
    }

    /// `[B, I]`.
    pub fn x(&self) -> &'a [f32] {
        self.x
    }

    /// The resets, if given.
    pub(crate) fn resets_of(&self) -> Option<&'a [u32]> {
        self.resets
    }

    /// # Errors
    /// [`crate::Error::Length`] where x is not `[B, I]`, or resets are not `[B]`.
    pub(crate) fn check(&self, model: &Model, streams: usize) -> Result<()> {
        check_len("x [B, I]", &[streams, model.input()], self.x.len())?;
        self.resets.map_or(Ok(()), |resets| check_len("resets [B]", &[streams], resets.len()))
    }
}

impl<'a> From<&'a [f32]> for StepInput<'a> {
    fn from(x: &'a [f32]) -> Self {
        Self::new(x)
    }
}

impl<'a> From<&'a Vec<f32>> for StepInput<'a> {
    fn from(x: &'a Vec<f32>) -> Self {
        Self::new(x)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for StepInput<'a> {
    fn from(x: &'a [f32; N]) -> Self {
        Self::new(x)
    }
}
