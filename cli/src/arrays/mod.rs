//! Arrays in files: NumPy, safetensors and CSV in, NumPy and safetensors out.

pub mod csv;
mod numpy;
pub mod write;

use std::path::Path;

use wgru::import::{Tensor, read_tensors};

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
    /// Reads a file by its ending. Every array must bear one of `names`: nothing is silently ignored.
    ///
    /// # Errors
    /// What cannot be read, an array of another name, a value that is not finite, each with its name.
    pub fn read(path: &Path, names: &[&str]) -> Outcome<Self> {
        let source = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|reason| error(&source, reason))?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        let known = |name: &str| {
            if names.contains(&name) {
                return Ok(());
            }
            Err(format!("array \"{name}\" is none that is used: expected {}", names.join(", ")))
        };
        let arrays = match extension {
            "npy" => numpy::read_npy(&bytes).map(|array| vec![("x".into(), array)]),
            "npz" => numpy::read_npz(&bytes, known),
            "safetensors" => {
                let tensors = read_tensors(&source, &bytes)?;
                let array = |tensor: Tensor| {
                    known(&tensor.name)?;
                    Ok((tensor.name, Array { shape: tensor.shape, data: tensor.data }))
                };
                tensors.into_iter().map(array).collect()
            }
            other => Err(format!("ending \"{other}\": expected .npz, .npy, .safetensors or .csv")),
        };
        let arrays = arrays.map_err(|reason| error(&source, reason))?;
        for (name, array) in &arrays {
            if let Some(index) = array.data.iter().position(|value| !value.is_finite()) {
                let value = array.data[index];
                return Err(wgru::Error::NotFinite { name: name.clone(), index, value }.into());
            }
        }
        Ok(Self { source, arrays })
    }

    /// One array, as `x`.
    pub fn from_x(source: String, x: Array) -> Self {
        Self { source, arrays: vec![("x".into(), x)] }
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
