//! Models from files and from memory.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};
use wgru::import::{Keras, Onnx};
use wgru::model::bytes;
use wgru::{Imported, ReadoutSteps};

use crate::error::{fail, free, wrong};
use crate::options;
use crate::state_dict;

/// A file: where it is, or its bytes.
pub enum File {
    Path(PathBuf),
    Bytes(Vec<u8>),
}

impl<'py> FromPyObject<'_, 'py> for File {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.as_bytes().to_vec()));
        }
        if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
            let bytes = value.py().get_type::<PyBytes>().call1((value,))?;
            return Ok(Self::Bytes(bytes.cast::<PyBytes>()?.as_bytes().to_vec()));
        }
        let path = value.extract::<PathBuf>();
        path.map(Self::Path).map_err(|_| wrong("file: expected a path, or the bytes of a file"))
    }
}

/// The shapes of h and c for `batch` sequences: `[L·D, B, P]` and, where the cell has one, `[L·D, B, H]`.
pub fn sizes(model: &wgru::Model, batch: usize) -> ([usize; 3], Option<[usize; 3]>) {
    let of = |features| [model.num_states(), batch, features];
    (of(model.state_size()), model.cell().has_c().then(|| of(model.hidden())))
}

/// A model, and what its import says.
#[pyclass(frozen, module = "wgru")]
pub struct Model {
    pub model: wgru::Model,
    #[pyo3(get)]
    decisions: Vec<String>,
    #[pyo3(get)]
    left_over: Vec<String>,
    #[pyo3(get)]
    initial_states: Vec<String>,
}

impl From<Imported> for Model {
    fn from(Imported { model, report }: Imported) -> Self {
        let wgru::import::Report { decisions, left_over, initial_states, .. } = report;
        Self { model, decisions, left_over, initial_states }
    }
}

/// What errors call a file that is given by its bytes.
const NAME: &str = "file";

