//! Ticks of streams: slots of states on the device, and the staging buffers for uploading frames and reading back outputs.
//!
//! A tick is one submission (unless it exceeds the limits of one): copies out of the upload buffer, the programs, copies into the
//! download buffer. A [`Staging`] is one of each; with two of them the read-back of a tick overlaps the computation of the next.
//! The upload buffer is mapped whenever it is idle, so that frames are written directly into it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::context::Context;
use super::execute::Way;
use super::readback::{Mapped, Mapping, map};
use super::workspace::{Constants, Workspace};
use crate::error::{Error, Result};
use crate::program::{BufferId, Program, Slots, pack_sequence};
use crate::progress::{Progress, SharedTally, Tally};
use crate::sync::Wait;

/// The states of streams, `[capacity, stride]`.
#[derive(Debug)]
pub struct StreamStates {
    pub(super) buffer: wgpu::Buffer,
    capacity: usize,
    stride: usize,
}

impl StreamStates {
    /// For `capacity` streams of `stride` numbers each, with unspecified contents.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] where they exceed a binding, [`crate::Error::DeviceMemory`] where memory runs out,
    /// [`crate::Error::Device`].
    pub fn new(context: &Context, capacity: usize, stride: usize) -> Result<Self> {
        let bytes = (capacity * stride * 4) as u64;
        context.caps().check_array(&format!("states of {capacity} streams"), bytes)?;
        let create = || {
            context.create.buffer(&wgpu::BufferDescriptor {
                label: Some("wgru.buffer.streams"),
                size: bytes,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_DST
                    | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        };
        let buffer = context.checked("states of streams", create)?;
        Ok(Self { buffer, capacity, stride })
    }

    /// The same states with room for more streams.
    ///
    /// # Errors
    /// Those of [`StreamStates::new`].
    pub fn grown(&self, context: &Context, capacity: usize) -> Result<Self> {
        let new = Self::new(context, capacity, self.stride)?;
        let copy = || {
            let mut encoder = encoder(context);
            encoder.copy_buffer_to_buffer(&self.buffer, 0, &new.buffer, 0, self.bytes());
            context.queue.submit([encoder.finish()]);
        };
        context.checked("states of streams", copy)?;
        Ok(new)
    }

    /// The array on the device.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    /// The number of streams that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.buffer.size()
    }

    /// Writes the states of all slots from the first on; later submissions use them.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where the device refuses them.
    pub fn write_all(&self, context: &Context, numbers: &[f32]) -> Result<()> {
        let write = || self.write(context, 0, numbers);
        context.checked("states of streams", write)
    }

    /// Writes the states of a stream; later submissions use them.
    pub fn write(&self, context: &Context, slot: usize, numbers: &[f32]) {
        let at = (slot * self.stride * 4) as u64;
        context.quietly(|| context.queue.write_buffer(&self.buffer, at, bytemuck::cast_slice(numbers)));
    }

    /// Bytes of the states of these ranges of slots.
    pub fn bytes_of(&self, slots: &[Range<usize>]) -> u64 {
        slots.iter().map(|slots| (slots.len() * self.stride * 4) as u64).sum()
    }

    /// Reads the states of each range of slots, as of after everything that was submitted, through `staging`.
    ///
    /// # Errors
    /// [`crate::Error::Device`].
    pub async fn read(
        &self,
        context: &Context,
        slots: &[Range<usize>],
        staging: Staging,
        wait: Wait<'_>,
        mut read: impl FnMut(Range<usize>, &[f32]),
    ) -> Result<Staging> {
        context.check_fault()?;
        let bytes = self.bytes_of(slots);
        let copy = || {
            let (mut encoder, mut to) = (encoder(context), 0);
            for run in slots {
                let [from, len] = [run.start, run.len()].map(|slots| (slots * self.stride * 4) as u64);
                encoder.copy_buffer_to_buffer(&self.buffer, from, &staging.download, to, len);
                to += len;
            }
            let submission = context.queue.submit([encoder.finish()]);
            (submission, map(&staging.download.slice(..bytes), wgpu::MapMode::Read))
        };
        let (submission, down) = context.checked("states of streams", copy)?;
        let mut in_flight =
            InFlight { staging, submission, mappings: [Some(down), None], bytes, _tally: None };
        in_flight.wait(context, wait).await?;
        in_flight.read(context, |words| {
            let mut states: &[f32] = bytemuck::cast_slice(words);
            for run in slots {
                let (own, rest) = states.split_at(run.len() * self.stride);
                read(run.clone(), own);
                states = rest;
            }
        })
    }
}

/// A program for streams, with the arrays that change from tick to tick.
#[derive(Debug)]
pub struct StreamProgram {
    workspace: Workspace,
    /// The slots of the rows' states.
    pub slots: Slots,
    /// Frames of each row, 0 for unused rows.
    pub lengths: Vec<u32>,
}

/// Rows that a program advances in a tick, those with the most frames first.
#[derive(Debug, Clone, Copy)]
pub struct TickBatch<'a> {
    /// Which program.
    pub program: usize,
    /// How many rows.
    pub rows: usize,
    /// `[rows, T, I]`, T being the program's.
    pub x: &'a [f32],
}

