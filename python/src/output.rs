//! The arrays that runs, steps and ticks give.

use numpy::{PyArrayDyn, PyReadwriteArrayDyn};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyTuple};
use wgru::io::OutputShape;
use wgru::{Bindings, StepOutput};

use crate::arrays::{Array, Span, copied, owned, span, target};
use crate::error::wrong;

/// The arrays of a run.
#[pyclass(frozen, module = "wgru")]
pub struct Output {
    #[pyo3(get)]
    y: Option<Py<PyAny>>,
    #[pyo3(get)]
    h_n: Option<Py<PyAny>>,
    #[pyo3(get)]
    c_n: Option<Py<PyAny>>,
    #[pyo3(get)]
    out: Option<Py<PyAny>>,
}

fn bound<'py, T>(py: Python<'py>, part: &Option<Py<T>>) -> Option<Bound<'py, PyAny>> {
    part.as_ref().map(|part| part.bind(py).as_any().clone())
}

/// The shape of an array in words.
fn shape_of(py: Python<'_>, array: &Option<Py<PyAny>>) -> String {
    let shape = |array: &Py<PyAny>| {
        array.bind(py).getattr("shape").map_or_else(|_| "?".to_owned(), |s| s.to_string())
    };
    array.as_ref().map_or_else(|| "None".to_owned(), shape)
}

#[pymethods]
impl Output {
    #[new]
    #[pyo3(signature = (*, y = None, h_n = None, c_n = None, out = None))]
    fn new(
        y: Option<Py<PyAny>>,
        h_n: Option<Py<PyAny>>,
        c_n: Option<Py<PyAny>>,
        out: Option<Py<PyAny>>,
    ) -> Self {
        Self { y, h_n, c_n, out }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.tuple(py)?.try_iter()
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.tuple(py)?.len())
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.tuple(index.py())?.as_any().get_item(index)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let [y, h_n, c_n, out] = [&self.y, &self.h_n, &self.c_n, &self.out].map(|array| shape_of(py, array));
        format!("<wgru.Output y {y}, h_n {h_n}, c_n {c_n}, out {out}>")
    }
}

impl Output {
    /// Its parts in their order.
    fn tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, [&self.y, &self.h_n, &self.c_n, &self.out].map(|part| bound(py, part)))
    }

    /// What a run gave, without a copy.
    pub fn of(py: Python<'_>, output: wgru::Output, shape: &OutputShape) -> PyResult<Self> {
        let array = |numbers: Vec<f32>, shape: &[usize]| -> PyResult<Py<PyAny>> {
            Ok(owned(py, numbers, shape)?.into_any().unbind())
        };
        let wgru::Output { y, h_n, c_n, out } = output;
        Ok(Self {
            y: Some(array(y, &shape.y)?),
            h_n: Some(array(h_n, &shape.h)?),
            c_n: c_n.zip(shape.c).map(|(c_n, shape)| array(c_n, &shape)).transpose()?,
            out: out.zip(shape.out.as_deref()).map(|(out, shape)| array(out, shape)).transpose()?,
        })
    }

    /// The arrays of the caller that a run is to write.
    pub fn targets<'py>(&self, py: Python<'py>, shape: &OutputShape) -> PyResult<Targets<'py>> {
        let none = |name: &str| wrong(format!("out.{name}: the model has none"));
        let of = |array: &Option<Py<PyAny>>, name: &str, axes: &str, shape: Option<&[usize]>| {
            let Some(array) = array else { return Ok(None) };
            let shape = shape.ok_or_else(|| none(name))?;
            target(array.bind(py), &format!("out.{name}"), axes, shape).map(Some)
        };
        let targets = Targets {
            y: of(&self.y, "y", "", Some(&shape.y))?,
            h_n: of(&self.h_n, "h_n", "[L·D, B, P]", Some(&shape.h))?,
            c_n: of(&self.c_n, "c_n", "[L·D, B, H]", shape.c.as_ref().map(|shape| &shape[..]))?,
            out: of(&self.out, "out", "", shape.out.as_deref())?,
        };
        let all = [&targets.y, &targets.h_n, &targets.c_n, &targets.out];
        if all.iter().all(|target| target.is_none()) {
            return Err(wrong(
                "out: it has no array, so the run would write nothing: give at least one of y, h_n, c_n and out",
            ));
        }
        Ok(targets)
    }
}

