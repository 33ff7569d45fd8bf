//! Devices.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;
use wgru::{DeviceInfo, DeviceOptions};

use crate::engine::Engine;
use crate::error::{raised, wrong};
use crate::handle::{Opened, opened};
use crate::model::Model;
use crate::options;

/// What computes.
#[pyclass(frozen, module = "wgru")]
pub struct Device(pub Arc<Opened>);

impl Device {
    /// The device of a selector, or the one that is given.
    pub fn of(device: &Bound<'_, PyAny>) -> PyResult<Py<Self>> {
        if let Ok(device) = device.cast::<Self>() {
            return Ok(device.clone().unbind());
        }
        let py = device.py();
        let selector = device
            .cast::<PyString>()
            .map_err(|_| wrong("device: expected a selector such as \"cpu\", or a wgru.Device"))?;
        Py::new(py, Self(opened(py, selector.to_cow()?.as_ref(), DeviceOptions::default())?))
    }
}

#[pymethods]
impl Device {
    #[staticmethod]
    #[pyo3(signature = (selector = "auto", *, threads = None, instructions = None, pipeline_cache = None))]
    fn open(
        py: Python<'_>,
        selector: &str,
        threads: Option<usize>,
        instructions: Option<&str>,
        pipeline_cache: Option<PathBuf>,
    ) -> PyResult<Self> {
        let selector = options::selector(selector, threads, instructions)?;
        let options = DeviceOptions::default();
        let options = pipeline_cache.map_or(options.clone(), |folder| options.pipeline_cache(folder));
        opened(py, &selector, options).map(Self)
    }

    #[pyo3(signature = (model, *, weights = "f32", activations = "f32", memory = None))]
    fn load(
        slf: &Bound<'_, Self>,
        model: &Bound<'_, PyAny>,
        weights: &str,
        activations: &str,
        memory: Option<u64>,
    ) -> PyResult<Engine> {
        Engine::load(slf.clone().unbind(), Model::of(model)?, weights, activations, memory)
    }

    /// `cpu`, `gpu` or `reference`.
    #[getter]
    fn kind(&self) -> PyResult<&'static str> {
        Ok(match self.0.device()?.info() {
            DeviceInfo::Cpu(_) => "cpu",
            DeviceInfo::Gpu(_) => "gpu",
            _ => "reference",
        })
    }

    #[getter]
    fn is_software(&self) -> PyResult<bool> {
        Ok(matches!(self.0.device()?.info(), DeviceInfo::Gpu(info) if info.software))
    }

    #[getter]
    fn is_lost(&self) -> PyResult<bool> {
        if self.0.is_closed() { Ok(true) } else { Ok(self.0.device()?.is_lost()) }
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.close(py)
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().0.check()?;
        Ok(slf)
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.0.close(py)
    }

    fn __str__(&self) -> PyResult<String> {
        Ok(self.0.device()?.info().to_string())
    }

    fn __repr__(&self) -> String {
        match self.0.device() {
            Ok(device) => format!("<wgru.Device {}>", device.info()),
            Err(_) => format!("<wgru.Device \"{}\", not usable>", self.0.selector),
        }
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(raised(
            "PickleError",
            "a wgru.Device cannot be pickled: send a wgru.Recipe, whose `open()` opens it there".into(),
        ))
    }
}
