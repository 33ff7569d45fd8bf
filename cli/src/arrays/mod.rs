//! Arrays in files: NumPy, safetensors and CSV in, NumPy and safetensors out.

pub mod csv;
mod numpy;
mod tensors;
pub mod write;

use std::path::Path;

use crate::failure::{Outcome, error};

/// A row-major array.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub data: Vec<f32>,
}

/// The arrays of one file, by name.
#[derive(Debug)]
pub struct Arrays {
    source: String,
    arrays: Vec<(String, Array)>,
}

impl Arrays {
    /// Reads a file by its ending.
    ///
    /// # Errors
    /// What cannot be read, with the file's name.
    pub fn read(path: &Path) -> Outcome<Self> {
        let source = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|reason| error(&source, reason))?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        let arrays = match extension {
            "npy" => numpy::read_npy(&bytes).map(|array| vec![("x".into(), array)]),
            "npz" => numpy::read_npz(&bytes),
            "safetensors" => tensors::read(&bytes),
            other => Err(format!("ending \"{other}\": expected .npz, .npy, .safetensors or .csv")),
        };
        let arrays = arrays.map_err(|reason| error(&source, reason))?;
        Ok(Self { source, arrays })
    }

    /// One array, as `x`.
    pub fn from_x(source: String, x: Array) -> Self {
        Self { source, arrays: vec![("x".into(), x)] }
    }

    /// # Errors
    /// An array whose name is not among `names`: nothing is silently ignored.
    pub fn only(self, names: &[&str]) -> Outcome<Self> {
        match self.arrays.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            Some((name, _)) => {
                let reason = format!("array \"{name}\" is none that is used: expected {}", names.join(", "));
                Err(error(&self.source, reason))
            }
            None => Ok(self),
        }
    }

    fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|(other, _)| other == name).map(|(_, array)| array)
    }

    /// # Errors
    /// An array that is not there.
    pub fn need(&self, name: &str) -> Outcome<&Array> {
        self.get(name).ok_or_else(|| error(&self.source, format!("no array \"{name}\"")))
    }

    /// An array that may be absent.
    ///
    /// # Errors
    /// Another shape than `shape`.
    pub fn state(&self, name: &str, shape: &[usize]) -> Outcome<Option<&[f32]>> {
        match self.get(name) {
            Some(array) if array.shape != shape => {
                Err(error(name, format!("expected {shape:?}, got {:?}", array.shape)))
            }
            Some(array) => Ok(Some(&array.data)),
            None => Ok(None),
        }
    }
}
