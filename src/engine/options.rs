//! Options of devices and engines.

use std::path::PathBuf;

use super::exchange::Exchange;
use crate::cpu::InstructionSet;
use crate::dtype::{Precision, Storage};
use crate::plan::{Only, Table};

/// Options for opening a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceOptions {
    /// The folder of the on-disk cache of compiled pipelines; `None` by default.
    pub pipeline_cache: Option<PathBuf>,
    /// Whether kernels may use the device's cooperative matrices; off by default.
    pub(crate) matrices: bool,
}

impl DeviceOptions {
    /// Keeps compiled pipelines in `folder`, one file for each adapter, where wgpu can read them back from the device: on Vulkan.
    /// Elsewhere it has no effect, which [`crate::Device::has_pipeline_cache`] reports.
    ///
    /// The file is read when a device is opened, and written by [`crate::Device::save_pipelines`]. Otherwise it is written when
    /// the last clone of the device and the last engine on it are dropped, on the thread that drops it, even if that thread polls
    /// a future. If several processes write one file, the last one wins. A file that is damaged, or of another adapter, driver or
    /// layout version, is ignored and replaced.
    ///
    /// The file's content becomes code on the device, and its checksum detects damage, not manipulation. So on Unix the folder
    /// and the file must belong to the user that the process runs as, or to root, and neither their group nor others may write to
    /// them. If the folder is a symbolic link, its target is checked; the file must not be a link. Any other folder is neither
    /// read nor written, and [`crate::Device::save_pipelines`] gives the reason; any other file is ignored and replaced. The
    /// crate creates the folder with mode 0700 and the file with 0600. On other systems, such as Windows, nothing is checked:
    /// name a folder to which only trusted users can write.
    pub fn pipeline_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.pipeline_cache = Some(folder.into());
        self
    }
}

/// How the CPU path computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuOptions {
    /// The most threads that a run takes, the caller's own among them; `None` for as many as the machine runs at once. Results
    /// have the same bits for any number.
    pub threads: Option<usize>,
    /// The instruction set; `None` for the machine's fastest.
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

/// Options of an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Fills every array that a run must write, on the device and in the caller's output, with NaN before the
    /// run. So an element which a kernel does not write is detected. Costs an upload per run.
    pub(crate) fill_nan: bool,
    /// How the device stores weights and activations. States, sums and readout are always f32; f16 and bf16 together are refused.
    /// The reference ignores it: it is what rounding is compared with.
    pub(crate) precision: Precision,
    /// What the planner of a GPU chooses from; by default the plan with the lowest predicted time. Results have the same bits for
    /// all.
    pub(crate) only: Only,
    /// Whether kernels may use a non-deterministic reduction order: see [`Options::reproducible`].
    pub(crate) any_reduction_order: bool,
    /// The most bytes, on a GPU, for the arrays of all runs of an engine together, without the model's weights; 1 GiB where
    /// `None`. The arrays that are kept for later runs of their shape count too. A batch that takes more by itself is run in
    /// pieces ([`crate::Engine::explain`] describes them), with the same result. Sessions, pools and, unless it is `None`, staged
    /// batches may take as much each; larger ones are refused. A run that falls back to per-step kernels takes its bytes twice.
    ///
    /// Runs that do not fit together wait, first in, first out, until the runs before them have ended a piece. None holds memory
    /// while it waits for more, so there is no deadlock. In an `_async` call the future waits and blocks no thread. A future that
    /// has begun a run has to be polled to its end or dropped, like one that holds a lock, since later runs wait for it. A
    /// blocking run that would wait for a future of its own thread returns [`Error::TooLarge`](crate::Error::TooLarge) instead.
    pub memory: Option<u64>,
    /// The speeds that the planner predicts with, as `wgru tune` measures them; `None` for the cost model with the defaults of
    /// this kind of device.
    pub(crate) speed: Option<Table>,
    /// Whether the workgroups of one dispatch may exchange values.
    pub(crate) exchange: Exchange,
}

impl Options {
    /// Whether a GPU gives the same bits for a sequence however it is run: at once, in chunks, step by step in a session, in
    /// another batch, by another plan. That is the default. Without it, large layers that run with per-step kernels may take a
    /// few per cent less time.
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

    /// Sets how x, the sequences between layers and y are stored; numbers are rounded when they are stored.
    pub fn activations(mut self, storage: Storage) -> Self {
        self.precision.activations = storage;
        self
    }
}