impl Model {
    /// `value`, which has to be a model.
    pub fn of<'a, 'py>(value: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, Self>> {
        value.cast::<Self>().map_err(|_| {
            let given = value.get_type();
            wrong(format!(
                "model: expected a wgru.Model, got {}: make one by Model.from_pytorch(file), from_state_dict(module.state_dict()), from_onnx(file) or from_keras(file)",
                given.name().map_or_else(|_| "another object".into(), |name| name.to_string())
            ))
        })
    }
}

#[pymethods]
impl Model {
    #[allow(clippy::too_many_arguments, reason = "one for each option")]
    #[staticmethod]
    #[pyo3(signature = (
        file, *, prefix = None, cell = None, reset = None, update = None, readout = None, readout_at = None,
        readout_activation = None
    ))]
    fn from_pytorch(
        py: Python<'_>,
        file: File,
        prefix: Option<String>,
        cell: Option<&str>,
        reset: Option<&str>,
        update: Option<&str>,
        readout: Option<String>,
        readout_at: Option<&str>,
        readout_activation: Option<&str>,
    ) -> PyResult<Self> {
        let readout = options::readout(readout, readout_at)?;
        let activation = options::activation(readout_activation)?;
        let import = options::pytorch(prefix, cell, [reset, update], readout, activation)?;
        let imported = free(py, || match file {
            File::Path(path) => import.read(path),
            File::Bytes(bytes) => import.parse(NAME, &bytes),
        });
        imported.map(Self::from)
    }

    #[allow(clippy::too_many_arguments, reason = "one for each option")]
    #[staticmethod]
    #[pyo3(signature = (
        tensors, *, prefix = None, cell = None, reset = None, update = None, readout = None, readout_at = None,
        readout_activation = None
    ))]
    fn from_state_dict(
        tensors: &Bound<'_, PyAny>,
        prefix: Option<String>,
        cell: Option<&str>,
        reset: Option<&str>,
        update: Option<&str>,
        readout: Option<String>,
        readout_at: Option<&str>,
        readout_activation: Option<&str>,
    ) -> PyResult<Self> {
        let readout = options::readout(readout, readout_at)?;
        let activation = options::activation(readout_activation)?;
        let import = options::pytorch(prefix, cell, [reset, update], readout, activation)?;
        let bytes = state_dict::bytes(tensors)?;
        free(tensors.py(), || import.parse("tensors", &bytes)).map(Self::from)
    }

    #[staticmethod]
    #[pyo3(signature = (file, *, nodes = None))]
    fn from_onnx(py: Python<'_>, file: File, nodes: Option<Vec<String>>) -> PyResult<Self> {
        let mut import = Onnx::new();
        if let Some(nodes) = nodes {
            import = import.node(nodes.join(","));
        }
        let imported = free(py, || match file {
            File::Path(path) => import.read(path),
            File::Bytes(bytes) => import.parse(NAME, &bytes, None),
        });
        imported.map(Self::from)
    }

    #[staticmethod]
    #[pyo3(signature = (
        file, *, layers = None, config = None, keras_version = None, readout = None, readout_at = None
    ))]
    fn from_keras(
        py: Python<'_>,
        file: File,
        layers: Option<Vec<String>>,
        config: Option<String>,
        keras_version: Option<u32>,
        readout: Option<String>,
        readout_at: Option<&str>,
    ) -> PyResult<Self> {
        let mut import = Keras::new();
        if let Some(layers) = layers {
            import = import.layers(layers);
        }
        if let Some(config) = config {
            import = import.config(config);
        }
        if let Some(version) = keras_version {
            import = import.keras_version(version);
        }
        if let Some((readout, steps)) = options::readout(readout, readout_at)? {
            import = import.readout(readout, steps);
        }
        let imported = free(py, || match file {
            File::Path(path) => import.read(path),
            File::Bytes(bytes) => import.parse(NAME, &bytes),
        });
        imported.map(Self::from)
    }

    fn to_onnx<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &free(py, || wgru::export::onnx(&self.model))?))
    }

    fn to_pytorch<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &free(py, || wgru::export::pytorch(&self.model))?))
    }

    #[getter]
    fn cell(&self) -> &'static str {
        self.model.cell().name()
    }

    #[getter]
    fn input(&self) -> usize {
        self.model.input()
    }

    #[getter]
    fn hidden(&self) -> usize {
        self.model.hidden()
    }

    #[getter]
    fn output(&self) -> usize {
        self.model.output()
    }

    #[getter]
    fn num_states(&self) -> usize {
        self.model.num_states()
    }

    #[getter]
    fn state_size(&self) -> usize {
        self.model.state_size()
    }

    #[getter]
    fn has_c(&self) -> bool {
        self.model.cell().has_c()
    }

    #[getter]
    fn readout_outputs(&self) -> usize {
        self.model.readout().map_or(0, |readout| readout.outputs())
    }

    #[getter]
    fn readout_activation(&self) -> Option<&'static str> {
        self.model.readout().map(|readout| readout.activation().name())
    }

    #[getter]
    fn readout_at(&self) -> Option<&'static str> {
        self.model.readout().map(|readout| match readout.steps() {
            ReadoutSteps::Last => "last",
            ReadoutSteps::Every => "every",
        })
    }

    fn __str__(&self) -> String {
        self.model.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<wgru.Model {}>", self.model)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let lists = [&self.decisions[..], &self.left_over, &self.initial_states];
        let bytes = free(py, || bytes::write(&self.model, &lists))?;
        Ok((py.import("wgru._wgru")?.getattr("model_from_bytes")?, (PyBytes::new(py, &bytes),)))
    }
}

/// A model from the bytes that its pickle has.
#[pyfunction]
pub fn model_from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Model> {
    let (model, [decisions, left_over, initial_states]) = py.detach(|| bytes::read(bytes)).map_err(fail)?;
    Ok(Model { model, decisions, left_over, initial_states })
}
