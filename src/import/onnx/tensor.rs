//! Constant tensors: a `TensorProto` with its data inside the file or beside it.
//!
//! ```text
//! inside    raw_data (little-endian), or float_data, int32_data (also f16 and bf16 bits), int64_data, double_data
//! outside   external_data: location, offset, length of a file in the model's own folder
//! ```
//!
//! Nothing is allocated for what `dims` merely claim: their product is held against the data first.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use crate::dims::product;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::proto::{EXTERNAL, TensorProto, dtype};

/// The most dimensions of a tensor; ONNX Runtime's arrays have no more in practice.
pub(super) const MOST_DIMS: usize = 32;

/// A constant array, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    /// Its type in the file, as `TensorProto.DataType`.
    pub(super) dtype: i32,
    pub(super) shape: Vec<usize>,
    pub(super) data: Data,
}

/// The numbers of a [`Value`]: every float type as f32, every integer type as i64.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

impl Data {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Floats(data) => data.len(),
            Self::Ints(data) => data.len(),
        }
    }
}

/// The storage type of a float, or none.
pub(super) fn float(dtype: i32) -> Option<Dtype> {
    match dtype {
        dtype::FLOAT => Some(Dtype::F32),
        dtype::FLOAT16 => Some(Dtype::F16),
        dtype::BFLOAT16 => Some(Dtype::Bf16),
        dtype::DOUBLE => Some(Dtype::F64),
        _ => None,
    }
}

/// Bytes of one element of a type that is read, or none.
fn width(dtype: i32) -> Option<usize> {
    match dtype {
        dtype::FLOAT16 | dtype::BFLOAT16 => Some(2),
        dtype::FLOAT | dtype::INT32 => Some(4),
        dtype::DOUBLE | dtype::INT64 => Some(8),
        _ => None,
    }
}

fn format(name: &str, reason: impl Into<String>) -> Error {
    Error::Format { name: name.into(), reason: reason.into() }
}

/// A shape from what a file claims.
///
/// # Errors
/// [`Error::Format`] for a negative size or more than [`MOST_DIMS`], [`Error::Overflow`].
pub(super) fn shape(name: &str, dims: &[i64]) -> Result<Vec<usize>> {
    if dims.len() > MOST_DIMS {
        return Err(format(name, format!("{} dimensions, at most {MOST_DIMS} are read", dims.len())));
    }
    let size = |&dim: &i64| usize::try_from(dim).map_err(|_| format(name, format!("a dimension of {dim}")));
    let shape = dims.iter().map(size).collect::<Result<Vec<_>>>()?;
    product(name, &shape)?;
    Ok(shape)
}

/// Reads a tensor; `name` names it in errors and `folder` is the model's.
///
/// # Errors
/// [`Error::Format`] for dimensions and data that do not fit, for external data outside `folder`;
/// [`Error::Unsupported`] for a type that is no float and neither int32 nor int64; [`Error::Io`]; [`Error::Memory`].
pub(super) fn read(name: &str, tensor: &TensorProto, folder: Option<&Path>) -> Result<Value> {
    let shape = shape(name, &tensor.dims)?;
    let elements = product(name, &shape)?;
    let dtype = tensor.data_type;
    let Some(width) = width(dtype) else {
        return Err(Error::Unsupported {
            what: format!("{name}: a constant of type {}", dtype::name(dtype)),
        });
    };
    if tensor.segment.is_some() {
        return Err(Error::Unsupported { what: format!("{name}: a tensor in segments") });
    }
    let bytes = product(name, &[elements, width])?;
    let data = if tensor.data_location == EXTERNAL {
        raw(dtype, &external(name, tensor, folder, bytes)?)
    } else if !tensor.external_data.is_empty() || !(0..=EXTERNAL).contains(&tensor.data_location) {
        let reason = format!(
            "data_location {} with {} external entries",
            tensor.data_location,
            tensor.external_data.len()
        );
        return Err(format(name, reason));
    } else if !tensor.raw_data.is_empty() {
        if tensor.raw_data.len() != bytes {
            let reason = format!(
                "{shape:?} of {} needs {bytes} bytes, got {}",
                dtype::name(dtype),
                tensor.raw_data.len()
            );
            return Err(format(name, reason));
        }
        raw(dtype, &tensor.raw_data)
    } else {
        typed(tensor)
    };
    if data.len() != elements {
        return Err(Error::Length { name: name.into(), shape, got: data.len() });
    }
    Ok(Value { dtype, shape, data })
}

