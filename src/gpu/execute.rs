//! Recording and submitting a program, and moving arrays in and out of a workspace.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::context::Context;
use super::readback::{Submitted, TURN};
use super::timer::Timer;
use super::workspace::{Bound, BoundOp, Workspace};
use crate::dims::Dims;
use crate::error::Result;
use crate::io::RunShape;
use crate::program::{BufferId, Copy, Role, pack_sequence, tile};
use crate::progress::SharedTally;
use crate::sync::{Interrupt, Wait};

/// The most dispatches of one submission: drivers keep a record of each.
pub(super) const SUBMISSION: usize = 4096;
/// Operations after which a submission ends. An operating system may reset a GPU that is busy with one
/// submission for seconds: at a slow 0.2 TFLOP/s this is 0.1 s. A software driver has no such limit and
/// little overhead. There the bound is for progress, which is counted by submissions: about 0.3 s.
const SUBMISSION_FLOPS: u64 = 20_000_000_000;
const SUBMISSION_FLOPS_SOFTWARE: u64 = 1_000_000_000;

/// The same for a run that may be interrupted, on a software driver.
const SUBMISSION_SOFTWARE: usize = 64;

/// Operations of such a submission: some 50 ms at 2 GFLOP/s, as the driver ends all that it has begun.
const ASKED_FLOPS_SOFTWARE: u64 = 100_000_000;

/// Submissions of a run that may be interrupted which are in the queue at once: a GPU completes those.
const AHEAD: usize = 4;

/// How a run is waited for, and where it reports its progress.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    pub wait: Wait<'a>,
    pub tally: &'a SharedTally,
}

impl Context {
    /// Operations after which a submission ends.
    pub(super) fn submission_flops(&self) -> u64 {
        if self.info().software { SUBMISSION_FLOPS_SOFTWARE } else { SUBMISSION_FLOPS }
    }

    /// Waits until the device has completed `submission`; whether the run goes on. An error is left to the next check.
    fn comes_to(&self, submission: &wgpu::SubmissionIndex, interrupt: &Interrupt<'_>) -> bool {
        loop {
            if interrupt.poll() {
                return false;
            }
            let (submission_index, timeout) = (Some(submission.clone()), Some(TURN));
            match self.poll(wgpu::PollType::Wait { submission_index, timeout }) {
                Ok(false) => {}
                Ok(true) | Err(_) => return true,
            }
        }
    }
}

/// The arrays that a submission copies for the caller to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// y, then the readout; last, where chunks may fail, their completion counts.
    Outputs,
    /// The same, with every layer's final h and every layer's final c before the completion counts.
    All,
}

