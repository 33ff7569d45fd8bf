//! The arrays of a safetensors file.

use safetensors::{Dtype as FileDtype, SafeTensors};
use wgru::dtype::Dtype;

use super::number::{Numbers, Stored};
use super::{Array, Found};

/// Every array, sorted by name, if `known` accepts all the names.
///
/// # Errors
/// A file that cannot be read, with the reason.
pub fn read(bytes: &[u8], known: impl Fn(&str) -> Result<(), String>) -> Result<Vec<Found>, String> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("not a readable safetensors file: {error}"))?;
    let mut tensors = file.tensors();
    tensors.sort_by(|(one, _), (other, _)| one.cmp(other));
    tensors.iter().try_for_each(|(name, _)| known(name))?;
    tensors
        .into_iter()
        .map(|(name, view)| {
            let stored = stored(view.dtype()).ok_or_else(|| {
                let expected = "expected floats of 16, 32 or 64 bits, integers or BOOL";
                format!("array \"{name}\": stored as {}, {expected}", view.dtype())
            })?;
            let Numbers { data, inexact, beyond } = stored.read(view.data());
            Ok(Found { name, array: Array { shape: view.shape().to_vec(), data }, stored, inexact, beyond })
        })
        .collect()
}

fn stored(dtype: FileDtype) -> Option<Stored> {
    let int = |bytes, signed| Stored::Int { bytes, signed };
    Some(match dtype {
        FileDtype::F16 => Stored::Float(Dtype::F16),
        FileDtype::BF16 => Stored::Float(Dtype::Bf16),
        FileDtype::F32 => Stored::Float(Dtype::F32),
        FileDtype::F64 => Stored::Float(Dtype::F64),
        FileDtype::BOOL => Stored::Bool,
        FileDtype::I8 => int(1, true),
        FileDtype::I16 => int(2, true),
        FileDtype::I32 => int(4, true),
        FileDtype::I64 => int(8, true),
        FileDtype::U8 => int(1, false),
        FileDtype::U16 => int(2, false),
        FileDtype::U32 => int(4, false),
        FileDtype::U64 => int(8, false),
        _ => return None,
    })
}
