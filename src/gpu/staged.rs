//! A batch that stays on the device: run from its initial states any number of times, without copies from or to the host.

use std::time::Instant;

use super::context::Context;
use super::execute::{Fetch, Way};
use super::readback::Submitted;
use super::timer::{self, Timer};
use super::workspace::Workspace;
use crate::error::Result;
use crate::info::RunSeconds;
use crate::io::Batch;
use crate::program::{BufferId, Incomplete};
use crate::progress::SharedTally;
use crate::sync::Wait;

/// A workspace with a batch in it.
#[derive(Debug)]
pub struct StagedWorkspace {
    workspace: Workspace,
    /// Each array of initial states with a copy of it.
    initial: Vec<(BufferId, wgpu::Buffer)>,
    timer: Option<Timer>,
}

impl StagedWorkspace {
    /// Writes `batch` to the device.
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] and [`crate::Error::DeviceMemory`] where the device refuses the work.
    pub fn new(context: &Context, mut workspace: Workspace, batch: &Batch<'_>) -> Result<Self> {
        context.check_fault()?;
        workspace.pack_x(batch.x());
        let write = || {
            let [h0, c0] = batch.states();
            workspace.write_lengths(context, batch.lengths_of());
            workspace.write_states(context, 0, h0, c0);
            workspace.write_x(context, batch.x());
            batch.resets_of().iter().for_each(|resets| workspace.write_resets(context, resets.words()));
            let mut encoder = workspace.encoder(context);
            let initial = workspace.program.state_arrays(0).map(|id| {
                let bytes = workspace.program.buffers[id].bytes();
                let copy = context.create.buffer(&wgpu::BufferDescriptor {
                    label: Some("wgru.buffer.initial"),
                    size: bytes,
                    usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                encoder.copy_buffer_to_buffer(&workspace.buffers[id], 0, &copy, 0, bytes);
                (id, copy)
            });
            let initial = initial.collect();
            context.queue.submit([encoder.finish()]);
            (initial, Timer::new(context))
        };
        let (initial, timer) = context.checked("staging a batch", write)?;
        Ok(Self { workspace, initial, timer })
    }

    /// The workspace.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Runs the batch and waits until it is done; returns the first incomplete chunk of a multi-workgroup kernel, if there is
    /// one.
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] and [`crate::Error::DeviceMemory`] where the device refuses the work.
    pub async fn run(
        &self,
        context: &Context,
        wait: Wait<'_>,
        progress: &SharedTally,
    ) -> Result<(RunSeconds, Option<Incomplete>)> {
        context.check_fault()?;
        let way = Way { wait, tally: progress };
        let Self { workspace, initial, timer } = self;
        let submit = || {
            workspace.fill_nan(context, 0);
            progress.begin(workspace.program.dispatch_count());
            let start = now();
            let mut encoder = workspace.encoder(context);
            for (id, copy) in initial {
                encoder.copy_buffer_to_buffer(copy, 0, &workspace.buffers[*id], 0, copy.size());
            }
            let mut encoder = workspace.record(context, encoder, timer.as_ref(), 0, 0, way);
            let staging = &workspace.staging.buffer(&context.create);
            let mut bytes = match timer {
                Some(timer) => {
                    timer.fetch(&mut encoder, staging);
                    timer::BYTES
                }
                // One word of y, so that there is a copy to wait for.
                None => {
                    let y = &workspace.buffers[workspace.program.y];
                    encoder.copy_buffer_to_buffer(y, 0, staging, 0, 4);
                    4
                }
            };
            bytes += workspace.copy_completions(&mut encoder, staging, bytes);
            let index = context.queue.submit([encoder.finish()]);
            (Submitted { index, bytes }, start.map(|start| start.elapsed().as_secs_f64()))
        };
        let (submitted, recording) = context.checked("run", submit)?;
        context.check_fault()?;
        let (mut device, mut incomplete) = (None, None);
        let read = |data: &[u32]| {
            let (times, completions) = data.split_at(data.len() - workspace.program.completion_words());
            device = timer.as_ref().and_then(|timer| timer.seconds(times));
            incomplete = workspace.program.incomplete(completions);
        };
        workspace.read(context, submitted, wait, read).await?;
        Ok((RunSeconds { device, recording }, incomplete))
    }

    /// Copies outputs and final states of the last run for [`Workspace::read`].
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] and [`crate::Error::DeviceMemory`] where the device refuses the work.
    pub fn fetch(&self, context: &Context) -> Result<Submitted> {
        self.workspace.fetch(context, 0, Fetch::All)
    }
}

/// The host's clock; `None` in a browser, where std's would panic.
fn now() -> Option<Instant> {
    (!cfg!(target_arch = "wasm32")).then(Instant::now)
}
