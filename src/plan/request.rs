//! What the planner is asked, and what it chooses between.

use super::{Caps, Correction, Cost, LayerRecipe, Shape, Strategy};
use crate::dtype::Precision;
use crate::kernels::Rows;
use crate::kernels::matrices::{self, Matrices};

/// What is asked of the planner beside sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Request {
    /// How weights and activations are stored.
    pub precision: Precision,
    /// What to choose from.
    pub only: Only,
    /// Whether kernels may sum in an order of their own, so that a session, or another plan, may give other bits.
    pub any_reduction_order: bool,
}

impl Request {
    /// The cooperative matrices that may be made use of: their numbers are f16, and they add in an order of their own.
    pub(super) fn matrices(&self, caps: &Caps) -> Option<Matrices> {
        caps.matrices.filter(|_| self.any_reduction_order && self.precision == matrices::PRECISION)
    }
}

impl From<Precision> for Request {
    fn from(precision: Precision) -> Self {
        Self { precision, ..Self::default() }
    }
}

/// What to choose from, in every layer that has such a candidate; everything, where all are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Only {
    /// The strategy.
    pub strategy: Option<Strategy>,
    /// Batch rows side by side, where the batch has more than one.
    pub rows: Option<Rows>,
    /// Which variant of the strategy, as [`alternatives`](super::alternatives) lists them.
    pub variant: Option<usize>,
    /// Steps of a chunk of a pipelined stack, fewer where the device or the memory bear no more; 0 for none. Of no effect where
    /// layers cannot run at once.
    pub pipelining: Option<usize>,
}

impl Only {
    /// Whether a candidate's strategy and variant are allowed.
    pub fn has(self, candidate: &Candidate) -> bool {
        self.strategy.is_none_or(|strategy| strategy == candidate.strategy)
            && self.variant.is_none_or(|variant| variant == candidate.variant)
    }
}

/// A way to compute a layer, and what it is predicted to take, or why it cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Batch rows side by side.
    pub rows: Rows,
    /// The strategy.
    pub strategy: Strategy,
    /// Which variant of it: tiles of rows of a thread, or how k is assigned to threads.
    pub variant: usize,
    /// The recipe with its predicted cost, or what forbids the strategy.
    pub outcome: Result<(LayerRecipe, Cost), String>,
    /// What it is measured as, if layers of its kind are.
    pub shape: Option<Shape>,
    /// How the cost follows from what was measured; `None`, where it is the model's alone.
    pub correction: Option<Correction>,
}

impl Candidate {
    /// What the model alone predicts.
    pub fn modelled(&self) -> Option<Cost> {
        let (_, cost) = self.outcome.as_ref().ok()?;
        Some(self.correction.map_or(*cost, |correction| correction.modelled))
    }
}