/// A part of a program to record.
pub(super) enum Part<'a> {
    /// A dispatch, with its step where it has one.
    Dispatch(&'a Bound, Option<u32>),
    /// Words of the exchange buffer to clear, outside of passes.
    Clear(&'a [Range<usize>; 2]),
    /// Copies, outside of passes.
    Copies(&'a [Copy]),
}

impl Workspace {
    /// Writes the steps of each sequence, `[B]`; T for all where `None`. Writes the states that a run in `phase` starts from, h
    /// `[L·D, B, P]` and c `[L·D, B, H]`; zeros where `None`.
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] and [`crate::Error::DeviceMemory`] where the device refuses the work.
    pub fn write_inputs(
        &mut self,
        context: &Context,
        lengths: Option<&[u32]>,
        phase: usize,
        [h, c]: [Option<&[f32]>; 2],
    ) -> Result<()> {
        let write = || {
            self.write_lengths(context, lengths);
            self.write_states(context, phase, h, c);
        };
        context.checked("inputs", write)
    }

    /// Writes the steps of each sequence, `[B]`; T for all where `None`. To be called before [`Workspace::write_states`], since
    /// they determine the order of the rows.
    pub(super) fn write_lengths(&mut self, context: &Context, lengths: Option<&[u32]>) {
        self.order.set(lengths, self.program.run_shape.dims.steps as u32);
        let buffer = &self.buffers[self.program.order];
        context.queue.write_buffer(buffer, 0, bytemuck::cast_slice(self.order.words()));
    }

    /// Writes the states that a run in `phase` starts from, h `[L·D, B, P]` and c `[L·D, B, H]`; zeros where `None`.
    pub fn write_states(&mut self, context: &Context, phase: usize, h: Option<&[f32]>, c: Option<&[f32]>) {
        let Self { program, buffers, tiled, order, .. } = self;
        let layers = program.states.len();
        for (index, id) in program.state_arrays(phase).enumerate() {
            let all = if index < layers { h } else { c };
            let array = &mut tiled[..program.buffers[id].words];
            let len = array.len() / program.dirs;
            for (dir, tiled) in array.chunks_exact_mut(len).enumerate() {
                let state = index % layers * program.dirs + dir;
                match all {
                    Some(all) => {
                        let len = all.len() / (layers * program.dirs);
                        tile(program.rows, order.rows(), &all[state * len..][..len], tiled);
                    }
                    None => tiled.fill(0.0),
                }
            }
            context.queue.write_buffer(&buffers[id], 0, bytemuck::cast_slice(array));
        }
    }

    /// Packs x, whose numbers are in range, for the device's storage type; to be called before
    /// [`Workspace::submit`].
    pub fn pack_x(&mut self, x: &[f32]) {
        let RunShape { dims: Dims { batch, steps }, .. } = self.program.run_shape;
        let storage = self.program.precision.activations;
        if storage.is_half() {
            pack_sequence(storage, x.len() / (batch * steps), x, &mut self.words);
        }
    }

    /// Writes the resets, in the caller's order.
    pub(super) fn write_resets(&self, context: &Context, resets: &[u32]) {
        if let Some(id) = self.program.resets {
            context.queue.write_buffer(&self.buffers[id], 0, bytemuck::cast_slice(resets));
        }
    }

    /// Writes x, after [`Workspace::pack_x`].
    pub(super) fn write_x(&self, context: &Context, x: &[f32]) {
        let half = self.program.precision.activations.is_half();
        let bytes = if half { bytemuck::cast_slice(&self.words) } else { bytemuck::cast_slice(x) };
        context.queue.write_buffer(&self.buffers[self.program.x], 0, bytes);
    }

    /// Fills every scratch and output array, and the h buffers that are not read first, with NaN. Does
    /// nothing unless the workspace was made with `fill_nan`.
    pub(super) fn fill_nan(&self, context: &Context, phase: usize) {
        let Some(fill_nan) = &self.fill_nan else { return };
        let unread = self.program.states_unread(phase);
        let written = self.program.buffers.iter().enumerate();
        let written = written.filter(|(_, b)| matches!(b.role, Role::Scratch | Role::Output));
        for id in unread.chain(written.map(|(id, _)| id)) {
            let bytes = self.program.buffers[id].words * 4;
            context.queue.write_buffer(&self.buffers[id], 0, &fill_nan[..bytes]);
        }
    }

    /// Writes `x` and the resets, after [`Workspace::prepare_resets`] if there are any. Submits the program, or without resets
    /// the part that is then needed, on the states of `phase` (0 or 1). Then copies the arrays of `fetch` for
    /// [`Workspace::read`].
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] and [`crate::Error::DeviceMemory`] where the device refuses the work.
    pub fn submit(
        &self,
        context: &Context,
        (x, resets): (&[f32], Option<&[u32]>),
        phase: usize,
        fetch: Fetch,
        way: Way<'_>,
    ) -> Result<Submitted> {
        context.check_fault()?;
        let submit = || {
            self.write_x(context, x);
            let from_op = match resets {
                Some(resets) => {
                    self.write_resets(context, resets);
                    0
                }
                None => self.program.only_with_resets,
            };
            self.submit_unchecked(context, phase, from_op, fetch, way)
        };
        let submitted = context.checked("run", submit)?;
        context.check_fault()?;
        Ok(submitted)
    }

    fn submit_unchecked(
        &self,
        context: &Context,
        phase: usize,
        from_op: usize,
        fetch: Fetch,
        way: Way<'_>,
    ) -> Submitted {
        self.fill_nan(context, phase);
        way.tally.begin(self.program.dispatches_from(from_op));
        let encoder = self.encoder(context);
        let encoder = self.record(context, encoder, None, phase, from_op, way);
        self.finish(context, encoder, phase, fetch)
    }

    /// Copies the arrays of `fetch` of a run that began in `phase`, and submits.
    pub(super) fn finish(
        &self,
        context: &Context,
        mut encoder: wgpu::CommandEncoder,
        phase: usize,
        fetch: Fetch,
    ) -> Submitted {
        let to = self.staging.buffer(&context.create);
        let mut bytes = self.copy(&mut encoder, &to, 0, self.program.output_arrays());
        if fetch == Fetch::All {
            bytes = self.copy(&mut encoder, &to, bytes, self.program.state_arrays_after(phase));
        }
        bytes += self.copy_completions(&mut encoder, &to, bytes);
        Submitted { index: context.queue.submit([encoder.finish()]), bytes }
    }

    /// Copies the completion counts of the chunks to the byte `at` of `to`; returns the number of bytes.
    pub(super) fn copy_completions(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        to: &wgpu::Buffer,
        at: u64,
    ) -> u64 {
        let bytes = self.program.completion_words() as u64 * 4;
        if let Some(exchange_buffer) = self.program.exchange_buffer {
            encoder.copy_buffer_to_buffer(&self.buffers[exchange_buffer], 0, to, at, bytes);
        }
        bytes
    }

    /// Copies the arrays of `fetch` of a run that has begun in `phase`, for [`Workspace::read`].
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] and [`crate::Error::DeviceMemory`] where the device refuses the work.
    pub(super) fn fetch(&self, context: &Context, phase: usize, fetch: Fetch) -> Result<Submitted> {
        context.check_fault()?;
        let finish = || self.finish(context, self.encoder(context), phase, fetch);
        context.checked("outputs", finish)
    }

    /// Copies the states of `phase` for [`Workspace::read`] without running anything.
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] and [`crate::Error::DeviceMemory`] where the device refuses the work.
    pub fn fetch_states(&self, context: &Context, phase: usize) -> Result<Submitted> {
        context.check_fault()?;
        let fetch = || {
            let mut encoder = self.encoder(context);
            let to = self.staging.buffer(&context.create);
            let bytes = self.copy(&mut encoder, &to, 0, self.program.state_arrays(phase));
            Submitted { index: context.queue.submit([encoder.finish()]), bytes }
        };
        context.checked("states", fetch)
    }

    /// Submits copies of the states of phase 1 to phase 0.
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] and [`crate::Error::DeviceMemory`] where the device refuses the work.
    pub fn settle(&self, context: &Context) -> Result<()> {
        context.check_fault()?;
        let copy = || {
            let mut encoder = self.encoder(context);
            let states = self.program.states.iter().flat_map(|state| [Some(state.h), state.c]).flatten();
            for [to, from] in states.filter(|[to, from]| to != from) {
                let bytes = self.program.buffers[to].bytes();
                encoder.copy_buffer_to_buffer(&self.buffers[from], 0, &self.buffers[to], 0, bytes);
            }
            context.queue.submit([encoder.finish()]);
        };
        context.checked("states", copy)
    }

    /// Records copies of `arrays` to the staging buffer `to`, one after the other from `offset` on; returns where they
    /// end.
    fn copy(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        to: &wgpu::Buffer,
        mut offset: u64,
        arrays: impl Iterator<Item = BufferId>,
    ) -> u64 {
        for id in arrays {
            let bytes = self.program.buffers[id].bytes();
            encoder.copy_buffer_to_buffer(&self.buffers[id], 0, to, offset, bytes);
            offset += bytes;
        }
        offset
    }

    /// Waits for `submitted` and passes its copies to `read`, one after the other in one slice.
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] where the device reported an error.
    pub async fn read(
        &self,
        context: &Context,
        submitted: Submitted,
        wait: Wait<'_>,
        read: impl FnOnce(&[u32]),
    ) -> Result<()> {
        self.staging.read(context, submitted, wait, read).await
    }

    /// Records every dispatch of the operations from `from_op` on, into `encoder` first, and submits whenever a submission is
    /// full; returns the encoder of the last. `timer` gets the beginning of the first pass and the end of the last. A run that is
    /// interrupted meanwhile is left as it is.
    pub(super) fn record(
        &self,
        context: &Context,
        mut encoder: wgpu::CommandEncoder,
        timer: Option<&Timer>,
        phase: usize,
        from_op: usize,
        Way { wait, tally }: Way<'_>,
    ) -> wgpu::CommandEncoder {
        let mut queued = VecDeque::new();
        let is_asked = wait.interrupt().is_some() && context.info().software;
        let (budget, most) = match is_asked {
            true => (ASKED_FLOPS_SOFTWARE, SUBMISSION_SOFTWARE),
            false => (context.submission_flops(), SUBMISSION),
        };
        let mut rest = parts(&self.ops[from_op..], phase).peekable();
        let (mut recorded, mut flops, mut first) = (0, 0, true);
        loop {
            while let Some(part) = rest.next_if(|part| !matches!(part, Part::Dispatch(..))) {
                self.record_between(&mut encoder, &part);
            }
            let is_last = rest.peek().is_none();
            if is_last || recorded >= most || flops >= budget {
                // Progress is not reported to a run that has ended or was discarded.
                let (progress, ended) = (Arc::downgrade(tally), recorded as u64);
                encoder.on_submitted_work_done(move || {
                    if let Some(progress) = progress.upgrade() {
                        progress.end(ended);
                    }
                });
                if is_last {
                    return encoder;
                }
                queued.push_back(context.queue.submit([encoder.finish()]));
                encoder = self.encoder(context);
                (recorded, flops) = (0, 0);
                if let Some(interrupt) = wait.interrupt() {
                    let first = if queued.len() > AHEAD { queued.pop_front() } else { None };
                    // Software drivers compute inside of the submission.
                    if interrupt.poll() || first.is_some_and(|first| !context.comes_to(&first, interrupt)) {
                        return encoder;
                    }
                }
            }
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some("wgru.pass"),
                timestamp_writes: timer.map(|timer| timer.writes(first)),
            });
            first = false;
            while recorded < most && flops < budget {
                let next = rest.next_if(|part| matches!(part, Part::Dispatch(..)));
                let Some(Part::Dispatch(bound, index)) = next else { break };
                bound.dispatch(&mut pass, index.map(|t| t * self.tables.stride));
                recorded += 1;
                flops += bound.flops;
            }
        }
    }

    /// Records the work between passes.
    fn record_between(&self, encoder: &mut wgpu::CommandEncoder, part: &Part<'_>) {
        match (part, self.program.exchange_buffer) {
            (Part::Clear(ranges), Some(exchange_buffer)) => {
                for words in ranges.iter().filter(|words| !words.is_empty()) {
                    let (from, bytes) = (words.start as u64 * 4, words.len() as u64 * 4);
                    encoder.clear_buffer(&self.buffers[exchange_buffer], from, Some(bytes));
                }
            }
            (Part::Copies(copies), _) => self.copy_within(encoder, copies),
            (Part::Clear(_), None) | (Part::Dispatch(..), _) => {}
        }
    }

    pub(super) fn encoder(&self, context: &Context) -> wgpu::CommandEncoder {
        let label = Some("wgru.encoder");
        context.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label })
    }
}

