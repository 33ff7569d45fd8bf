//! One layer: a cell, its direction, its sizes and one set of weights per direction.

use std::fmt;

use super::check_finite;
use super::{Activations, Cell, Reset, Update};
use crate::dims::{at_least_one, check_len, product};
use crate::error::{Error, Result};

/// The order in which a layer walks over the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From the last step to the first; the output stays aligned with the input's time.
    Reverse,
    /// Both, their outputs side by side: `[forward, reverse]`.
    Bidirectional,
}

impl Direction {
    /// D, the number of directions: 1 or 2.
    pub fn count(self) -> usize {
        if self == Self::Bidirectional { 2 } else { 1 }
    }

    /// Whether direction `index` of D walks from the last step to the first.
    pub fn is_reverse(self, index: usize) -> bool {
        index >= self.reverse_from()
    }

    /// The first direction that walks backwards; D where none does.
    pub(crate) fn reverse_from(self) -> usize {
        if self == Self::Reverse { 0 } else { 1 }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
            Self::Bidirectional => "bidirectional",
        })
    }
}

/// The weights of one direction of one layer, in the crate's layout (see [`crate::model`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// `[G·H, I]`, on the input.
    pub w_ih: Vec<f32>,
    /// `[G·H, H]`, on the state.
    pub w_hh: Vec<f32>,
    /// `[G·H]`, added to `w_ih x`.
    pub b_ih: Option<Vec<f32>>,
    /// `[G·H]`, added to `w_hh h`; a GRU's n part stays inside the reset product when reset is after.
    pub b_hh: Option<Vec<f32>>,
}

/// One recurrent layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    cell: Cell,
    direction: Direction,
    input: usize,
    hidden: usize,
    weights: Vec<Weights>,
    activations: Vec<Activations>,
    clip: Option<f32>,
}

impl Layer {
    /// A layer of `hidden` units on `input` features, with one [`Weights`] per direction (forward first).
    ///
    /// # Errors
    /// A size of 0, a slice whose length does not fit `[G·H, I]`, `[G·H, H]` or `[G·H]`, a number of
    /// weight sets other than D, a weight that is not finite.
    pub fn new(
        cell: Cell,
        direction: Direction,
        input: usize,
        hidden: usize,
        weights: Vec<Weights>,
    ) -> Result<Self> {
        at_least_one("I (input features)", input)?;
        at_least_one("H (hidden units)", hidden)?;
        if weights.len() != direction.count() {
            return Err(Error::Mismatch {
                name: format!("weights of a {direction} layer"),
                reason: format!("needs {} sets, got {}", direction.count(), weights.len()),
            });
        }
        let rows = product("G·H", &[cell.gates(), hidden])?;
        for set in &weights {
            let biases = [("b_ih", &set.b_ih), ("b_hh", &set.b_hh)];
            let matrices = [("w_ih", &set.w_ih, input), ("w_hh", &set.w_hh, hidden)];
            for (name, values, columns) in matrices {
                check_len(name, &[rows, columns], values.len())?;
                check_finite(name, values)?;
            }
            for (name, values) in biases {
                if let Some(values) = values {
                    check_len(name, &[rows], values.len())?;
                    check_finite(name, values)?;
                }
            }
        }
        let activations = vec![Activations::of(cell); direction.count()];
        Ok(Self { cell, direction, input, hidden, weights, activations, clip: None })
    }

    /// Replaces the activations, one set per direction, forward first.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a number of sets other than D.
    pub fn with_activations(mut self, activations: Vec<Activations>) -> Result<Self> {
        if activations.len() != self.direction.count() {
            return Err(Error::Mismatch {
                name: format!("activations of a {} layer", self.direction),
                reason: format!("needs {} sets, got {}", self.direction.count(), activations.len()),
            });
        }
        self.activations = activations;
        Ok(self)
    }

    /// Clamps the input of each activation to −clip … clip, as ONNX's attribute `clip` does.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where it is not a positive finite number.
    pub fn with_clip(mut self, clip: f32) -> Result<Self> {
        if !(clip.is_finite() && clip > 0.0) {
            let reason = format!("needs a positive finite number, got {clip}");
            return Err(Error::Mismatch { name: "clip".into(), reason });
        }
        self.clip = Some(clip);
        Ok(self)
    }

    /// The GRU as Cho et al. (2014) define it. Each gate acts on `[h, x]`, there is no bias, reset is
    /// before the product and `h' = (1 − z) ⊙ h + z ⊙ n`.
    ///
    /// `w_r`, `w_z`, `w_n`: `[H, H + I]`, row-major; the first H columns act on h, the last I on x.
    ///
    /// # Errors
    /// As [`Layer::new`].
    pub fn original_gru(input: usize, hidden: usize, w_r: &[f32], w_z: &[f32], w_n: &[f32]) -> Result<Self> {
        at_least_one("I (input features)", input)?;
        at_least_one("H (hidden units)", hidden)?;
        let columns = hidden
            .checked_add(input)
            .ok_or_else(|| Error::Overflow { name: "H + I".into(), factors: vec![hidden, input] })?;
        let (mut w_ih, mut w_hh) = (Vec::new(), Vec::new());
        for (name, gate) in [("w_r", w_r), ("w_z", w_z), ("w_n", w_n)] {
            check_len(name, &[hidden, columns], gate.len())?;
            for row in gate.chunks_exact(columns) {
                w_hh.extend_from_slice(&row[..hidden]);
                w_ih.extend_from_slice(&row[hidden..]);
            }
        }
        let cell = Cell::Gru { reset: Reset::Before, update: Update::Takes };
        let weights = Weights { w_ih, w_hh, b_ih: None, b_hh: None };
        Self::new(cell, Direction::Forward, input, hidden, vec![weights])
    }

    /// The cell.
    pub fn cell(&self) -> Cell {
        self.cell
    }

    /// The direction.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// I, features of one step of input.
    pub fn input(&self) -> usize {
        self.input
    }

    /// H, hidden units of one direction.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// D·H, features of one step of output.
    pub fn output(&self) -> usize {
        self.direction.count() * self.hidden
    }

    /// One set per direction, forward first.
    pub fn activations(&self) -> &[Activations] {
        &self.activations
    }

    /// What the input of each activation is clamped to.
    pub fn clip(&self) -> Option<f32> {
        self.clip
    }

    /// One set per direction, forward first.
    pub fn weights(&self) -> &[Weights] {
        &self.weights
    }
}
