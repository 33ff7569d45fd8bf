//! Reads a framework's files into a [`Model`], with a report of the tensors used and left over, and of the decisions
//! made.
//!
//! Start with [`Model::from_pytorch`], `Model::from_onnx` or `Model::from_keras`: they take a path and determine the
//! rest from the file. If that is not enough (several stacks in a file, a readout, another convention), [`PyTorch`],
//! `Onnx` and `Keras` have the options; their `parse` reads bytes instead of a file. All return [`Imported`].
//!
//! ```no_run
//! # fn main() -> Result<(), wgru::Error> {
//! use wgru::{Model, ReadoutSteps, import::PyTorch};
//!
//! let model = Model::from_pytorch("gru.safetensors")?.model;
//! let imported = PyTorch::new().prefix("encoder.").readout("head", ReadoutSteps::Last).read("whole.safetensors")?;
//! println!("{}, not used: {:?}", imported.model, imported.report.left_over);
//! # Ok(())
//! # }
//! ```
//!
//! An importer computes exactly what the framework would, or returns an error that names what it does not support.
//! Only this module and [`crate::export`] use layouts other than the crate's own ([`crate::model`]).

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
pub use onnx::{Onnx, OnnxGraph, OnnxInput, OnnxNode};
pub use pytorch::PyTorch;
#[cfg(any(feature = "onnx", feature = "unstable"))]
pub use tensors::Tensor;
#[cfg(feature = "unstable")]
pub use tensors::read_tensors;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result, count, listed};
use crate::model::Model;

/// The bytes of a file.
fn load(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::io(path.display(), error))
}

/// A model and how it was read: the result of every importer.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The model, its weights in f32.
    pub model: Model,
    /// How it was read.
    pub report: Report,
}

/// What an import used, left over and decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Tensors of the file that are in the model, by full name.
    pub used: Vec<String>,
    /// Tensors of the file that are not in the model, by full name.
    pub left_over: Vec<String>,
    /// The decisions and their reasons: `cell GRU: weight_hh_l0 has 3·64 rows`. For people to read.
    pub decisions: Vec<String>,
    /// Initial states that the framework would take from elsewhere, with their sources; empty for PyTorch. Every
    /// batch must set them ([`Batch::h0`](crate::Batch::h0), [`Batch::c0`](crate::Batch::c0)); otherwise a run begins
    /// at 0. For ONNX these are inputs of the graph; for Keras, the states that `Keras::states_given` allows.
    pub initial_states: Vec<String>,
    /// The file's own metadata: for safetensors `__metadata__`, for ONNX producer and `metadata_props`, for Keras its
    /// versions.
    pub metadata: BTreeMap<String, String>,
}

impl Report {
    /// Logs the decisions and the tensors left over; `source` names the file.
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
    /// Reads the recurrent stack of a PyTorch safetensors file: `nn.GRU`, `nn.LSTM`, `nn.RNN` or one of their Cells.
    /// [`PyTorch`] has the options: which stack of several, the cell's convention, a readout.
    ///
    /// ```
    /// # fn main() -> Result<(), wgru::Error> {
    /// let path = "models/co2_gru.safetensors";
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/co2_gru.safetensors");
    /// let imported = wgru::Model::from_pytorch(path)?;
    /// println!("{}", imported.model);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`PyTorch::read`].
    pub fn from_pytorch(path: impl AsRef<Path>) -> Result<Imported> {
        PyTorch::new().read(path)
    }

    /// Reads the recurrent node of an ONNX file, or the stack of them that is the whole graph. [`Onnx`] has the options: which
    /// node of several, where a GRU's reset acts. A file that gives the node lengths, or initial states other than zero, is
    /// refused: [`Onnx::read_graph`] reads those too. Needs the feature `onnx`, which is on by default.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), wgru::Error> {
    /// let imported = wgru::Model::from_onnx("model.onnx")?;
    /// println!("{}, begins with: {:?}", imported.model, imported.report.initial_states);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Onnx::read`].
    #[cfg(feature = "onnx")]
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<Imported> {
        Onnx::new().read(path)
    }

    /// Reads the only recurrent layer of a Keras file, `.h5`, `.weights.h5` or `.keras`. [`Keras`] has the options: which layers
    /// of several, a readout, the configuration of a file of weights alone. Needs the feature `keras`.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), wgru::Error> {
    /// let imported = wgru::Model::from_keras("model.keras")?;
    /// println!("{}", imported.model);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Keras::read`].
    #[cfg(feature = "keras")]
    pub fn from_keras(path: impl AsRef<Path>) -> Result<Imported> {
        Keras::new().read(path)
    }
}
