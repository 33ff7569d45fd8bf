//! Streams that come and go.

use std::collections::HashMap;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Arc;

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use wgru::{Engine, PoolOptions, Snapshot, StreamId, TickOutput};

use crate::arrays::{expect, floats, slice};
use crate::error::{fail, free, raised, wrong};
use crate::handle::{Opened, Slot};
use crate::model::File;
use crate::options;
use crate::output::Frames;
use crate::session::{given, taken};

/// A pool, the output of its ticks, and the ids of its streams by their numbers.
struct Inner {
    pool: wgru::Pool,
    output: TickOutput,
    ids: HashMap<u64, StreamId>,
}

impl Inner {
    fn id(&self, number: u64) -> PyResult<StreamId> {
        let id = self.ids.get(&number).copied();
        id.ok_or_else(|| wrong(format!("stream {number}: it is not open in this pool")))
    }
}

/// Streams that come and go.
#[pyclass(frozen, module = "wgru")]
pub struct Pool {
    slot: Arc<Slot<Inner>>,
    model: wgru::Model,
}

/// The options of a pool.
pub struct Settings<'a> {
    pub capacity: usize,
    pub fixed: bool,
    pub frames: Option<usize>,
    pub queue: Option<usize>,
    pub non_finite: &'a str,
    pub save_to: Option<PathBuf>,
    pub save_every: Option<u64>,
}

impl Settings<'_> {
    fn options(self) -> PyResult<PoolOptions> {
        let Self { capacity, fixed, frames, queue, non_finite, save_to, save_every } = self;
        let mut options = if fixed { PoolOptions::fixed(capacity) } else { PoolOptions::growing(capacity) };
        if let Some(frames) = frames {
            options = options.frames(frames);
        }
        if let Some(queue) = queue {
            options = options.queue(queue);
        }
        options = options.non_finite(options::non_finite(non_finite)?);
        match (save_to, save_every) {
            (None, None) => Ok(options),
            (Some(path), Some(ticks)) if ticks > 0 => Ok(options.snapshots(path, ticks)),
            (Some(_), _) => Err(wrong("save_every: expected the ticks between two snapshots, at least 1")),
            (None, Some(_)) => Err(wrong("save_to: expected a path, since save_every is given")),
        }
    }
}

impl Pool {
    pub fn new(
        py: Python<'_>,
        opened: &Arc<Opened>,
        engine: &Engine,
        settings: Settings<'_>,
        snapshot: Option<File>,
    ) -> PyResult<Self> {
        let options = settings.options()?;
        let pool = free(py, || match snapshot {
            None => engine.pool(options),
            Some(File::Path(path)) => engine.pool_from(&Snapshot::read(path)?, options),
            Some(File::Bytes(bytes)) => engine.pool_from(&Snapshot::parse("snapshot", &bytes)?, options),
        })?;
        let ids = pool.streams().map(|id| (id.number(), id)).collect();
        let inner = Inner { pool, output: TickOutput::default(), ids };
        Ok(Self { slot: Slot::new(opened, inner), model: engine.model().clone() })
    }

    fn with<T>(&self, call: impl FnOnce(&mut Inner) -> PyResult<T>) -> PyResult<T> {
        self.slot.with("Pool", call)
    }
}

#[pymethods]
impl Pool {
    #[pyo3(signature = (state = None))]
    fn open(&self, py: Python<'_>, state: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
        let state = state.map(|state| taken(state, &self.model, None)).transpose()?;
        self.with(|inner| {
            let id = free(py, || match &state {
                None => inner.pool.open(),
                Some(state) => inner.pool.open_with(state),
            })?;
            inner.ids.insert(id.number(), id);
            Ok(id.number())
        })
    }

    fn close(&self, stream: u64) -> PyResult<usize> {
        self.with(|inner| {
            let dropped = inner.pool.close(inner.id(stream)?).map_err(fail)?;
            inner.ids.remove(&stream);
            Ok(dropped)
        })
    }

    fn push<'py>(&self, stream: u64, frames: &Bound<'py, PyAny>) -> PyResult<()> {
        let frames = floats(frames, "frames")?;
        let features = self.model.input();
        match *frames.shape() {
            [own] if own == features => {}
            [_, own] if own == features => {}
            ref other => expect("frames", "[n, I] or [I]", &[1, features], other)?,
        }
        let frames = slice(&frames, "frames")?;
        self.with(|inner| inner.pool.push(inner.id(stream)?, frames).map_err(fail))
    }

    fn tick(&self, py: Python<'_>) -> PyResult<Vec<Frames>> {
        self.with(|Inner { pool, output, .. }| {
            free(py, || pool.tick_into(output))?;
            if let Some(error) = output.snapshot_error() {
                // It is no reason to lose the outputs, and is not to be overlooked either.
                let text = format!("a snapshot of the pool was not saved: {error}").replace('\0', " ");
                let text = CString::new(text).unwrap_or_default();
                PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 1)?;
            }
            output.iter().map(|frames| Frames::of(py, frames)).collect()
        })
    }

    fn pending(&self, stream: u64) -> PyResult<usize> {
        self.with(|inner| inner.pool.pending(inner.id(stream)?).map_err(fail))
    }

    fn reset(&self, stream: u64) -> PyResult<usize> {
        self.with(|inner| inner.pool.reset(inner.id(stream)?).map_err(fail))
    }

    fn state<'py>(&self, py: Python<'py>, stream: u64) -> PyResult<Bound<'py, PyDict>> {
        let state = self.with(|inner| {
            let id = inner.id(stream)?;
            free(py, || inner.pool.state(id))
        })?;
        given(py, state, &self.model, None)
    }

    fn set_state(&self, py: Python<'_>, stream: u64, state: &Bound<'_, PyAny>) -> PyResult<usize> {
        let state = taken(state, &self.model, None)?;
        self.with(|inner| {
            let id = inner.id(stream)?;
            free(py, || inner.pool.set_state(id, &state))
        })
    }

    /// The numbers of the open streams.
    #[getter]
    fn streams(&self) -> PyResult<Vec<u64>> {
        self.with(|inner| {
            let mut numbers: Vec<u64> = inner.pool.streams().map(StreamId::number).collect();
            numbers.sort_unstable();
            Ok(numbers)
        })
    }

    #[getter]
    fn ready(&self) -> PyResult<usize> {
        self.with(|inner| Ok(inner.pool.ready()))
    }

    #[pyo3(signature = (streams, frames = 1))]
    fn prepare(&self, py: Python<'_>, streams: usize, frames: usize) -> PyResult<()> {
        self.with(|inner| free(py, || inner.pool.prepare(streams, frames)))
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.with(|inner| free(py, || inner.pool.snapshot()?.to_bytes()))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.with(|inner| free(py, || inner.pool.snapshot()?.write(path)))
    }

    fn __len__(&self) -> PyResult<usize> {
        self.with(|inner| Ok(inner.pool.len()))
    }

    fn __bool__(&self) -> bool {
        true
    }

    fn __reduce__(&self) -> PyResult<()> {
        let what = "a wgru.Pool cannot be pickled: send `engine.recipe()` and `pool.snapshot()`";
        Err(raised("PickleError", what.into()))
    }
}
