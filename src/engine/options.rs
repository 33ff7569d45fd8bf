//! How devices and engines are made.

use std::path::PathBuf;

use super::exchange::Exchange;
use crate::cpu::InstructionSet;
use crate::dtype::{Precision, Storage};
use crate::plan::{Only, Table};

/// How a device of our own is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceOptions {
    /// The folder that compiled pipelines are kept in from one process to the next; none by default.
    pub pipeline_cache: Option<PathBuf>,
    /// Whether kernels may be made of the device's cooperative matrices; off by default.
    pub(crate) matrices: bool,
}

impl DeviceOptions {
    /// Keeps compiled pipelines in `folder`, one file for each adapter, where wgpu can take them out of the device: on
    /// Vulkan. Elsewhere it has no effect, which [`crate::Device::has_pipeline_cache`] tells.
    ///
    /// The file is read when a device is opened, and written by [`crate::Device::save_pipelines`] or else when the last clone of
    /// the device and the last engine on it are gone, on the thread that does so, also where that polls a future. Where
    /// several write one, the last has it. A file that is damaged, or of another adapter, driver or version of the layout,
    /// is ignored and replaced.
    ///
    /// What the file holds becomes code on the device, and its checksum finds damage, not malice. So on unix folder and
    /// file must belong to the user that the process runs as, or to root, and neither their group nor others may write to
    /// them; a folder that is a link is that which it points to, a file must be none. Of another folder nothing is read,
    /// nothing is written to it, and [`crate::Device::save_pipelines`] gives the reason; such a file is ignored and replaced. What is
    /// made here has the modes 0700 and 0600. Elsewhere, as on Windows, nothing is checked: name a folder that only those
    /// write to whose programs may run.
    pub fn pipeline_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.pipeline_cache = Some(folder.into());
        self
    }
}

/// How the CPU path computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuOptions {
    /// The most threads that a run takes, the caller's own among them; as many as the machine runs at once where `None`.
    /// Results are the same bits whatever it is.
    pub threads: Option<usize>,
    /// The instructions; the fastest of the machine where `None`.
    pub instructions: Option<InstructionSet>,
}

impl CpuOptions {
    /// Sets [`CpuOptions::threads`].
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Sets [`CpuOptions::instructions`].
    pub fn instructions(mut self, set: InstructionSet) -> Self {
        self.instructions = Some(set);
        self
    }
}

/// How an engine is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Fills every array that a run must write, on the device and in the caller's output, with NaN before the
    /// run, so that an element which a kernel forgets is seen. Costs an upload per run.
    pub(crate) fill_nan: bool,
    /// How the device stores weights and activations. States, sums and readout are f32 whatever it says; f16 and
    /// bf16 together are refused. The reference takes no notice of it: it is the truth that rounding is held
    /// against.
    pub(crate) precision: Precision,
    /// What the planner of a GPU chooses from; what it predicts to be fastest where nothing is asked for. Results are
    /// the same bits either way.
    pub(crate) only: Only,
    /// Whether kernels may sum in an order of their own: see [`Options::reproducible`].
    pub(crate) any_reduction_order: bool,
    /// Bytes that the arrays of all runs of an engine together may take on a GPU beside the model's weights, with those that are
    /// kept for the next run of their shape; 1 GiB where `None`. A batch that takes more by itself is run in pieces
    /// ([`crate::Engine::explain`] says into which), with the same result. Sessions, pools and, where it is not `None`, staged batches may take as much each:
    /// more is refused. A run that has to be finished step by step takes its bytes twice.
    ///
    /// Runs that do not fit beside each other wait, in the order in which they came, until those before them have ended a piece.
    /// None holds memory while it waits for more, so they never wait in a circle. What waits in an `_async` call is the future: it
    /// blocks no thread. A future that has begun a run has to be polled to its end or dropped, like one that holds a lock, for
    /// those behind it wait for that. A blocking run that would wait for a future of its own thread is
    /// [`Error::TooLarge`](crate::Error::TooLarge) instead.
    pub memory: Option<u64>,
    /// What the planner predicts with, as `wgru tune` measures it; where `None`, the cost model with the numbers for a device of its
    /// kind.
    pub(crate) speed: Option<Table>,
    /// Whether the workgroups of one dispatch may exchange values.
    pub(crate) exchange: Exchange,
}

impl Options {
    /// Whether a GPU gives the same bits for a sequence however it is run: at once, in chunks, step by step in a session,
    /// in another batch, by another plan. That is the default. Without it, large layers that are computed step by step
    /// may take a few per cent less time.
    pub fn reproducible(mut self, reproducible: bool) -> Self {
        self.any_reduction_order = !reproducible;
        self
    }

    /// Sets [`Options::memory`].
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Sets how weights are stored: [`Storage::F16`] and [`Storage::Bf16`] take half the memory.
    pub fn weights(mut self, storage: Storage) -> Self {
        self.precision.weights = storage;
        self
    }

    /// Sets how x, the sequences between layers and y are stored; numbers are rounded on their way in.
    pub fn activations(mut self, storage: Storage) -> Self {
        self.precision.activations = storage;
        self
    }
}
