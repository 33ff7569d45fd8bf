//! Arrays of a safetensors file.

use safetensors::{Dtype as Stored, SafeTensors};
use wgru::dtype::Dtype;

use super::Array;

/// Every tensor.
///
/// # Errors
/// What cannot be read, and why.
pub fn read(bytes: &[u8]) -> Result<Vec<(String, Array)>, String> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("not a readable safetensors file: {error}"))?;
    let read = |(name, tensor): (String, safetensors::tensor::TensorView<'_>)| {
        let dtype = match tensor.dtype() {
            Stored::F16 => Dtype::F16,
            Stored::BF16 => Dtype::Bf16,
            Stored::F32 => Dtype::F32,
            Stored::F64 => Dtype::F64,
            other => return Err(format!("{name}: stored as {other:?}, expected F16, BF16, F32 or F64")),
        };
        Ok((name, Array { shape: tensor.shape().to_vec(), data: dtype.decode(tensor.data()) }))
    };
    file.tensors().into_iter().map(read).collect()
}
