//! Arrays in files: NumPy, safetensors and CSV in, NumPy and safetensors out.

pub mod csv;
mod number;
mod numpy;
mod source;
mod tensors;
pub mod write;

use std::path::Path;

use flate2::read::MultiGzDecoder;
use wgru::dtype::Dtype;
use wgru::error::listed;

use crate::failure::{Outcome, error};
use number::Stored;
pub use source::Source;
use wgru_harness::number::count;

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

/// An array of a file.
#[derive(Debug)]
struct Found {
    name: String,
    array: Array,
    /// How the file stores it.
    stored: Stored,
    /// What its conversion to f32 lost, as counted by [`number::Numbers`].
    inexact: usize,
    beyond: usize,
}

impl Found {
    /// A warning about its conversion to f32, if it lost anything.
    fn note(&self) -> Option<String> {
        let Self { name, array, stored, inexact, beyond } = self;
        // Lengths, which have one dimension, are not floats.
        if *stored == Stored::Float(Dtype::F32) || array.shape.len() < 2 {
            return None;
        }
        let how = if *inexact > 0 || *stored == Stored::Float(Dtype::F64) { "rounded" } else { "converted" };
        let lost = match beyond {
            0 => String::new(),
            _ => format!("; {} beyond its range, now infinite", count(*beyond, "number")),
        };
        Some(format!("{name}: {stored} {how} to float32{lost}"))
    }
}

/// The arrays of one file, by name.
#[derive(Debug)]
pub struct Arrays {
    source: String,
    arrays: Vec<Found>,
}

/// The extension of a file's name in lower case, with what is compressed: `npy`, `csv.gz`; empty if there is none.
pub fn ending(path: &Path) -> String {
    let of = |path: &Path| path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let own = of(path).unwrap_or_default();
    match path.file_stem().map(Path::new).and_then(of) {
        Some(inner) if own == "gz" => format!("{inner}.gz"),
        _ => own,
    }
}

/// # Errors
/// An empty file, for which readers give no clear error. A file whose metadata cannot be read is left to the reader.
pub fn check_not_empty(path: &Path) -> Outcome {
    match path.metadata() {
        Ok(metadata) if metadata.is_file() && metadata.len() == 0 => {
            Err(error(path.display(), "the file is empty"))
        }
        _ => Ok(()),
    }
}

impl Arrays {
    /// The arrays of a file, by its ending. The name of every array must be one of `names`, of which the first is that of
    /// x: no array is ignored. A lossy conversion to f32 is printed.
    ///
    /// # Errors
    /// A file that cannot be read; an array of another name; a value that is not finite, except in x, where padding
    /// may hold anything. Each error names the array.
    pub fn read(source: Source, names: &[&str]) -> Outcome<Self> {
        let Source { name: source, ending, bytes } = source;
        let known = |name: &str| {
            if names.contains(&name) {
                return Ok(());
            }
            Err(format!("array \"{name}\" is not used: expected {}", names.join(", ")))
        };
        let alone = |bytes: &[u8]| numpy::read_npy(names[0], bytes).map(|array| vec![array]);
        let arrays = match ending.as_str() {
            "npy" => alone(&bytes),
            "npy.gz" => numpy::unpack(MultiGzDecoder::new(&bytes[..])).and_then(|bytes| alone(&bytes)),
            "npz" => numpy::read_npz(&bytes, known),
            "safetensors" => tensors::read(&bytes, known),
            other => {
                let expected = "expected .npz, .npy, .npy.gz, .safetensors, .csv or .csv.gz";
                Err(if other.is_empty() { expected.into() } else { format!("ending .{other}: {expected}") })
            }
        };
        let arrays = arrays.map_err(|reason| error(&source, reason))?;
        for (index, found) in arrays.iter().enumerate() {
            let Found { name, array, .. } = found;
            if arrays[..index].iter().any(|other| other.name == *name) {
                return Err(error(&source, format!("array \"{name}\" occurs twice")));
            }
            if let Some(note) = found.note() {
                eprintln!("wgru: {note}");
            }
            if *name != names[0]
                && let Some(index) = array.data.iter().position(|value| !value.is_finite())
            {
                let (name, shape, value) = (name.clone(), array.shape.clone(), array.data[index]);
                return Err(wgru::Error::NotFinite { name, index, shape, value }.into());
            }
        }
        Ok(Self { source, arrays })
    }

    /// One array, as `x`.
    pub fn from_x(source: String, x: Array) -> Self {
        let stored = Stored::Float(Dtype::F32);
        Self { source, arrays: vec![Found { name: "x".into(), array: x, stored, inexact: 0, beyond: 0 }] }
    }

    /// An array that may be missing.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|found| found.name == name).map(|found| &found.array)
    }

    /// # Errors
    /// A missing array.
    pub fn need(&self, name: &str) -> Outcome<&Array> {
        let names: Vec<&str> = self.arrays.iter().map(|found| &found.name[..]).collect();
        let others = if names.is_empty() { "none".into() } else { listed(&names) };
        self.get(name)
            .ok_or_else(|| error(&self.source, format!("no array \"{name}\"; the file has {others}")))
    }

    /// Lengths of sequences, `[B]`, if the file has them.
    ///
    /// # Errors
    /// Another shape, a value that is no whole number from 0 to 2³² − 1.
    pub fn lengths(&self, name: &str, batch: usize) -> Outcome<Option<Vec<u32>>> {
        let Some(values) = self.state(name, &[batch])? else { return Ok(None) };
        let inexact = self.arrays.iter().any(|found| found.name == name && found.inexact > 0);
        if inexact {
            return Err(error(
                name,
                "holds numbers beyond 16777216, which is more steps than a sequence can have",
            ));
        }
        let whole = |(index, &value): (usize, &f32)| {
            if value.fract() == 0.0 && (0.0..4_294_967_296.0).contains(&value) {
                return Ok(value as u32);
            }
            Err(error(name, format!("element {index} is {value}, lengths are integers of 0 or more")))
        };
        values.iter().enumerate().map(whole).collect::<Outcome<_>>().map(Some)
    }

    /// 1 where an array is not 0, if the file has the array.
    ///
    /// # Errors
    /// Another shape than `shape`.
    pub fn flags(&self, name: &str, shape: &[usize]) -> Outcome<Option<Vec<u32>>> {
        let of = |values: &[f32]| values.iter().map(|value| u32::from(*value != 0.0)).collect();
        Ok(self.state(name, shape)?.map(of))
    }

    /// An array of the given shape, if the file has it.
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