/// Arrays of the caller, borrowed to be written.
pub struct Targets<'py> {
    y: Option<PyReadwriteArrayDyn<'py, f32>>,
    h_n: Option<PyReadwriteArrayDyn<'py, f32>>,
    c_n: Option<PyReadwriteArrayDyn<'py, f32>>,
    out: Option<PyReadwriteArrayDyn<'py, f32>>,
}

impl Targets<'_> {
    /// The memory that the run writes.
    pub fn spans(&self) -> Vec<Span> {
        let all =
            [("out.y", &self.y), ("out.h_n", &self.h_n), ("out.c_n", &self.c_n), ("out.out", &self.out)];
        all.into_iter().filter_map(|(name, array)| Some(span(name, array.as_ref()?))).collect()
    }

    /// `bindings` with these arrays.
    pub fn bind<'a>(&'a mut self, mut bindings: Bindings<'a>) -> PyResult<Bindings<'a>> {
        let failed = |reason| wrong(format!("out: {reason}"));
        if let Some(y) = &mut self.y {
            bindings = bindings.y(y.as_slice_mut().map_err(failed)?);
        }
        if let Some(h_n) = &mut self.h_n {
            bindings = bindings.h_n(h_n.as_slice_mut().map_err(failed)?);
        }
        if let Some(c_n) = &mut self.c_n {
            bindings = bindings.c_n(c_n.as_slice_mut().map_err(failed)?);
        }
        if let Some(out) = &mut self.out {
            bindings = bindings.out(out.as_slice_mut().map_err(failed)?);
        }
        Ok(bindings)
    }
}

/// The arrays of a step.
#[pyclass(frozen, module = "wgru")]
pub struct Step {
    #[pyo3(get)]
    y: Array,
    #[pyo3(get)]
    out: Option<Array>,
}

/// Numbers of a step's output above which they are handed over; fewer are copied, which costs less than a new vector.
const FEW: usize = 4096;

impl Step {
    /// Its parts in their order.
    fn tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, [Some(self.y.bind(py).as_any().clone()), bound(py, &self.out)])
    }

    /// Arrays of `streams` rows, with what a step left in `output`.
    pub fn of(py: Python<'_>, output: &mut StepOutput, streams: usize) -> PyResult<Self> {
        let array = |numbers: &mut Vec<f32>| -> PyResult<Array> {
            let shape = [streams, numbers.len() / streams];
            if numbers.len() <= FEW {
                return Ok(copied(py, numbers, &shape)?.unbind());
            }
            let next = vec![0.0; numbers.len()];
            Ok(owned(py, std::mem::replace(numbers, next), &shape)?.unbind())
        };
        Ok(Self { y: array(&mut output.y)?, out: output.out.as_mut().map(array).transpose()? })
    }
}

#[pymethods]
impl Step {
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.tuple(py)?.try_iter()
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.tuple(py)?.len())
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.tuple(index.py())?.as_any().get_item(index)
    }
}

/// What a tick gave of a stream.
#[pyclass(frozen, module = "wgru")]
pub struct Frames {
    #[pyo3(get)]
    stream: u64,
    #[pyo3(get)]
    y: Array,
    #[pyo3(get)]
    out: Option<Array>,
}

impl Frames {
    /// Its parts in their order.
    fn tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, [Some(self.y.bind(py).as_any().clone()), bound(py, &self.out)])
    }

    pub fn of(py: Python<'_>, frames: wgru::Frames<'_>) -> PyResult<Self> {
        let array = |numbers: &[f32]| -> PyResult<Py<PyArrayDyn<f32>>> {
            Ok(copied(py, numbers, &[frames.frames, numbers.len() / frames.frames.max(1)])?.unbind())
        };
        Ok(Self {
            stream: frames.stream.number(),
            y: array(frames.y)?,
            out: frames.out.map(array).transpose()?,
        })
    }
}

#[pymethods]
impl Frames {
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.tuple(py)?.try_iter()
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.tuple(py)?.len())
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.tuple(index.py())?.as_any().get_item(index)
    }
}
