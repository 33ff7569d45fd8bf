//! The tensors of a safetensors file by name. The `safetensors` crate reads the container, and checks offsets and
//! sizes against the file first.

use std::collections::BTreeMap;

use safetensors::tensor::Dtype as FileDtype;
use safetensors::tensor::TensorInfo;
use safetensors::{SafeTensorError, SafeTensors};

use super::Limits;
use crate::dims::check_finite;
use crate::dtype::Dtype;
use crate::error::{Error, Result};

/// An open file.
pub(super) struct Tensors<'a> {
    source: &'a str,
    entries: BTreeMap<String, Entry<'a>>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// One tensor as it is stored, row-major.
struct Entry<'a> {
    /// The file it is in.
    file: &'a str,
    dtype: FileDtype,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

/// One tensor of a file as f32, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name, in the file or for errors.
    pub name: String,
    /// Its sizes, the outermost first.
    pub shape: Vec<usize>,
    /// Its values: as many as the product of [`Tensor::shape`].
    pub data: Vec<f32>,
}

/// Every tensor of a safetensors file; `source` names the file in errors. Integers, such as lengths, are read too.
///
/// # Errors
/// [`Error::Format`] for a file that is truncated and for a storage type that is neither a float nor an integer of 32
/// or 64 bits, [`Error::File`] for NaN and infinities, [`Error::TooLarge`] beyond the default [`Limits`].
#[cfg(feature = "unstable")]
pub fn read_tensors(source: &str, bytes: &[u8]) -> Result<Vec<Tensor>> {
    let tensors = Tensors::parse(source, bytes, &Limits::default())?;
    let read = |name| tensors.read_number(name).map_err(Error::in_file);
    tensors.names().map(read).collect()
}

impl<'a> Tensors<'a> {
    /// # Errors
    /// [`Error::Format`] for a file that is truncated, [`Error::TooLarge`] beyond the limits.
    pub(super) fn parse(source: &'a str, bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        let format =
            |error: SafeTensorError| Error::unreadable(source, "not a readable safetensors file", error);
        // A length beyond the end of the file is a broken file, not a large header.
        let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        if length <= bytes.len() as u64 {
            limits.check_header(source, length)?;
        }
        let (length, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
        let tensors = header.tensors();
        limits.check_tensors(source, tensors.len() as u64)?;
        let entry = |(name, info): (String, &TensorInfo)| {
            let (from, to) = info.data_offsets;
            let data = bytes.get(size_of::<u64>() + length..).and_then(|data| data.get(from..to));
            let bytes = data.ok_or_else(|| format(SafeTensorError::MetadataIncompleteBuffer))?;
            Ok((name, Entry { file: source, dtype: info.dtype, shape: info.shape.clone(), bytes }))
        };
        // Inserted one by one: `collect` sorts first, which is kilobytes of code more in WebAssembly.
        let (mut entries, mut metadata) = (BTreeMap::new(), BTreeMap::new());
        for tensor in tensors {
            let (name, entry) = entry(tensor)?;
            entries.insert(name, entry);
        }
        metadata.extend(header.metadata().clone().unwrap_or_default());
        Ok(Self { source, entries, metadata })
    }

    /// A model of several files, with none of them read yet.
    pub(super) fn none(source: &'a str) -> Self {
        Self { source, entries: BTreeMap::new(), metadata: BTreeMap::new() }
    }

    /// Adds another file's tensors.
    ///
    /// # Errors
    /// [`Error::Format`] for a tensor that exists already.
    pub(super) fn add(&mut self, other: Self) -> Result<()> {
        for (name, entry) in other.entries {
            let file = entry.file;
            if let Some(first) = self.entries.insert(name.clone(), entry) {
                let reason = format!("in two files, {} and {file}", first.file);
                return Err(Error::format(name, reason));
            }
        }
        self.metadata.extend(other.metadata);
        Ok(())
    }

    pub(super) fn source(&self) -> &str {
        self.source
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every name, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// # Errors
    /// [`Error::MissingTensor`].
    fn entry(&self, name: &str) -> Result<&Entry<'a>> {
        self.entries.get(name).ok_or_else(|| self.missing(name))
    }

    /// The error for a missing tensor, with similar names: first those of the same module, then those of the same
    /// name in other modules.
    pub(super) fn missing(&self, name: &str) -> Error {
        let parts = |name: &'_ str| name.rfind('.').map_or(0, |dot| dot + 1);
        let (module, leaf) = name.split_at(parts(name));
        let rank = |other: &str| match other.split_at(parts(other)) {
            (same, _) if same == module => 0,
            (_, same) if same == leaf => 1,
            _ => 2,
        };
        let of_rank = |wanted| self.entries.keys().filter(move |other| rank(other) == wanted).cloned();
        let found = (0..3).flat_map(of_rank).collect();
        Error::MissingTensor { name: name.into(), source: self.source.into(), found }
    }

    /// # Errors
    /// [`Error::MissingTensor`].
    pub(super) fn shape(&self, name: &str) -> Result<&[usize]> {
        Ok(&self.entry(name)?.shape)
    }

    /// As [`Tensors::read`], but accepts integers of 32 and 64 bits too.
    ///
    /// # Errors
    /// As [`Tensors::read`].
    #[cfg(feature = "unstable")]
    fn read_number(&self, name: &str) -> Result<Tensor> {
        let entry = self.entry(name)?;
        let bytes = entry.bytes;
        let data = match entry.dtype {
            FileDtype::I32 => integers(bytes, |b| i64::from(i32::from_le_bytes(b))),
            FileDtype::I64 => integers(bytes, i64::from_le_bytes),
            _ => return self.read(name),
        };
        Ok(Tensor { name: name.into(), shape: entry.shape.clone(), data })
    }

    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Format`] for a storage type that is not a float, [`Error::NotFinite`].
    pub(super) fn read(&self, name: &str) -> Result<Tensor> {
        let entry = self.entry(name)?;
        let dtype = match entry.dtype {
            FileDtype::F16 => Dtype::F16,
            FileDtype::BF16 => Dtype::Bf16,
            FileDtype::F32 => Dtype::F32,
            FileDtype::F64 => Dtype::F64,
            other => {
                let reason = format!("stored as {other:?}, expected F16, BF16, F32 or F64");
                return Err(Error::format(name, reason));
            }
        };
        let data = dtype.decode(entry.bytes);
        check_finite(name, &entry.shape, &data)?;
        Ok(Tensor { name: name.into(), shape: entry.shape.clone(), data })
    }
}

#[cfg(feature = "unstable")]
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
    /// [`Error::Shape`] if the shape differs.
    pub(super) fn with_shape(self, expected: &[usize]) -> Result<Self> {
        if self.shape == expected {
            return Ok(self);
        }
        Err(Error::Shape { name: self.name, expected: expected.to_vec(), got: self.shape })
    }
}
