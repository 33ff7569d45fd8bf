//! Runs of batches.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use wgru::Interrupt;
use wgru::io::OutputShape;

use crate::arrays::apart;
use crate::device::Device;
use crate::error::{fail, free, raised};
use crate::handle::Slot;
use crate::input::{Input, Order};
use crate::model::{File, Model};
use crate::options;
use crate::output::Output;
use crate::pool::{Pool, Settings};
use crate::recipe::Recipe;
use crate::session::Session;
use crate::signals::Signals;

/// A model on a device.
#[pyclass(frozen, module = "wgru")]
pub struct Engine {
    slot: Arc<Slot<wgru::Engine>>,
    #[pyo3(get)]
    model: Py<Model>,
    #[pyo3(get)]
    device: Py<Device>,
    storage: [String; 2],
    memory: Option<u64>,
}

impl Engine {
    pub fn load(
        device: Py<Device>,
        model: &Bound<'_, Model>,
        weights: &str,
        activations: &str,
        memory: Option<u64>,
    ) -> PyResult<Self> {
        let options = options::of_engine(weights, activations, memory)?;
        let opened = &device.get().0;
        let (on, of) = (opened.device()?, &model.get().model);
        let engine = free(model.py(), || on.load_with(of, options))?;
        let slot = Slot::new(opened, engine);
        let storage = [weights, activations].map(str::to_owned);
        Ok(Self { slot, model: model.clone().unbind(), device, storage, memory })
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (model, device = None, *, weights = "f32", activations = "f32", memory = None))]
    fn new(
        model: &Bound<'_, PyAny>,
        device: Option<&Bound<'_, PyAny>>,
        weights: &str,
        activations: &str,
        memory: Option<u64>,
    ) -> PyResult<Self> {
        let py = model.py();
        let auto = pyo3::types::PyString::new(py, "auto").into_any();
        let device = Device::of(device.unwrap_or(&auto))?;
        Self::load(device, Model::of(model)?, weights, activations, memory)
    }

    #[allow(clippy::too_many_arguments, reason = "one for each option")]
    #[pyo3(signature = (
        x, *, lengths = None, h0 = None, c0 = None, resets = None, layout = "batch-major", output_layout = None,
        padding = "zero", check_finite = true, out = None
    ))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        lengths: Option<&Bound<'py, PyAny>>,
        h0: Option<&Bound<'py, PyAny>>,
        c0: Option<&Bound<'py, PyAny>>,
        resets: Option<&Bound<'py, PyAny>>,
        layout: &str,
        output_layout: Option<&str>,
        padding: &str,
        check_finite: bool,
        out: Option<Bound<'py, Output>>,
    ) -> PyResult<Py<Output>> {
        let engine = self.slot.get()?;
        let model = &self.model.get().model;
        let order = Order::new(layout, output_layout, padding)?;
        let input = Input::new(model, x, order, lengths, resets, [h0, c0])?;
        let batch = input.batch()?;
        let shape = OutputShape::new(model, batch.run_shape()).map_err(fail)?;
        let check = || if check_finite { batch.check_finite(model) } else { batch.check(model) };
        let signals = Signals::default();
        let interrupt = Interrupt::new(|| signals.end_the_run());
        match out {
            None => {
                let ended = free(py, || {
                    check()?;
                    engine.run(&batch.interrupt(&interrupt))
                });
                drop(interrupt);
                Py::new(py, Output::of(py, signals.result(ended)?, &shape)?)
            }
            Some(out) => {
                let mut targets = out.get().targets(py, &shape)?;
                apart(&input.spans(), &targets.spans())?;
                let (run_shape, bindings) = input.bindings()?;
                let bindings = targets.bind(bindings)?.interrupt(&interrupt);
                let ended = free(py, || {
                    check()?;
                    engine.run_bound(run_shape, bindings)
                });
                drop(interrupt);
                signals.result(ended)?;
                drop(targets);
                Ok(out.unbind())
            }
        }
    }

    fn prepare(&self, py: Python<'_>, batch: usize, steps: usize) -> PyResult<()> {
        let engine = self.slot.get()?;
        free(py, || engine.prepare([batch, steps]))
    }

    fn explain(&self, py: Python<'_>, batch: usize, steps: usize) -> PyResult<String> {
        let engine = self.slot.get()?;
        free(py, || engine.explain([batch, steps]))
    }

    fn memory(&self, py: Python<'_>, batch: usize, steps: usize) -> PyResult<u64> {
        let engine = self.slot.get()?;
        let memory = free(py, || engine.memory([batch, steps]))?;
        Ok(memory.weights + memory.arrays + memory.read_back)
    }

    #[pyo3(signature = (streams = 1))]
    fn session(&self, py: Python<'_>, streams: usize) -> PyResult<Session> {
        Session::new(py, &self.slot.opened, &self.slot.get()?, streams)
    }

    #[allow(clippy::too_many_arguments, reason = "one for each option")]
    #[pyo3(signature = (
        capacity = 16, *, fixed = false, frames = None, queue = None, non_finite = "refuse", snapshot = None,
        save_to = None, save_every = None
    ))]
    fn pool(
        &self,
        py: Python<'_>,
        capacity: usize,
        fixed: bool,
        frames: Option<usize>,
        queue: Option<usize>,
        non_finite: &str,
        snapshot: Option<File>,
        save_to: Option<PathBuf>,
        save_every: Option<u64>,
    ) -> PyResult<Pool> {
        let settings = Settings { capacity, fixed, frames, queue, non_finite, save_to, save_every };
        Pool::new(py, &self.slot.opened, &self.slot.get()?, settings, snapshot)
    }

    /// What makes an equal engine elsewhere.
    fn recipe(&self, py: Python<'_>) -> Recipe {
        let opened = &self.slot.opened;
        let [weights, activations] = self.storage.clone();
        Recipe {
            model: self.model.clone_ref(py),
            device: opened.selector.clone(),
            weights,
            activations,
            memory: self.memory,
            pipeline_cache: opened.options.pipeline_cache.clone(),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let device = self.device.bind(py).repr()?;
        Ok(format!("<wgru.Engine {} on {device}>", self.model.get().model))
    }

    fn __reduce__(&self) -> PyResult<()> {
        let what = "a wgru.Engine cannot be pickled: send `engine.recipe()`, whose `open()` makes an equal engine there";
        Err(raised("PickleError", what.into()))
    }
}
