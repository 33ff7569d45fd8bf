//! Streams that advance together.

use std::sync::Arc;

use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use wgru::{Engine, State, StepInput, StepOutput};

use crate::arrays::{expect, flags, floats, owned, shaped, slice};
use crate::error::{free, raised, wrong};
use crate::handle::{Opened, Slot};
use crate::model::sizes;
use crate::output::Step;

/// A session, and the output of its steps.
struct Inner {
    session: wgru::Session,
    output: StepOutput,
}

/// Streams that advance together.
#[pyclass(frozen, module = "wgru")]
pub struct Session {
    slot: Arc<Slot<Inner>>,
    engine: wgru::Model,
    #[pyo3(get)]
    streams: usize,
}

impl Session {
    pub fn new(py: Python<'_>, opened: &Arc<Opened>, engine: &Engine, streams: usize) -> PyResult<Self> {
        let inner = free(py, || {
            let session = engine.session(streams)?;
            let output = session.output()?;
            Ok(Inner { session, output })
        })?;
        Ok(Self { slot: Slot::new(opened, inner), engine: engine.model().clone(), streams })
    }

    fn with<T>(&self, call: impl FnOnce(&mut Inner) -> PyResult<T>) -> PyResult<T> {
        self.slot.with("Session", call)
    }
}

#[pymethods]
impl Session {
    #[pyo3(signature = (x, *, resets = None))]
    fn step<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        resets: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Step> {
        let x = floats(x, "x")?;
        let expected = [self.streams, self.engine.input()];
        if !(self.streams == 1 && x.shape() == &expected[1..]) {
            expect("x", "[streams, I]", &expected, x.shape())?;
        }
        let resets = resets.map(|resets| flags(resets, "resets", "[streams]", &expected[..1])).transpose()?;
        let mut input = StepInput::new(slice(&x, "x")?);
        if let Some(resets) = &resets {
            input = input.resets(resets);
        }
        self.with(|Inner { session, output }| {
            free(py, || session.step_into(input, output))?;
            Step::of(py, output, self.streams)
        })
    }

    /// All states to zero.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.with(|inner| {
            free(py, || {
                inner.session.reset();
                Ok(())
            })
        })
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = self.with(|inner| free(py, || inner.session.state()))?;
        given(py, state, &self.engine, Some(self.streams))
    }

    fn set_state(&self, py: Python<'_>, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let state = taken(state, &self.engine, Some(self.streams))?;
        self.with(|inner| free(py, || inner.session.set_state(&state)))
    }

    fn __repr__(&self) -> String {
        format!("<wgru.Session of {} streams, {}>", self.streams, self.engine)
    }

    fn __reduce__(&self) -> PyResult<()> {
        let what = "a wgru.Session cannot be pickled: send `engine.recipe()` and `session.state()`";
        Err(raised("PickleError", what.into()))
    }
}

/// The shapes of states, and their axes; of one stream without the axis of streams.
fn shapes(model: &wgru::Model, streams: Option<usize>) -> [(&'static str, Option<Vec<usize>>); 2] {
    let (h, c) = sizes(model, streams.unwrap_or(1));
    let of = |shape: [usize; 3]| match streams {
        Some(_) => shape.to_vec(),
        None => vec![shape[0], shape[2]],
    };
    let axes = if streams.is_some() { ["[L·D, B, P]", "[L·D, B, H]"] } else { ["[L, P]", "[L, H]"] };
    [(axes[0], Some(of(h))), (axes[1], c.map(of))]
}

/// States as new arrays.
pub fn given<'py>(
    py: Python<'py>,
    state: State,
    model: &wgru::Model,
    streams: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let [(_, h), (_, c)] = shapes(model, streams);
    dict.set_item("h", owned(py, state.h, &h.unwrap_or_default())?)?;
    let c = state.c.zip(c).map(|(c, shape)| owned(py, c, &shape)).transpose()?;
    dict.set_item("c", c)?;
    Ok(dict)
}

/// States from a mapping of the caller, copied.
pub fn taken(state: &Bound<'_, PyAny>, model: &wgru::Model, streams: Option<usize>) -> PyResult<State> {
    let get = |name: &str| match state.get_item(name) {
        Ok(value) if value.is_none() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyKeyError>(state.py()) => Ok(None),
        Err(error) => Err(wrong(format!("state: expected a mapping with h, and c of an LSTM: {error}"))),
    };
    let [h, c] = shapes(model, streams);
    let of = |name: &str, (axes, shape): (&str, Option<Vec<usize>>)| match (get(name)?, shape) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(wrong(format!("state[\"{name}\"]: {} has no cell state", model.cell()))),
        (None, Some(_)) => Err(wrong(format!("state[\"{name}\"] {axes}: it is not there"))),
        (Some(value), Some(shape)) => {
            let name = format!("state[\"{name}\"]");
            Ok(Some(slice(&shaped(&value, &name, axes, &shape)?, &name)?.to_vec()))
        }
    };
    Ok(State { h: of("h", h)?.unwrap_or_default(), c: of("c", c)? })
}