impl StreamProgram {
    /// Creates the workspace of `program`, whose rows' states are in `states`.
    ///
    /// # Errors
    /// Those of [`Workspace::new`].
    pub fn new(
        context: &Context,
        program: Program,
        constants: &Constants,
        states: &StreamStates,
        fill_nan: bool,
    ) -> Result<Self> {
        let batch = program.run_shape.dims.batch;
        let workspace = Workspace::with_streams(context, program, constants, Some(&states.buffer), fill_nan)?;
        Ok(Self { workspace, slots: Slots::new(batch), lengths: vec![0; batch] })
    }

    /// Its program.
    pub fn program(&self) -> &Program {
        &self.workspace.program
    }

    /// Bytes of `rows` rows of a batch-major array.
    fn row_bytes(&self, id: BufferId, rows: usize) -> u64 {
        let program = self.program();
        (program.buffers[id].words / program.run_shape.dims.batch * rows) as u64 * 4
    }

    /// Bytes to upload for `rows` rows.
    fn up(&self, rows: usize) -> u64 {
        let program = self.program();
        let whole = [Some(program.order), program.streams.map(|streams| streams.slots)];
        let whole: u64 = whole.into_iter().flatten().map(|id| program.buffers[id].bytes()).sum();
        whole + self.row_bytes(program.x, rows)
    }

    /// Bytes to read back for `rows` rows.
    fn down(&self, rows: usize) -> u64 {
        self.program().output_arrays().map(|id| self.row_bytes(id, rows)).sum()
    }

    /// Passes each array of an upload to `write`, with its buffer.
    fn write(&mut self, TickBatch { rows, x, .. }: TickBatch<'_>, mut write: impl FnMut(BufferId, &[u32])) {
        let Self { workspace, slots, lengths } = self;
        let Workspace { program, order, words, .. } = workspace;
        let steps = program.run_shape.dims.steps;
        order.set(Some(lengths), steps as u32);
        write(program.order, order.words());
        if let Some(streams) = program.streams {
            write(streams.slots, slots.words());
        }
        let storage = program.precision.activations;
        if storage.is_half() {
            pack_sequence(storage, x.len() / (rows * steps), x, words);
            write(program.x, words);
        } else {
            write(program.x, bytemuck::cast_slice(x));
        }
    }
}

