//! Signals that arrive while a run computes.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

/// What the handler of a signal raised, as that of Ctrl-C raises `KeyboardInterrupt`.
#[derive(Default)]
pub struct Signals(Mutex<Option<PyErr>>);

impl Signals {
    /// Whether the run is to end, since a handler raised. Python calls handlers on its main thread alone.
    pub fn end_the_run(&self) -> bool {
        let checked = Python::try_attach(|py| {
            let raised = py.check_signals().err();
            let is_raised = raised.is_some();
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = raised;
            is_raised
        });
        // Without an interpreter nothing takes the outputs.
        checked.unwrap_or(true)
    }

    /// The result of a run, or what a handler raised during it.
    pub fn result<T>(self, result: PyResult<T>) -> PyResult<T> {
        let raised = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        raised.map_or(result, Err)
    }
}
