//! What makes equal engines in several processes.

use std::path::PathBuf;

use pyo3::prelude::*;
use wgru::DeviceOptions;

use crate::device::Device;
use crate::engine::Engine;
use crate::handle::opened;
use crate::model::Model;
use crate::options;

/// A model, a device's selector, and options.
#[pyclass(frozen, module = "wgru")]
pub struct Recipe {
    #[pyo3(get)]
    pub model: Py<Model>,
    #[pyo3(get)]
    pub device: String,
    pub weights: String,
    pub activations: String,
    pub memory: Option<u64>,
    pub pipeline_cache: Option<PathBuf>,
}

#[pymethods]
impl Recipe {
    #[new]
    #[pyo3(signature = (model, device = "auto".to_owned(), *, weights = "f32".to_owned(), activations = "f32".to_owned(), memory = None, pipeline_cache = None))]
    fn new(
        model: Py<Model>,
        device: String,
        weights: String,
        activations: String,
        memory: Option<u64>,
        pipeline_cache: Option<PathBuf>,
    ) -> PyResult<Self> {
        options::of_engine(&weights, &activations, memory)?;
        Ok(Self { model, device, weights, activations, memory, pipeline_cache })
    }

    /// Opens the device, and loads the model.
    fn open(&self, py: Python<'_>) -> PyResult<Engine> {
        let options = DeviceOptions::default();
        let options =
            self.pipeline_cache.clone().map_or(options.clone(), |folder| options.pipeline_cache(folder));
        let device = Py::new(py, Device(opened(py, &self.device, options)?))?;
        Engine::load(device, self.model.bind(py), &self.weights, &self.activations, self.memory)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Parts)> {
        let parts = (
            self.model.clone_ref(py),
            self.device.clone(),
            self.weights.clone(),
            self.activations.clone(),
            self.memory,
            self.pipeline_cache.clone(),
        );
        Ok((py.import("wgru._wgru")?.getattr("recipe_of")?, parts))
    }

    fn __repr__(&self) -> String {
        format!("<wgru.Recipe {} on \"{}\">", self.model.get().model, self.device)
    }
}

type Parts = (Py<Model>, String, String, String, Option<u64>, Option<PathBuf>);

/// A recipe from the parts that its pickle has.
#[pyfunction]
pub fn recipe_of(
    model: Py<Model>,
    device: String,
    weights: String,
    activations: String,
    memory: Option<u64>,
    pipeline_cache: Option<PathBuf>,
) -> PyResult<Recipe> {
    Recipe::new(model, device, weights, activations, memory, pipeline_cache)
}
