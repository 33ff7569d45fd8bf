//! Constant tensors: a `TensorProto` with its data inside the file or beside it.
//!
//! ```text
//! inside    raw_data (little-endian), or float_data, int32_data (also f16 and bf16 bits, and every narrower integer),
//!           int64_data, double_data
//! outside   external_data: location, offset, length of a file in the model's own folder
//! ```
//!
//! Nothing is allocated for sizes that `dims` merely claim: their product is first checked against the data.

use std::path::Path;

use super::external;
use super::value::{Data, Int, Value, float, format, range};
use crate::dims::product;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::proto::{EXTERNAL, TensorProto, dtype};

/// The most dimensions of a tensor; ONNX Runtime's arrays have no more in practice.
pub(super) const MOST_DIMS: usize = 32;

/// Bits per element of a supported type, or `None`.
fn width(dtype: i32) -> Option<usize> {
    match dtype {
        dtype::UINT4 | dtype::INT4 => Some(4),
        dtype::UINT8 | dtype::INT8 | dtype::BOOL => Some(8),
        dtype::UINT16 | dtype::INT16 | dtype::FLOAT16 | dtype::BFLOAT16 => Some(16),
        dtype::FLOAT | dtype::INT32 => Some(32),
        dtype::DOUBLE | dtype::INT64 => Some(64),
        _ => None,
    }
}

/// A shape from the sizes that a file claims.
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
/// [`Error::Unsupported`] for a type that is neither a float nor a signed or small integer; [`Error::Io`];
/// [`Error::Memory`].
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
    let bytes = product(name, &[elements, width])?.div_ceil(8);
    let data = if tensor.data_location == EXTERNAL {
        raw(dtype, elements, &external::read(name, tensor, folder, bytes)?)
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
        raw(dtype, elements, &tensor.raw_data)
    } else {
        typed(tensor, elements)
    };
    if data.len() != elements {
        return Err(Error::Length { name: name.into(), shape, got: data.len() });
    }
    // The data fields are wider than some element types.
    let outside = |v: &&Int| match (v.known(), range(dtype)) {
        (Some(v), Some((low, high))) => v < low || v > high,
        _ => false,
    };
    let strange = if let Data::Ints(data) = &data { data.iter().find(outside) } else { None };
    if let Some(value) = strange.and_then(|value| value.known()) {
        return Err(format(name, format!("{value} does not fit {}", dtype::name(dtype))));
    }
    Ok(Value::new(dtype, shape, data))
}

fn raw(dtype: i32, elements: usize, bytes: &[u8]) -> Data {
    if let Some(storage) = float(dtype) {
        return Data::Floats(storage.decode(bytes));
    }
    let ints: Vec<i64> = match dtype {
        dtype::UINT4 | dtype::INT4 => nibbles(dtype, elements, bytes.iter().copied()),
        dtype::UINT8 | dtype::BOOL => bytes.iter().map(|&byte| byte.into()).collect(),
        dtype::INT8 => words(bytes).map(|word| i8::from_le_bytes(word).into()).collect(),
        dtype::UINT16 => words(bytes).map(|word| u16::from_le_bytes(word).into()).collect(),
        dtype::INT16 => words(bytes).map(|word| i16::from_le_bytes(word).into()).collect(),
        dtype::INT32 => words(bytes).map(|word| i32::from_le_bytes(word).into()).collect(),
        _ => words(bytes).map(i64::from_le_bytes).collect(),
    };
    Data::ints(&ints)
}

/// Two 4-bit numbers per byte, the first in the lower half.
fn nibbles(dtype: i32, elements: usize, bytes: impl Iterator<Item = u8>) -> Vec<i64> {
    let halves = bytes.flat_map(|byte| [byte & 15, byte >> 4]);
    let number = |half: u8| match dtype {
        dtype::INT4 if half > 7 => i64::from(half) - 16,
        _ => half.into(),
    };
    halves.take(elements).map(number).collect()
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.chunks_exact(N).map(|chunk| {
        let mut word = [0; N];
        word.copy_from_slice(chunk);
        word
    })
}

fn typed(tensor: &TensorProto, elements: usize) -> Data {
    let half = |storage: Dtype| {
        // The bits of a 16-bit float are in the lower half of an int32.
        let bits: Vec<u8> = tensor.int32_data.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect();
        Data::Floats(storage.decode(&bits))
    };
    match tensor.data_type {
        dtype::FLOAT => Data::Floats(tensor.float_data.clone()),
        dtype::DOUBLE => Data::Floats(tensor.double_data.iter().map(|&v| v as f32).collect()),
        dtype::FLOAT16 => half(Dtype::F16),
        dtype::BFLOAT16 => half(Dtype::Bf16),
        dtype::INT64 => Data::ints(&tensor.int64_data),
        // A byte of two 4-bit numbers is stored in an int32 too.
        kind @ (dtype::UINT4 | dtype::INT4) => {
            Data::ints(&nibbles(kind, elements, tensor.int32_data.iter().map(|&v| v as u8)))
        }
        _ => Data::Ints(tensor.int32_data.iter().map(|&v| Int::Is(v.into())).collect()),
    }
}
