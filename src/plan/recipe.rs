//! A plan as data: which kernels, with which tiles, for each layer. It prints itself.

use std::fmt;

use crate::dims::Dims;
use crate::kernels::{Kernel, Rows};

/// How one layer is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRecipe {
    /// `w_ih x + biases` over all steps of a chunk.
    pub projection: Kernel,
    /// The dispatches of one step, in order.
    pub step: Vec<Kernel>,
    /// Steps that are projected at a time; bounds the memory of the projection.
    pub chunk: usize,
}

/// How a model is computed on one size of batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// B and T.
    pub dims: Dims,
    /// Batch rows that lie side by side in the states and in the projected input, in every layer.
    pub rows: Rows,
    /// One recipe per layer.
    pub layers: Vec<LayerRecipe>,
    /// The readout.
    pub readout: Option<Kernel>,
}

impl Plan {
    /// ⌈B/R⌉, tiles of batch rows.
    pub fn tiles(&self) -> usize {
        self.dims.batch.div_ceil(self.rows.count() as usize)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "layer {index}: {}, then {} × ", layer.projection, self.dims.steps)?;
            for (part, kernel) in layer.step.iter().enumerate() {
                write!(f, "{}{kernel}", if part > 0 { " + " } else { "" })?;
            }
            if layer.chunk < self.dims.steps {
                write!(f, " in chunks of {} steps", layer.chunk)?;
            }
        }
        match &self.readout {
            Some(kernel) => write!(f, "; readout: {kernel}"),
            None => Ok(()),
        }
    }
}
