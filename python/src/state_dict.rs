//! A module's `state_dict()` as a safetensors file in memory, which the importer of PyTorch's names reads.

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::error::{raised, wrong};

struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The safetensors file of a mapping of names to tensors.
pub fn bytes(tensors: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let items = tensors.call_method0("items");
    let items = items
        .map_err(|_| wrong("tensors: expected a mapping of names to tensors, as `module.state_dict()` is"))?;
    let mut all = Vec::new();
    for item in items.try_iter()? {
        let (name, value) = item?.extract::<(String, Bound<'_, PyAny>)>()?;
        all.push(tensor(name, value)?);
    }
    let failed = |reason: safetensors::SafeTensorError| raised("InternalError", format!("tensors: {reason}"));
    let mut views = Vec::with_capacity(all.len());
    for Tensor { name, dtype, shape, bytes } in &all {
        views.push((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).map_err(failed)?));
    }
    serialize(views, None).map_err(failed)
}

/// The storage type of a NumPy array, and the letter and size that NumPy names it by.
fn dtype(kind: u8, size: usize) -> Option<(Dtype, &'static str)> {
    Some(match (kind, size) {
        (b'f', 2) => (Dtype::F16, "<f2"),
        (b'f', 4) => (Dtype::F32, "<f4"),
        (b'f', 8) => (Dtype::F64, "<f8"),
        // Counters of other modules, which no recurrent layer has.
        (b'i', 4) => (Dtype::I32, "<i4"),
        (b'i', 8) => (Dtype::I64, "<i8"),
        (b'b', 1) => (Dtype::BOOL, "|b1"),
        (b'u', 1) => (Dtype::U8, "|u1"),
        _ => return None,
    })
}

fn tensor(name: String, value: Bound<'_, PyAny>) -> PyResult<Tensor> {
    let py = value.py();
    let failed = |error: PyErr| wrong(format!("tensors[\"{name}\"]: it cannot be read as an array: {error}"));
    let mut value = value;
    if value.hasattr("detach")? {
        value = value.call_method0("detach")?.call_method0("cpu")?;
    }
    // NumPy has no bfloat16; float32 has every number of it.
    let of = value.getattr_opt("dtype")?.map_or_else(String::new, |dtype| dtype.to_string());
    if of == "torch.bfloat16" {
        value = value.call_method0("float")?;
    } else if of == "bfloat16" {
        value = value.call_method1("astype", ("float32",))?;
    }
    let array = py.import("numpy")?.call_method1("asarray", (value,)).map_err(failed)?;
    let array = array.cast_into::<PyUntypedArray>()?;
    let (kind, size) = (array.dtype().kind(), array.dtype().itemsize());
    let (dtype, stored) = dtype(kind, size).ok_or_else(|| {
        wrong(format!(
            "tensors[\"{name}\"]: its dtype is {}, expected float16, bfloat16, float32 or float64",
            array.dtype()
        ))
    })?;
    let bytes = array.call_method1("astype", (stored,))?.call_method0("tobytes")?;
    let bytes = bytes.cast::<PyBytes>()?.as_bytes().to_vec();
    Ok(Tensor { name, dtype, shape: array.shape().to_vec(), bytes })
}