fn raw(dtype: i32, bytes: &[u8]) -> Data {
    match float(dtype) {
        Some(storage) => Data::Floats(storage.decode(bytes)),
        None if dtype == dtype::INT32 => {
            Data::Ints(words(bytes).map(|word| i32::from_le_bytes(word).into()).collect())
        }
        None => Data::Ints(words(bytes).map(i64::from_le_bytes).collect()),
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.chunks_exact(N).map(|chunk| {
        let mut word = [0; N];
        word.copy_from_slice(chunk);
        word
    })
}

fn typed(tensor: &TensorProto) -> Data {
    let half = |storage: Dtype| {
        // The bits of a 16-bit float stand in the lower half of an int32.
        let bits: Vec<u8> = tensor.int32_data.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect();
        Data::Floats(storage.decode(&bits))
    };
    match tensor.data_type {
        dtype::FLOAT => Data::Floats(tensor.float_data.clone()),
        dtype::DOUBLE => Data::Floats(tensor.double_data.iter().map(|&v| v as f32).collect()),
        dtype::FLOAT16 => half(Dtype::F16),
        dtype::BFLOAT16 => half(Dtype::Bf16),
        dtype::INT32 => Data::Ints(tensor.int32_data.iter().map(|&v| v.into()).collect()),
        _ => Data::Ints(tensor.int64_data.clone()),
    }
}

/// The bytes of a tensor whose data lie in another file: `needed` of them, from a plain file in `folder`.
fn external(name: &str, tensor: &TensorProto, folder: Option<&Path>, needed: usize) -> Result<Vec<u8>> {
    let (mut location, mut offset, mut length) = (None, 0, None);
    for entry in &tensor.external_data {
        let number = || {
            let wrong = |_| format(name, format!("external data with {} = \"{}\"", entry.key, entry.value));
            entry.value.parse::<u64>().map_err(wrong)
        };
        match entry.key.as_str() {
            "location" => location = Some(entry.value.as_str()),
            "offset" => offset = number()?,
            "length" => length = Some(number()?),
            // A digest that ONNX does not ask a reader to check, and ONNX Runtime's own hints.
            "checksum" => {}
            key if key.starts_with("prepacked") => {}
            key => return Err(Error::Unsupported { what: format!("{name}: external data with {key}") }),
        }
    }
    let location = location.ok_or_else(|| format(name, "external data without a location"))?;
    if length.is_some_and(|length| length != needed as u64) {
        let got = length.unwrap_or_default();
        return Err(format(name, format!("needs {needed} bytes, its external data has {got}")));
    }
    let path = inside(name, location, folder)?;
    let io = |error: std::io::Error| Error::Io {
        path: format!("{location} of {name}"),
        reason: error.to_string(),
    };
    let size = path.metadata().map_err(io)?.len();
    if offset.checked_add(needed as u64).is_none_or(|end| end > size) {
        let reason = format!("bytes {offset} + {needed} of {location}, which has {size}");
        return Err(format(name, reason));
    }
    let mut bytes = Vec::new();
    let memory = |_| Error::Memory { name: name.into(), bytes: needed };
    bytes.try_reserve_exact(needed).map_err(memory)?;
    let mut file = File::open(&path).map_err(io)?;
    file.seek(SeekFrom::Start(offset)).map_err(io)?;
    file.take(needed as u64).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() != needed {
        return Err(format(name, format!("{location} ends after {} of {needed} bytes", bytes.len())));
    }
    Ok(bytes)
}

/// The plain file that `location` names inside `folder`, links followed.
fn inside(name: &str, location: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let folder = folder.ok_or_else(|| Error::Unsupported {
        what: format!("{name}: external data \"{location}\" of a model without a folder"),
    })?;
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    let outside = || format(name, format!("external data \"{location}\" is not inside the model's folder"));
    if location.is_empty() || location.contains('\0') || !Path::new(location).components().all(plain) {
        return Err(outside());
    }
    let io = |error: std::io::Error| Error::Io {
        path: format!("{location} of {name}"),
        reason: error.to_string(),
    };
    let path = folder.join(location).canonicalize().map_err(io)?;
    if !path.starts_with(folder.canonicalize().map_err(io)?) {
        return Err(outside());
    }
    if !path.is_file() {
        return Err(format(name, format!("external data \"{location}\" is no file")));
    }
    Ok(path)
}
