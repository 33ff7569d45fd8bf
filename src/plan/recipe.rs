//! A plan as data: which kernels, with which tiles, for each layer, and its text.

use std::fmt;

use super::Cost;
use crate::dtype::Precision;
use crate::io::RunShape;
use crate::kernels::{
    ActivateRows, Definition, MergeDirections, MultiWorkgroup, Persistent, Projection, Recurrent,
    ResetStates, Rows,
};

/// How one layer is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRecipe {
    /// `w_ih x + biases` over all steps of a chunk. Of the first layer the biases alone, where x is already `w_ih x`.
    pub projection: Projection,
    /// The steps.
    pub recurrence: Recurrence,
    /// The kernels that reset states before each step, where steps are dispatched one by one and resets are given.
    pub resets: Vec<ResetStates>,
    /// Steps that are projected at a time; bounds the memory of the projection.
    pub chunk: usize,
    /// The kernel that merges both directions after all steps; `None` where they stay separate.
    pub merge: Option<MergeDirections>,
}

/// How the steps of a layer are dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recurrence {
    /// Every step by itself: its dispatches, in order.
    Step(Vec<Recurrent>),
    /// All steps of a chunk in one dispatch.
    Persistent(Persistent),
    /// All steps of a chunk in one dispatch, by workgroups that exchange h.
    MultiWorkgroup {
        /// The kernel.
        kernel: MultiWorkgroup,
        /// Polls without success of a thread, in a whole chunk, before it gives up.
        spin_limit: u32,
        /// The fallback for a chunk that fails, step by step.
        instead: Vec<Recurrent>,
    },
}

impl Recurrence {
    /// Whether every product is by cooperative matrices.
    pub fn is_by_matrices(&self) -> bool {
        let is = |kernel: &Recurrent| matches!(kernel, Recurrent::StepMatrices(_));
        matches!(self, Self::Step(kernels) if kernels.iter().all(is))
    }

    /// Whether the same kernels compute the steps, whatever their fallbacks.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::MultiWorkgroup { kernel, .. }, Self::MultiWorkgroup { kernel: other, .. }) => {
                kernel == other
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Persistent(kernel) => f.write_str(&kernel.text()),
            Self::MultiWorkgroup { kernel, .. } => f.write_str(&kernel.text()),
            Self::Step(kernels) => {
                for (part, kernel) in kernels.iter().enumerate() {
                    write!(f, "{}{kernel}", if part > 0 { " + " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

/// Layer pipelining: while a layer walks over a chunk of steps, the one above walks over the chunk before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pipelining {
    /// Steps of a chunk.
    pub steps: usize,
    /// The predicted time of one layer after the other.
    pub sequential: Cost,
}

/// How a model is computed on one size of batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Sizes, layouts and the rule for padding.
    pub run_shape: RunShape,
    /// How weights and activations are stored.
    pub precision: Precision,
    /// Batch rows that lie side by side in the states and in the projected input, in every layer.
    pub rows: Rows,
    /// One recipe per layer.
    pub layers: Vec<LayerRecipe>,
    /// How layers are pipelined, if they are.
    pub pipelining: Option<Pipelining>,
    /// Why they are not, where there are several.
    pub not_pipelined: Option<String>,
    /// The readout.
    pub readout: Option<Projection>,
    /// The readout's activation, after it.
    pub activation: Option<ActivateRows>,
    /// Words of one storage array, at most; larger matrices are cut into slices.
    pub most_words: usize,
    /// The predicted time of all layers together.
    pub cost: Cost,
}

impl Plan {
    /// ⌈B/R⌉, tiles of batch rows.
    pub fn tiles(&self) -> usize {
        self.run_shape.dims.batch.div_ceil(self.rows.count() as usize)
    }

    /// Whether any layer's steps are dispatched one by one.
    pub fn has_steps(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer.recurrence, Recurrence::Step(_)))
    }

    /// Whether all layers above `layer` stop once a multi-workgroup kernel has failed: a merge does not read the
    /// abort word.
    pub fn layers_above_can_abort(&self, layer: usize) -> bool {
        let can_abort = |layer: &LayerRecipe| {
            layer.merge.is_none() && matches!(layer.recurrence, Recurrence::MultiWorkgroup { .. })
        };
        self.layers[layer + 1..].iter().all(can_abort)
    }

    /// The same plan, chunk by chunk, with the per-step fallback in place of every multi-workgroup kernel.
    pub fn without_exchange(&self) -> Self {
        let mut plan = self.clone();
        for layer in &mut plan.layers {
            if let Recurrence::MultiWorkgroup { instead, .. } = &mut layer.recurrence {
                layer.recurrence = Recurrence::Step(std::mem::take(instead));
            }
        }
        plan
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            let steps = self.run_shape.dims.steps;
            write!(f, "layer {index}: {}, then ", layer.projection)?;
            match &layer.recurrence {
                recurrence @ Recurrence::Step(_) => {
                    write!(f, "{steps} × ")?;
                    layer.resets.iter().try_for_each(|kernel| write!(f, "{} + ", kernel.text()))?;
                    write!(f, "{recurrence}")?;
                }
                recurrence => write!(f, "{recurrence} for {steps} steps")?,
            }
            if layer.chunk < self.run_shape.dims.steps {
                write!(f, " in chunks of {} steps", layer.chunk)?;
            }
            if let Some(kernel) = &layer.merge {
                write!(f, ", then {}", kernel.text())?;
            }
        }
        if self.pipelining.is_some() {
            f.write_str("; all layers at once, each a chunk behind the one below")?;
        }
        if let Some(kernel) = &self.readout {
            write!(f, "; readout: {kernel}")?;
        }
        if let Some(kernel) = &self.activation {
            write!(f, ", then {}", kernel.text())?;
        }
        if self.precision != Precision::default() {
            write!(
                f,
                "; weights in {}, activations in {}",
                self.precision.weights, self.precision.activations
            )?;
        }
        Ok(())
    }
}
