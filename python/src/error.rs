//! Errors as Python has them. The classes are Python's own (`python/wgru/_errors.py`): most have two bases.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;
use pyo3::types::PyType;
use wgru::{Error, ErrorKind};

/// The name of an error's class.
fn class(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::WrongUse => "WrongUse",
        ErrorKind::Io if is_missing(error) => "FileMissing",
        ErrorKind::Io => "FileError",
        ErrorKind::BadFile => "BadFile",
        ErrorKind::Unsupported => "Unsupported",
        ErrorKind::Limit => "Limit",
        ErrorKind::NoDevice => "NoDevice",
        ErrorKind::LostDevice => "LostDevice",
        ErrorKind::Driver => "DeviceError",
        _ => "InternalError",
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// An error of this class.
pub fn raised(class: &str, message: String) -> PyErr {
    Python::attach(|py| {
        let class = || py.import("wgru._errors")?.getattr(class)?.cast_into::<PyType>().map_err(PyErr::from);
        class().map_or_else(|error| error, |class| PyErr::from_type(class, message))
    })
}

/// An error of the crate.
pub fn fail(error: Error) -> PyErr {
    raised(class(&error), error.to_string())
}

/// A wrong argument.
pub fn wrong(message: impl Into<String>) -> PyErr {
    raised("WrongUse", message.into())
}

/// The result of `work`, which runs without the GIL.
///
/// # Errors
/// Those of `work`, and `InternalError` for a panic of it.
pub fn free<T: Send>(py: Python<'_>, work: impl FnOnce() -> wgru::Result<T> + Send) -> PyResult<T> {
    match py.detach(|| catch_unwind(AssertUnwindSafe(work))) {
        Ok(result) => result.map_err(fail),
        Err(panic) => Err(panicked(&*panic)),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> PyErr {
    let words = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    let words = words.unwrap_or("it has no message");
    raised("InternalError", format!("a panic: {words} (a fault of wgru: please report it with this message)"))
}
