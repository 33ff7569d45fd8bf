//! NumPy's arrays: those of the caller, borrowed where they lie, and new ones.

use std::ops::Range;

use numpy::ndarray::{ArrayD, IxDyn};
use numpy::{
    PyArray, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::error::{raised, wrong};

/// A new array, or one of the caller's.
pub type Array = Py<PyArrayDyn<f32>>;

fn kind_of(value: &Bound<'_, PyAny>) -> String {
    let name = value.get_type().fully_qualified_name();
    name.map_or_else(|_| "another type".to_owned(), |name| name.to_string())
}

/// An array of float32 whose numbers are one after the other.
fn array<'a, 'py>(value: &'a Bound<'py, PyAny>, name: &str) -> PyResult<&'a Bound<'py, PyArrayDyn<f32>>> {
    if let Ok(array) = value.cast::<PyArrayDyn<f32>>()
        && array.is_c_contiguous()
        && array.is_aligned()
    {
        return Ok(array);
    }
    let Ok(array) = value.cast::<PyUntypedArray>() else {
        return Err(wrong(format!(
            "{name}: expected a numpy.ndarray of float32, got {}: pass np.asarray({name}, dtype=np.float32)",
            kind_of(value)
        )));
    };
    let dtype = array.dtype();
    if !dtype.is_equiv_to(&numpy::dtype::<f32>(value.py())) {
        return Err(wrong(format!(
            "{name}: its dtype is {dtype}, expected float32: pass {name}.astype(np.float32)"
        )));
    }
    Err(wrong(format!(
        "{name}: its strides are {:?} bytes, and its shape {:?}, so it is not C-contiguous: pass \
         np.ascontiguousarray({name})",
        array.strides(),
        array.shape()
    )))
}

/// A borrowed array of the caller's.
pub fn floats<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArrayDyn<'py, f32>> {
    let borrowed = array(value, name)?.try_readonly();
    borrowed.map_err(|_| wrong(format!("{name}: a run in progress writes to it")))
}

/// A borrowed array of this shape.
pub fn shaped<'py>(
    value: &Bound<'py, PyAny>,
    name: &str,
    axes: &str,
    shape: &[usize],
) -> PyResult<PyReadonlyArrayDyn<'py, f32>> {
    let floats = floats(value, name)?;
    expect(name, axes, shape, floats.shape())?;
    Ok(floats)
}

/// An array of this shape to be written.
pub fn target<'py>(
    value: &Bound<'py, PyAny>,
    name: &str,
    axes: &str,
    shape: &[usize],
) -> PyResult<PyReadwriteArrayDyn<'py, f32>> {
    let array = array(value, name)?;
    expect(name, axes, shape, array.shape())?;
    array.try_readwrite().map_err(|reason| match reason {
        numpy::BorrowError::NotWriteable => {
            wrong(format!("{name}: it is read-only, and the run writes to it"))
        }
        _ => wrong(format!("{name}: it overlaps an array of this run, or one of a run in progress")),
    })
}

/// # Errors
/// `WrongUse` for another shape.
pub fn expect(name: &str, axes: &str, expected: &[usize], got: &[usize]) -> PyResult<()> {
    if expected == got {
        return Ok(());
    }
    Err(wrong(format!("{name} {axes}: expected the shape {expected:?}, got {got:?}")))
}

/// The numbers of a borrowed array.
pub fn slice<'a>(array: &'a PyReadonlyArrayDyn<'_, f32>, name: &str) -> PyResult<&'a [f32]> {
    array.as_slice().map_err(|_| wrong(format!("{name}: it is not C-contiguous")))
}

/// The name of an array and the bytes that it has.
pub type Span = (&'static str, Range<usize>);

/// The memory of an array whose numbers are one after the other.
pub fn span<'py>(name: &'static str, array: &Bound<'py, PyArrayDyn<f32>>) -> Span {
    let first = array.data() as usize;
    (name, first..first + array.len() * size_of::<f32>())
}

/// # Errors
/// `WrongUse` where an array that is written overlaps another one.
pub fn apart(read: &[Span], written: &[Span]) -> PyResult<()> {
    for (index, (name, own)) in written.iter().enumerate() {
        let others = read.iter().chain(&written[..index]);
        for (other, range) in others {
            if own.start < range.end && range.start < own.end {
                return Err(wrong(format!(
                    "{name}: it overlaps {other} in memory, which the run reads or writes too: give it memory of its own"
                )));
            }
        }
    }
    Ok(())
}

/// A new array that owns `numbers`, which are not copied.
pub fn owned<'py>(
    py: Python<'py>,
    numbers: Vec<f32>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
    let array = ArrayD::from_shape_vec(IxDyn(shape), numbers);
    let array =
        array.map_err(|reason| raised("InternalError", format!("an output of shape {shape:?}: {reason}")))?;
    Ok(PyArray::from_owned_array(py, array))
}

/// A new array with a copy of `numbers`.
pub fn copied<'py>(
    py: Python<'py>,
    numbers: &[f32],
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
    expect("an output", "", &[numbers.len()], &[shape.iter().product()])?;
    // SAFETY: every number of the new array, which nothing else knows yet, is written before it is returned.
    unsafe {
        let array = PyArrayDyn::<f32>::new(py, IxDyn(shape), false);
        std::ptr::copy_nonoverlapping(numbers.as_ptr(), array.data(), numbers.len());
        Ok(array)
    }
}

/// `value` as an array of NumPy.
fn as_array<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyUntypedArray>> {
    static AS_ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let as_array = AS_ARRAY.import(py, "numpy", "asarray")?;
    let failed = |error: PyErr| wrong(format!("{name}: {error}"));
    Ok(as_array.call1((value,)).map_err(failed)?.cast_into::<PyUntypedArray>()?)
}

/// Whole numbers that are not negative, `[n]`.
pub fn whole(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<u32>> {
    let array = as_array(value, name)?;
    if array.ndim() != 1 {
        return Err(wrong(format!("{name}: expected one axis, got the shape {:?}", array.shape())));
    }
    // An empty list is an array of float64.
    if !matches!(array.dtype().kind(), b'i' | b'u') && !array.is_empty() {
        return Err(wrong(format!("{name}: its dtype is {}, expected whole numbers", array.dtype())));
    }
    let numbers = array.call_method1("tolist", ())?.extract::<Vec<i128>>()?;
    let number = |(index, &number): (usize, &i128)| {
        u32::try_from(number)
            .map_err(|_| wrong(format!("{name}: element {index} is {number}, expected 0 to {}", u32::MAX)))
    };
    numbers.iter().enumerate().map(number).collect()
}

/// Which elements are not 0, of whole numbers or truth values of this shape.
pub fn flags(value: &Bound<'_, PyAny>, name: &str, axes: &str, shape: &[usize]) -> PyResult<Vec<u32>> {
    let array = as_array(value, name)?;
    expect(name, axes, shape, array.shape())?;
    if !matches!(array.dtype().kind(), b'b' | b'i' | b'u') {
        return Err(wrong(format!("{name}: its dtype is {}, expected bool or whole numbers", array.dtype())));
    }
    let truths = array.call_method1("astype", ("bool", "C"))?.cast_into::<PyArrayDyn<bool>>()?;
    let truths = truths.try_readonly().map_err(|reason| wrong(format!("{name}: {reason}")))?;
    Ok(truths.as_array().iter().map(|&truth| u32::from(truth)).collect())
}
