//! A batch that has been moved to the device, to be run there as often as one likes.

use super::gpu::GpuStaged;
use super::pieces::{Cut, cut};
use super::run::{Backend, Engine};
use crate::dims::Dims;
use crate::error::{Error, Result};
use crate::info::RunSeconds;
use crate::io::{Batch, Form, Output, OutputShape, OwnedBatch};
use crate::sync::Wait;

/// A batch on the device. A run reads and writes there and moves nothing, so its time is that of the computation.
#[derive(Debug)]
pub struct Staged {
    engine: Engine,
    form: Form,
    backend: StagedBackend,
    has_run: bool,
    recording: Option<f64>,
}

#[derive(Debug)]
enum StagedBackend {
    Gpu(Box<GpuStaged>),
    /// The batch, and what the last run of it gave.
    Host(Box<(OwnedBatch, Output)>),
}

impl Engine {
    /// Moves `batch` to the device. On the CPU path and the reference it is copied. A batch that a run would cut into pieces for
    /// the device's limits, or for an [`Options::memory`](crate::Options::memory) that is not `None`, is refused: what is staged
    /// is there as a whole.
    ///
    /// # Errors
    /// As [`Engine::run`]; [`Error::TooLarge`] for such a batch, which says how many rows and steps fit.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn stage(&self, batch: &Batch<'_>) -> Result<Staged> {
        pollster::block_on(self.stage_async(batch))
    }

    /// [`Engine::stage`], without blocking.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn stage_async(&self, batch: &Batch<'_>) -> Result<Staged> {
        batch.check(self.model())?;
        self.check_staged(batch.form())?;
        let output = self.output(batch.form())?;
        self.check_range(|storage| batch.check_range(storage))?;
        let backend = match &self.0.backend {
            Backend::Gpu(engine) => StagedBackend::Gpu(Box::new(engine.stage(&self.0.model, batch).await?)),
            Backend::Cpu(_) | Backend::Reference => {
                StagedBackend::Host(Box::new((OwnedBatch::of(batch), output)))
            }
        };
        Ok(Staged { engine: self.clone(), form: batch.form(), backend, has_run: false, recording: None })
    }

    /// # Errors
    /// [`Error::TooLarge`] where a batch of `form` does not fit a GPU as it is.
    fn check_staged(&self, form: Form) -> Result<()> {
        let Backend::Gpu(engine) = &self.0.backend else { return Ok(()) };
        let fits = |dims: Dims| engine.planner().fits_staged(self.model(), Form { dims, ..form });
        let Some(Cut { rows, steps }) = cut(form.dims, fits)? else { return Ok(()) };
        match fits(form.dims) {
            Err(Error::TooLarge { name, needed, limit, unit, device }) => {
                let name = format!("{name}, all at once in a staged batch, of which {rows} × {steps} fit");
                Err(Error::TooLarge { name, needed, limit, unit, device })
            }
            verdict => verdict,
        }
    }
}

impl Staged {
    /// Sizes, layouts and the rule for padding.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Runs the batch from its initial states and waits until it is done; y and the final states stay where they
    /// are. Returns the seconds it took on the device, by timestamps, where that takes them.
    ///
    /// # Errors
    /// [`Error::Device`] where the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run(&mut self) -> Result<Option<f64>> {
        pollster::block_on(self.run_waiting(Wait::Block))
    }

    /// [`Staged::run`], without blocking.
    ///
    /// # Errors
    /// As [`Staged::run`].
    pub async fn run_async(&mut self) -> Result<Option<f64>> {
        self.run_waiting(Wait::Yield).await
    }

    /// Copies what the last run gave.
    ///
    /// # Errors
    /// [`Error::Device`] where the device fails, [`Error::Length`] where `output` does not fit, [`Error::Mismatch`]
    /// before the first run.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_into(&mut self, output: &mut Output) -> Result<()> {
        pollster::block_on(self.read_waiting(output, Wait::Block))
    }

    /// [`Staged::read_into`], without blocking.
    ///
    /// # Errors
    /// As [`Staged::read_into`].
    pub async fn read_into_async(&mut self, output: &mut Output) -> Result<()> {
        self.read_waiting(output, Wait::Yield).await
    }

    /// Bytes on the device: the model's constants and what this batch needs. 0 on the CPU path and the reference.
    pub fn bytes(&self) -> u64 {
        match (&self.backend, &self.engine.0.backend) {
            (StagedBackend::Gpu(staged), Backend::Gpu(engine)) => staged.bytes() + engine.constant_bytes(),
            _ => 0,
        }
    }

    /// The host's seconds for recording and submitting the last run: from the start of encoding until the last
    /// submission was handed over, with what the driver does in those calls, should it wait there. None before the first run, on the CPU path and
    /// the reference, which record nothing, and in a browser.
    pub fn recording(&self) -> Option<f64> {
        self.recording
    }

    async fn run_waiting(&mut self, wait: Wait) -> Result<Option<f64>> {
        self.recording = None;
        self.has_run = false;
        let seconds = self.run_backend(wait).await?;
        self.has_run = true;
        self.recording = seconds.recording;
        Ok(seconds.device)
    }

    async fn run_backend(&mut self, wait: Wait) -> Result<RunSeconds> {
        match &mut self.backend {
            StagedBackend::Gpu(staged) => staged.run(wait, &self.engine.tally(1)).await,
            StagedBackend::Host(host) => {
                let (batch, output) = &mut **host;
                self.engine.run_waiting(&batch.borrow(), output, wait).await?;
                Ok(RunSeconds { device: None, recording: None })
            }
        }
    }

    async fn read_waiting(&self, output: &mut Output, wait: Wait) -> Result<()> {
        output.check(&OutputShape::new(self.engine.model(), self.form)?)?;
        if !self.has_run {
            let reason = "has not been run, or failed, so there is nothing to read".into();
            return Err(Error::Mismatch { name: "a staged batch".into(), reason });
        }
        match &self.backend {
            StagedBackend::Gpu(staged) => staged.read_into(output, wait).await,
            StagedBackend::Host(host) => {
                output.clone_from(&host.1);
                Ok(())
            }
        }
    }
}
