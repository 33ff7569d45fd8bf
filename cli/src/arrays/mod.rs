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

impl Array {
    /// The same array with its dimensions in another order: dimension i of the result is `order[i]` of this.
    ///
    /// # Errors
    /// Another number of dimensions than `order` has.
    pub fn permuted(&self, order: &[usize]) -> Result<Self, String> {
        if self.shape.len() != order.len() {
            return Err(format!("expected {} dimensions, got {:?}", order.len(), self.shape));
        }
        let mut strides = vec![1; self.shape.len()];
        for dim in (1..self.shape.len()).rev() {
            strides[dim - 1] = strides[dim] * self.shape[dim];
        }
        let shape: Vec<usize> = order.iter().map(|&dim| self.shape[dim]).collect();
        let strides: Vec<usize> = order.iter().map(|&dim| strides[dim]).collect();
        let mut index = vec![0; shape.len()];
        let mut data = Vec::with_capacity(self.data.len());
        for _ in 0..self.data.len() {
            data.push(self.data[index.iter().zip(&strides).map(|(i, stride)| i * stride).sum::<usize>()]);
            for (i, &size) in index.iter_mut().zip(&shape).rev() {
                *i += 1;
                if *i < size {
                    break;
                }
                *i = 0;
            }
        }
        Ok(Self { shape, data })
    }
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
                let (name, shape) = (name.clone(), array.shape.clone());
                return Err(wgru::Error::NotFinite { name, index, shape, value }.into());
            }
        }
        Ok(Self { source, arrays })
    }

    /// One array, as `x`.
    pub fn from_x(source: String, x: Array) -> Self {
        Self { source, arrays: vec![("x".into(), x)] }
    }

    /// An array that may be absent.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|(other, _)| other == name).map(|(_, array)| array)
    }

    /// # Errors
    /// An array that is not there.
    pub fn need(&self, name: &str) -> Outcome<&Array> {
        self.get(name).ok_or_else(|| error(&self.source, format!("no array \"{name}\"")))
    }

    /// Lengths of sequences, `[B]`, that may be absent.
    ///
    /// # Errors
    /// Another shape, a value that is no whole number from 0 to 2³² − 1.
    pub fn lengths(&self, name: &str, batch: usize) -> Outcome<Option<Vec<u32>>> {
        let Some(values) = self.state(name, &[batch])? else { return Ok(None) };
        let whole = |(index, &value): (usize, &f32)| {
            if value.fract() == 0.0 && (0.0..4_294_967_296.0).contains(&value) {
                return Ok(value as u32);
            }
            Err(error(name, format!("element {index} is {value}, lengths are whole numbers from 0 on")))
        };
        values.iter().enumerate().map(whole).collect::<Outcome<_>>().map(Some)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_change_their_order() {
        let array = Array { shape: vec![2, 1, 3], data: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        let turned = array.permuted(&[2, 0, 1]).unwrap();
        assert_eq!(turned, Array { shape: vec![3, 2, 1], data: vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0] });
        assert_eq!(turned.permuted(&[1, 2, 0]).unwrap(), array);
        assert!(array.permuted(&[0, 1]).is_err());
    }
}
