//! A batch that has been moved to the device, to be run there any number of times.

use super::any::{AnyStaged, on};
use super::backend::{Backend, StagedRun};
use super::run::Engine;
use super::wait::{BLOCK, block_on};
use crate::error::{Error, Result};
use crate::io::{Batch, Output, OutputShape, RunShape};
use crate::sync::Wait;

/// A batch on the device. A run reads and writes there and copies nothing, so its time is that of the computation.
#[derive(Debug)]
pub struct Staged {
    engine: Engine,
    run_shape: RunShape,
    batch: AnyStaged,
    has_run: bool,
    recording: Option<f64>,
}

impl Engine {
    /// Moves `batch` to the device. On the CPU path and the reference it is copied. A batch that a run would cut into pieces for
    /// the device's limits, or for an [`Options::memory`](crate::Options::memory) that is not `None`, is refused: a staged batch
    /// is not cut.
    ///
    /// # Errors
    /// Those of [`Engine::run`]; [`Error::TooLarge`] for such a batch, which says how many rows and steps fit.
    #[cfg(feature = "unstable")]
    pub fn stage(&self, batch: &Batch<'_>) -> Result<Staged> {
        batch.check(self.model())?;
        OutputShape::new(self.model(), batch.run_shape())?;
        batch.check_range(self.activations())?;
        let run_shape = batch.run_shape();
        let batch = on!(AnyBackend => AnyStaged, &self.0.backend, backend => backend.stage(batch)?);
        Ok(Staged { engine: self.clone(), run_shape, batch, has_run: false, recording: None })
    }
}

impl Staged {
    /// Sizes, layouts and the padding rule.
    pub fn run_shape(&self) -> RunShape {
        self.run_shape
    }

    /// Runs the batch from its initial states and waits until it is done; y and the final states stay on the device. Returns the
    /// time on the device in seconds, if the device has timestamps.
    ///
    /// # Errors
    /// [`Error::Lost`] or [`Error::Device`] where the device fails.
    pub fn run(&mut self) -> Result<Option<f64>> {
        self.engine.device().may_block()?;
        block_on(self.run_waiting(BLOCK))
    }

    /// [`Staged::run`], without blocking.
    ///
    /// # Errors
    /// Those of [`Staged::run`].
    pub async fn run_async(&mut self) -> Result<Option<f64>> {
        self.run_waiting(Wait::Yield).await
    }

    /// Copies the outputs of the last run.
    ///
    /// # Errors
    /// [`Error::Lost`] or [`Error::Device`] where the device fails, [`Error::Length`] where `output` does not fit,
    /// [`Error::Mismatch`] before the first run.
    pub fn read_into(&mut self, output: &mut Output) -> Result<()> {
        self.engine.device().may_block()?;
        block_on(self.read_waiting(output, BLOCK))
    }

    /// [`Staged::read_into`], without blocking.
    ///
    /// # Errors
    /// Those of [`Staged::read_into`].
    pub async fn read_into_async(&mut self, output: &mut Output) -> Result<()> {
        self.read_waiting(output, Wait::Yield).await
    }

    /// Bytes on the device: the model's constants and this batch's arrays. 0 on the CPU path and the reference.
    pub fn bytes(&self) -> u64 {
        let constants = on!(AnyBackend, &self.engine.0.backend, backend => backend.constant_bytes());
        constants + on!(AnyStaged, &self.batch, batch => batch.bytes())
    }

    /// The host's time, in seconds, for recording and submitting the last run. It lasts from the start of encoding to the return
    /// of the last submission, including the driver's work and waits in those calls. `None` before the first run, in a browser,
    /// and on the CPU path and the reference, which record nothing.
    pub fn recording(&self) -> Option<f64> {
        self.recording
    }

    async fn run_waiting(&mut self, wait: Wait<'_>) -> Result<Option<f64>> {
        self.recording = None;
        self.has_run = false;
        let progress = &self.engine.0.progress;
        let seconds = on!(AnyStaged, &mut self.batch, batch => batch.run(wait, progress).await)?;
        self.has_run = true;
        self.recording = seconds.recording;
        Ok(seconds.device)
    }

    async fn read_waiting(&self, output: &mut Output, wait: Wait<'_>) -> Result<()> {
        output.borrow().check(&OutputShape::new(self.engine.model(), self.run_shape)?)?;
        if !self.has_run {
            let reason = "has not been run, or failed, so there is nothing to read".into();
            return Err(Error::Mismatch { name: "a staged batch".into(), reason });
        }
        on!(AnyStaged, &self.batch, batch => batch.read(output, wait).await)
    }
}
