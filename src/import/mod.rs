//! From a framework's files to a [`Model`], with a report of what was used, what was left over and what was
//! decided on the way. This room and [`crate::export`] alone know other layouts than the crate's own.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

#[cfg(feature = "keras")]
mod keras;
mod limits;
#[cfg(feature = "onnx")]
mod onnx;
mod pytorch;
mod tensors;

#[cfg(feature = "keras")]
pub use keras::Keras;
pub use limits::Limits;
#[cfg(feature = "onnx")]
pub use onnx::{Onnx, OnnxImported, OnnxInput, OnnxNode};
pub use pytorch::PyTorch;
pub use tensors::{Tensor, read_tensors};

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result, count, listed};
use crate::model::Model;

/// The bytes of a file.
fn load(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::io(path.display(), error))
}

/// A model and how it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The model.
    pub model: Model,
    /// How it was read.
    pub report: Report,
}

/// What an import used, left over and decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Tensors that are in the model, by full name.
    pub used: Vec<String>,
    /// Tensors of the file that are not.
    pub left_over: Vec<String>,
    /// What was decided, and from what: `cell GRU: weight_hh_l0 has 3·64 rows`.
    pub decisions: Vec<String>,
    /// Initial states that something else in the file computes and that every batch has to be given therefore, with
    /// where they come from; of a Keras file alone, and only after `Keras::states_given`.
    pub initial_states: Vec<String>,
    /// The file's own metadata.
    pub metadata: BTreeMap<String, String>,
}

impl Report {
    /// Tells the log what was decided and left over; `source` names the file.
    fn tell(&self, source: &str) {
        for decision in &self.decisions {
            log::info!(target: "wgru::import", "{source}: {decision}");
        }
        if !self.left_over.is_empty() {
            let count = count(self.left_over.len(), "tensor");
            log::warn!(target: "wgru::import", "{source}: {count} left over: {}", listed(&self.left_over));
        }
    }
}

impl Model {
    /// Reads the recurrent stack of a PyTorch safetensors file; see [`PyTorch`] for options.
    ///
    /// # Errors
    /// As [`PyTorch::read`].
    pub fn from_pytorch(path: impl AsRef<Path>) -> Result<Imported> {
        PyTorch::new().read(path)
    }
}