/// Bytes of a tick to upload and to read back.
fn bytes(programs: &[StreamProgram], batches: &[TickBatch<'_>]) -> [u64; 2] {
    let of = |batch: &TickBatch<'_>| (&programs[batch.program], batch.rows);
    [
        batches.iter().map(of).map(|(program, rows)| program.up(rows)).sum(),
        batches.iter().map(of).map(|(program, rows)| program.down(rows)).sum(),
    ]
}

/// Staging buffers of one tick.
#[derive(Debug)]
pub struct Staging {
    /// Mapped while it is idle.
    upload: wgpu::Buffer,
    download: wgpu::Buffer,
}

impl Staging {
    /// With room for a tick; the sizes are powers of two, so that ticks that differ little share one.
    ///
    /// # Errors
    /// [`crate::Error::DeviceMemory`] where memory runs out, [`crate::Error::Device`].
    pub fn for_batches(
        context: &Context,
        programs: &[StreamProgram],
        batches: &[TickBatch<'_>],
    ) -> Result<Self> {
        let [up, down] = bytes(programs, batches);
        Self::new(context, up, down)
    }

    /// With room for `up` and `down` bytes, and for up to twice as many where the device has buffers of that size.
    ///
    /// # Errors
    /// [`crate::Error::DeviceMemory`] where memory runs out, [`crate::Error::Device`].
    pub fn new(context: &Context, up: u64, down: u64) -> Result<Self> {
        let make = |label: &str, bytes: u64, usage: wgpu::BufferUsages, mapped_at_creation: bool| {
            let most = context.caps().max_buffer_bytes.max(bytes);
            let size = bytes.next_power_of_two().min(most).next_multiple_of(8).max(8);
            context.create.buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation,
            })
        };
        let create = || {
            let (write, read) = (wgpu::BufferUsages::MAP_WRITE, wgpu::BufferUsages::MAP_READ);
            Self {
                upload: make("wgru.buffer.upload", up, write | wgpu::BufferUsages::COPY_SRC, true),
                download: make("wgru.buffer.download", down, read | wgpu::BufferUsages::COPY_DST, false),
            }
        };
        context.checked("staging of a tick", create)
    }

    /// Whether it has room for a tick.
    pub fn fits(&self, programs: &[StreamProgram], batches: &[TickBatch<'_>]) -> bool {
        let [up, down] = bytes(programs, batches);
        self.upload.size() >= up && self.download.size() >= down
    }

    /// Whether so many bytes can be read back through it.
    pub fn brings(&self, bytes: u64) -> bool {
        self.download.size() >= bytes
    }

    /// Bytes of both.
    pub fn bytes(&self) -> u64 {
        self.upload.size() + self.download.size()
    }

    /// Submits a tick, for which there is room. `fill` gives, for each batch by its number, the slots and the frame counts of its
    /// program's rows.
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] and [`crate::Error::DeviceMemory`] where the device refuses the work.
    pub fn submit(
        self,
        context: &Context,
        programs: &mut [StreamProgram],
        batches: &[TickBatch<'_>],
        fill: impl FnMut(usize, &mut StreamProgram),
        progress: &Arc<Progress>,
    ) -> Result<InFlight> {
        context.check_fault()?;
        let [_, bytes] = bytes(programs, batches);
        let tally = Arc::new(Tally::new(progress.clone(), batches.len()));
        let submit = || {
            let submission = self.submit_unchecked(context, programs, batches, fill, &tally);
            let down = map(&self.download.slice(..bytes), wgpu::MapMode::Read);
            (submission, [Some(down), Some(map(&self.upload.slice(..), wgpu::MapMode::Write))])
        };
        let (submission, mappings) = context.checked("tick", submit)?;
        context.check_fault()?;
        Ok(InFlight { staging: self, submission, mappings, bytes, _tally: Some(tally) })
    }

    fn submit_unchecked(
        &self,
        context: &Context,
        programs: &mut [StreamProgram],
        batches: &[TickBatch<'_>],
        mut fill: impl FnMut(usize, &mut StreamProgram),
        progress: &SharedTally,
    ) -> wgpu::SubmissionIndex {
        // The whole upload is written before anything is recorded: recording may submit, and a submission cannot use a mapped
        // buffer.
        let mut copies: Vec<(usize, BufferId, Range<usize>)> = Vec::new();
        let mut at = 0;
        // If the device could not map the buffer it was lost, which is reported elsewhere.
        if let Ok(mut view) = self.upload.get_mapped_range_mut(..) {
            for (index, &batch) in batches.iter().enumerate() {
                let program = &mut programs[batch.program];
                fill(index, program);
                program.write(batch, |id, words| {
                    let bytes: &[u8] = bytemuck::cast_slice(words);
                    view.slice(at..at + bytes.len()).copy_from_slice(bytes);
                    copies.push((index, id, at..at + bytes.len()));
                    at += bytes.len();
                });
            }
        }
        self.upload.unmap();
        // Before anything is recorded, since writes to a queue precede all of a submission.
        let used = |program: usize| batches.iter().any(|batch| batch.program == program);
        for (_, program) in programs.iter().enumerate().filter(|(index, _)| used(*index)) {
            program.workspace.fill_nan(context, 0);
        }
        let mut encoder = encoder(context);
        let (mut copies, mut to) = (copies.into_iter().peekable(), 0);
        for (index, batch) in batches.iter().enumerate() {
            let program = &programs[batch.program];
            let workspace = &program.workspace;
            progress.begin(program.program().dispatch_count());
            while let Some((_, id, from)) = copies.next_if(|(batch, ..)| *batch == index) {
                let (target, bytes) = (&workspace.buffers[id], from.len() as u64);
                encoder.copy_buffer_to_buffer(&self.upload, from.start as u64, target, 0, bytes);
            }
            encoder =
                workspace.record(context, encoder, None, 0, 0, Way { wait: Wait::Yield, tally: progress });
            for id in program.program().output_arrays() {
                let bytes = program.row_bytes(id, batch.rows);
                encoder.copy_buffer_to_buffer(&workspace.buffers[id], 0, &self.download, to, bytes);
                to += bytes;
            }
        }
        context.queue.submit([encoder.finish()])
    }
}

/// A submitted tick.
#[derive(Debug)]
pub struct InFlight {
    staging: Staging,
    submission: wgpu::SubmissionIndex,
    /// Of the download, and of the upload for the next tick if it was used.
    mappings: [Option<Mapping>; 2],
    bytes: u64,
    /// Its share of the engine's progress, which counts until this is dropped.
    _tally: Option<SharedTally>,
}

impl InFlight {
    /// Waits until the outputs can be read by [`InFlight::read`]. If the future is dropped, another call can wait again.
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] where the device reported an error.
    pub async fn wait(&mut self, context: &Context, wait: Wait<'_>) -> Result<()> {
        context.judged().await?;
        let Self { submission, mappings, .. } = self;
        for slot in mappings {
            let Some(mapping) = slot.clone() else { continue };
            let result = Mapped { context, mapping, submission: submission.clone(), wait }.await;
            *slot = None;
            context.check_fault()?;
            result.map_err(|reason| failed(context, &reason))?;
        }
        Ok(())
    }

    /// Passes the outputs to `read`: for each batch y of its rows, then their readout.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where they cannot be read. Then the staging buffers are lost too.
    pub fn read(self, context: &Context, read: impl FnOnce(&[u32])) -> Result<Staging> {
        let Self { staging, bytes, .. } = self;
        context.check_fault()?;
        let slice = staging.download.slice(..bytes);
        let view = slice.get_mapped_range().map_err(|error| failed(context, &error.to_string()))?;
        context.read_backs.fetch_add(1, Ordering::Relaxed);
        read(bytemuck::cast_slice(&view));
        drop(view);
        context.quietly(|| staging.download.unmap());
        Ok(staging)
    }
}

fn failed(context: &Context, reason: &str) -> Error {
    context.failed(&format!("read-back: {reason}"))
}

fn encoder(context: &Context) -> wgpu::CommandEncoder {
    let label = Some("wgru.encoder.streams");
    context.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label })
}
