//! The tensors of a safetensors file by name. The container is read by the `safetensors` crate, which checks
//! offsets and sizes against the file before anything is taken from it.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype as FileDtype, TensorView};

use crate::dims::check_finite;
use crate::dtype::Dtype;
use crate::error::{Error, Result};

/// An open file.
pub(super) struct Tensors<'a> {
    source: &'a str,
    file: SafeTensors<'a>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// One tensor as f32, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub data: Vec<f32>,
}

/// Every tensor of a safetensors file; `source` names the file in errors. Integers, as lengths are, are read too.
///
/// # Errors
/// [`Error::Format`] for a file that is not whole and for a storage type that is neither a float nor an integer
/// of 32 or 64 bits, [`Error::NotFinite`].
pub fn read_tensors(source: &str, bytes: &[u8]) -> Result<Vec<Tensor>> {
    let tensors = Tensors::parse(source, bytes)?;
    tensors.names().iter().map(|name| tensors.read_number(name)).collect()
}

impl<'a> Tensors<'a> {
    pub(super) fn parse(source: &'a str, bytes: &'a [u8]) -> Result<Self> {
        let format = |error: safetensors::SafeTensorError| Error::Format {
            name: source.into(),
            reason: format!("not a readable safetensors file: {error}"),
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let file = SafeTensors::deserialize(bytes).map_err(format)?;
        Ok(Self { source, file, metadata })
    }

    pub(super) fn source(&self) -> &str {
        self.source
    }

    /// Every name, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.file.names().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_ok()
    }

    /// # Errors
    /// [`Error::MissingTensor`].
    fn view(&self, name: &str) -> Result<TensorView<'a>> {
        self.file
            .tensor(name)
            .map_err(|_| Error::MissingTensor { name: name.into(), source: self.source.into() })
    }

    /// # Errors
    /// [`Error::MissingTensor`].
    pub(super) fn shape(&self, name: &str) -> Result<Vec<usize>> {
        Ok(self.view(name)?.shape().to_vec())
    }

    /// [`Tensors::read`], integers of 32 and 64 bits too.
    ///
    /// # Errors
    /// As [`Tensors::read`].
    fn read_number(&self, name: &str) -> Result<Tensor> {
        let view = self.view(name)?;
        let bytes = view.data();
        let data = match view.dtype() {
            FileDtype::I32 => integers(bytes, |b| i64::from(i32::from_le_bytes(b))),
            FileDtype::I64 => integers(bytes, i64::from_le_bytes),
            _ => return self.read(name),
        };
        Ok(Tensor { name: name.into(), shape: view.shape().to_vec(), data })
    }

    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Format`] for a storage type that is no float, [`Error::NotFinite`].
    pub(super) fn read(&self, name: &str) -> Result<Tensor> {
        let view = self.view(name)?;
        let dtype = match view.dtype() {
            FileDtype::F16 => Dtype::F16,
            FileDtype::BF16 => Dtype::Bf16,
            FileDtype::F32 => Dtype::F32,
            FileDtype::F64 => Dtype::F64,
            other => {
                let reason = format!("stored as {other:?}, expected F16, BF16, F32 or F64");
                return Err(Error::Format { name: name.into(), reason });
            }
        };
        let data = dtype.decode(view.data());
        check_finite(name, view.shape(), &data)?;
        Ok(Tensor { name: name.into(), shape: view.shape().to_vec(), data })
    }
}

fn integers<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> i64) -> Vec<f32> {
    let number = |chunk: &[u8]| {
        let mut bytes = [0; N];
        bytes.copy_from_slice(chunk);
        read(bytes) as f32
    };
    bytes.chunks_exact(N).map(number).collect()
}

impl Tensor {
    /// # Errors
    /// [`Error::Shape`] where the shape is another.
    pub(super) fn with_shape(self, expected: &[usize]) -> Result<Self> {
        if self.shape == expected {
            return Ok(self);
        }
        Err(Error::Shape { name: self.name, expected: expected.to_vec(), got: self.shape })
    }
}
