//! The planner's request, and its candidates.

use super::{Caps, Correction, Cost, LayerRecipe, Shape, Strategy};
use crate::dtype::Precision;
use crate::kernels::Rows;
use crate::kernels::matrices::{self, Matrices};

/// Options of the planner beside sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Request {
    /// How weights and activations are stored.
    pub precision: Precision,
    /// Limits on the candidates.
    pub only: Only,
    /// Whether the reduction order of kernels is free. A session, or another plan, may then give other bits.
    pub any_reduction_order: bool,
}

impl Request {
    /// The cooperative matrices that the request allows: their numbers are f16, and their reduction order is not
    /// ours.
    pub(super) fn matrices(&self, caps: &Caps) -> Option<Matrices> {
        caps.matrices.filter(|_| self.any_reduction_order && self.precision == matrices::PRECISION)
    }
}

impl From<Precision> for Request {
    fn from(precision: Precision) -> Self {
        Self { precision, ..Self::default() }
    }
}

/// Limits on the candidates, in every layer that has such a one; no limits where all are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Only {
    /// The strategy.
    pub strategy: Option<Strategy>,
    /// Batch rows side by side, where the batch has more than one.
    pub rows: Option<Rows>,
    /// Which variant of the strategy, as [`alternatives`](super::alternatives) lists them.
    pub variant: Option<usize>,
    /// Steps of a chunk of a pipelined stack, fewer where the device or the memory does not allow so many; 0 for no
    /// pipelining. Without effect where layers cannot be pipelined.
    pub pipelining: Option<usize>,
}

impl Only {
    /// Whether a candidate has the required strategy and variant.
    pub fn has(self, candidate: &Candidate) -> bool {
        self.strategy.is_none_or(|strategy| strategy == candidate.strategy)
            && self.variant.is_none_or(|variant| variant == candidate.variant)
    }
}

/// A way to compute a layer, with its predicted time, or the reason why the device does not allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Batch rows side by side.
    pub rows: Rows,
    /// The strategy.
    pub strategy: Strategy,
    /// Which variant of it: tiles of rows of a thread, or how k is assigned to threads.
    pub variant: usize,
    /// The recipe with its predicted cost, or the reason why the strategy is not possible.
    pub outcome: Result<(LayerRecipe, Cost), String>,
    /// The shape of its samples, where layers of its kind are measured.
    pub shape: Option<Shape>,
    /// The part of the steps' predicted time that is latency of loads, by the model alone.
    pub waits: Cost,
    /// How measurements corrected the cost; `None` where it is the model's alone.
    pub correction: Option<Correction>,
}

impl Candidate {
    /// The cost by the model alone.
    pub fn modelled(&self) -> Option<Cost> {
        let (_, cost) = self.outcome.as_ref().ok()?;
        Some(self.correction.map_or(*cost, |correction| correction.modelled))
    }
}