/// Every part of `ops`, in order, of a run that begins in `phase`.
pub(super) fn parts(ops: &[BoundOp], phase: usize) -> impl Iterator<Item = Part<'_>> {
    ops.iter().flat_map(move |op| {
        let (mut one, mut rounds, mut steps) = (None, None, None);
        match op {
            BoundOp::Once(bound) => one = Some(Part::Dispatch(bound, None)),
            BoundOp::Copies(copies) => one = Some(Part::Copies(copies)),
            BoundOp::Later => {}
            BoundOp::Exchange(bound, all) => {
                let round = move |clear| [Part::Clear(clear), Part::Dispatch(bound, None)];
                rounds = Some(all.iter().flat_map(round));
            }
            BoundOp::Steps { first, count, phases } => {
                let step = move |t: u32| {
                    let bounds = &phases[(first + t as usize + phase) % 2];
                    bounds.iter().map(move |bound| Part::Dispatch(bound, Some(t)))
                };
                steps = Some((0..*count).flat_map(step));
            }
        }
        one.into_iter().chain(rounds.into_iter().flatten()).chain(steps.into_iter().flatten())
    })
}

impl Bound {
    /// Records it, with the offset of its step in the table of indices if it has one.
    pub(super) fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, index: Option<u32>) {
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.bindings, index.as_slice());
        let [x, y, z] = self.grid;
        pass.dispatch_workgroups(x, y, z);
    }
}
