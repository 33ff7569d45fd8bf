//! A batch on a GPU.

use std::sync::Arc;

use super::pieces::{Cut, cut};
use super::read::read_all;
use super::{GpuEngine, Ready};
use crate::dims::Dims;
use crate::engine::backend::StagedRun;
use crate::engine::exchange::Exchange;
use crate::error::{Error, Result};
use crate::gpu::{Context, StagedWorkspace};
use crate::info::RunSeconds;
use crate::io::{Batch, Output, RunShape};
use crate::program::{Completion, Incomplete, lower};
use crate::progress::{Progress, Tally};
use crate::sync::Wait;

#[derive(Debug)]
pub(in crate::engine) struct GpuStaged {
    context: Arc<Context>,
    staged: StagedWorkspace,
    /// Whether a failed run disables the exchange on the device.
    distrusts: bool,
}

impl GpuEngine {
    pub(super) fn staged(&self, batch: &Batch<'_>) -> Result<GpuStaged> {
        self.check_staged(batch.run_shape())?;
        let Ready { workspace, .. } = self.make(batch.run_shape(), lower)?;
        let staged = StagedWorkspace::new(&self.context, workspace, batch)?;
        let distrusts = self.planner.exchange == Exchange::Tested;
        Ok(GpuStaged { context: self.context.clone(), staged, distrusts })
    }

    /// # Errors
    /// [`Error::TooLarge`] where a batch of `run_shape` does not fit without being cut.
    fn check_staged(&self, run_shape: RunShape) -> Result<()> {
        let fits = |dims: Dims| self.planner.fits_staged(&self.model, RunShape { dims, ..run_shape });
        let Some(Cut { rows, steps }) = cut(run_shape.dims, fits)? else { return Ok(()) };
        match fits(run_shape.dims) {
            Err(Error::TooLarge { name, needed, limit, unit, device }) => {
                let name = format!("{name}, all at once in a staged batch, of which {rows} × {steps} fit");
                Err(Error::TooLarge { name, needed, limit, unit, device })
            }
            verdict => verdict,
        }
    }
}

impl StagedRun for GpuStaged {
    async fn run(&mut self, wait: Wait<'_>, progress: &Arc<Progress>) -> Result<RunSeconds> {
        let tally = Arc::new(Tally::new(progress.clone(), 1));
        let (seconds, incomplete) = self.staged.run(&self.context, wait, &tally).await?;
        let Some(Incomplete { chunk: Completion { layer, first, .. }, cause }) = incomplete else {
            return Ok(seconds);
        };
        if self.distrusts {
            self.context.trust(None);
        }
        let reason = format!(
            "the workgroups of a staged run did not complete it together, in layer {layer} from step {first} on ({cause}); \
             stage the batch on an engine with Exchange::Never"
        );
        Err(Error::Device { device: self.context.caps().device.clone(), reason })
    }

    async fn read(&self, output: &mut Output, wait: Wait<'_>) -> Result<()> {
        let submitted = self.staged.fetch(&self.context)?;
        let workspace = self.staged.workspace();
        // The completion counts have been checked after the run.
        let read = |data: &[u32]| _ = read_all(workspace, data, &mut output.borrow());
        workspace.read(&self.context, submitted, wait, read).await
    }

    fn bytes(&self) -> u64 {
        self.staged.workspace().program().working_bytes()
    }
}
