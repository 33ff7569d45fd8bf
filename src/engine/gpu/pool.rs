//! A pool on a GPU: states in slots, and programs for batches of powers of two that gather them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::pieces::cut;
use super::planner::with_copies;
use super::recordable::Recordables;
use super::{GpuEngine, Planner};
use crate::dims::{Dims, product};
use crate::engine::backend::{Batches, Begun, Group, TickRows, Ticks, UNDER_WAY};
use crate::error::Result;
use crate::gpu::{InFlight, Recordable, Staging, StreamProgram, StreamStates, Submittable, TickBatch};
use crate::program::{lower_recorded_streams, lower_streams, slot_words, unpack_sequence};
use crate::progress::Progress;
use crate::sync::Wait;

/// The most programs that are kept, and the most bytes of their arrays, not counting those in use.
const KEPT: usize = 64;
const KEPT_BYTES: u64 = 1 << 30;

#[derive(Debug)]
pub(in crate::engine) struct GpuPool {
    engine: Arc<GpuEngine>,
    states: StreamStates,
    /// The most recently used at the end.
    programs: Vec<StreamProgram>,
    /// The most rows of a batch of 1, 2, 4 … steps.
    most_rows: Vec<usize>,
    /// The most steps of a batch of one row, at most the option's value.
    frames: usize,
    /// Programs of ticks on the caller's buffers.
    recordables: Recordables,
    /// Idle staging buffers.
    staging: Vec<Staging>,
    /// Submitted ticks, the oldest first.
    in_flight: VecDeque<InFlight>,
    /// P and O.
    widths: [usize; 2],
    broken: bool,
}

/// The most rows of a batch of 1, 2, 4 … steps up to `frames`, for `capacity` streams.
fn most_rows(gpu: &GpuEngine, capacity: usize, frames: usize) -> Result<Vec<usize>> {
    let rows = |steps: usize| {
        let dims = Dims::new(capacity.next_power_of_two(), steps)?;
        let cut = cut(dims, |dims| gpu.planner.fits(&gpu.model, dims.into()))?;
        Ok(cut.map_or(dims.batch, |cut| cut.rows))
    };
    powers(frames).map(rows).collect()
}

/// 1, 2, 4 … up to `most`, which is always the last.
fn powers(most: usize) -> impl DoubleEndedIterator<Item = usize> {
    (0..=most.next_power_of_two().ilog2()).map(move |power| (1 << power).min(most))
}

impl GpuEngine {
    /// # Errors
    /// [`Error::TooLarge`] where the states of so many streams exceed the device or the memory limit of a run.
    fn check_streams(&self, streams: usize) -> Result<()> {
        let what = format!("states of {streams} streams");
        let bytes = product(&what, &[streams, slot_words(&self.model), 4])? as u64;
        let Planner { caps, memory, .. } = &self.planner;
        caps.check_array(&what, bytes)?;
        caps.check(&what, bytes, *memory, "bytes of memory")
    }

    /// A program for streams whose states are in `states`.
    fn streams(&self, dims: Dims, states: &StreamStates) -> Result<StreamProgram> {
        let program = lower_streams(&self.model, &self.recorded_plan(dims.into())?, states.capacity())?;
        StreamProgram::new(&self.context, program, &self.constants, states, self.options.fill_nan)
    }
}

impl GpuPool {
    pub(super) fn new(engine: Arc<GpuEngine>, capacity: usize, frames: usize) -> Result<Self> {
        let model = &engine.model;
        engine.check_streams(capacity)?;
        let states = StreamStates::new(&engine.context, capacity, slot_words(model))?;
        let one = Dims::new(1, frames)?;
        let cut = cut(one, |dims| engine.planner.fits(model, dims.into()))?;
        let frames = cut.map_or(frames, |cut| cut.steps);
        let most_rows = most_rows(&engine, capacity, frames)?;
        let widths = [model.output(), model.readout().map_or(0, |readout| readout.outputs())];
        let (programs, recordables, staging, in_flight) = Default::default();
        let broken = false;
        Ok(Self {
            engine,
            states,
            programs,
            most_rows,
            frames,
            recordables,
            staging,
            in_flight,
            widths,
            broken,
        })
    }

    /// The program of recorded ticks of `dims`.
    pub(in crate::engine) fn recordable(&self, dims: Dims) -> Result<Arc<Recordable>> {
        if let Some(found) = self.recordables.shared(dims.into()) {
            return Ok(found);
        }
        let new = self.new_recordable(dims)?;
        self.recordables.share(new.clone());
        Ok(new)
    }

    /// The program of a tick of `dims` that submits itself; [`GpuPool::end_bound`] takes it back.
    pub(in crate::engine) fn begin_bound(&self, dims: Dims) -> Result<Submittable> {
        match self.recordables.take(dims.into()) {
            Some(taken) => Ok(taken),
            None => Ok(self.new_recordable(dims)?.into()),
        }
    }

    pub(in crate::engine) fn end_bound(&self, idle: Submittable) {
        self.recordables.give_back(idle);
    }

    fn new_recordable(&self, dims: Dims) -> Result<Arc<Recordable>> {
        let Self { engine, states, .. } = self;
        let plan = engine.recorded_plan(dims.into())?;
        let program = lower_recorded_streams(&engine.model, &plan, states.capacity())?;
        let slots = program.streams.map(|streams| (streams.states, states.buffer().clone()));
        engine.made(program, slots.as_slice())
    }

    /// The states of all streams.
    pub(in crate::engine) fn states(&self) -> &StreamStates {
        &self.states
    }

    fn input(&self) -> usize {
        self.engine.model.input()
    }

    /// Keeps staging buffers for the next tick: as many as may be in use at once, and one more to read states.
    fn keep(&mut self, staging: Staging) {
        const MOST: usize = 3;
        if self.staging.len() == MOST {
            let bytes = |index: &usize| self.staging[*index].bytes();
            let least = (0..self.staging.len()).min_by_key(bytes).unwrap_or(0);
            self.staging.swap_remove(least);
        }
        self.staging.push(staging);
    }

    /// The groups of a tick of `streams` rows of `steps` steps each.
    fn whole(&self, streams: usize, steps: usize) -> Vec<Group> {
        let most = self.most_rows(steps);
        let firsts = (0..streams).step_by(most);
        firsts.map(|first| Group { rows: first..streams.min(first + most), steps }).collect()
    }

    /// The index of the program for batches of `dims`, which is created if needed.
    fn program(&mut self, dims: Dims) -> Result<usize> {
        let found = self.programs.iter().position(|program| program.program().run_shape.dims == dims);
        let program = match found {
            Some(index) => self.programs.remove(index),
            None => self.engine.streams(dims, &self.states)?,
        };
        self.programs.push(program);
        Ok(self.programs.len() - 1)
    }

    /// Ensures that there is a program for every batch.
    fn programs_of(&mut self, all: &[Dims]) -> Result<()> {
        for &dims in all {
            self.program(dims)?;
        }
        Ok(())
    }

    /// Frees the least recently used programs, where there are many, but not the last `used`.
    fn evict(&mut self, used: usize) {
        let bytes =
            |programs: &[StreamProgram]| programs.iter().map(|p| p.program().working_bytes()).sum::<u64>();
        while self.programs.len() > used && (self.programs.len() > KEPT || bytes(&self.programs) > KEPT_BYTES)
        {
            self.programs.remove(0);
        }
    }
}

impl Batches for GpuPool {
    fn steps(&self, frames: usize, most: usize) -> usize {
        frames.next_power_of_two().min(most)
    }

    fn most_rows(&self, steps: usize) -> usize {
        let power = steps.next_power_of_two().ilog2() as usize;
        self.most_rows.get(power).copied().unwrap_or(1)
    }
}

impl Ticks for GpuPool {
    fn frames(&self, _: usize) -> usize {
        self.frames
    }

    fn fitting(&self, groups: &[Group]) -> usize {
        let (most, [p, o]) = (self.engine.context.caps().max_buffer_bytes, self.widths);
        let mut all = [0u64; 2];
        let fits = |group: &&Group| {
            let frames = (group.rows.len() * group.steps) as u64;
            let rows = group.rows.len().next_power_of_two() as u64;
            // In addition to x: lengths, places and slots, six words a row with some padding.
            let more = [frames * (self.input() as u64 + 1) + 16 * rows, frames * (p + o + 1) as u64];
            all = [all[0] + 4 * more[0], all[1] + 4 * more[1]];
            all.iter().all(|bytes| *bytes <= most)
        };
        groups.iter().take_while(fits).count().max(1)
    }

    fn expected(&self, streams: usize, frames: usize) -> Result<Duration> {
        let steps = frames.next_power_of_two().min(self.frames);
        let most = self.most_rows(steps);
        let of = |rows: usize| {
            let batch = rows.next_power_of_two().min(most);
            with_copies(&self.engine.recorded_plan(Dims { batch, steps }.into())?, &self.engine.model)
        };
        let whole =
            of(most.min(streams))?.saturating_mul(u32::try_from(streams / most).unwrap_or(u32::MAX).max(1));
        let ticks = u32::try_from(frames.div_ceil(self.frames)).unwrap_or(u32::MAX);
        let rest = if streams > most && !streams.is_multiple_of(most) {
            of(streams % most)?
        } else {
            Duration::ZERO
        };
        Ok((whole + rest).saturating_mul(ticks))
    }

    fn grow(&mut self, capacity: usize) -> Result<()> {
        self.engine.check_streams(capacity)?;
        let most_rows = most_rows(&self.engine, capacity, self.frames)?;
        self.states = self.states.grown(&self.engine.context, capacity)?;
        self.most_rows = most_rows;
        // They bind the states of before.
        self.programs.clear();
        self.recordables.clear();
        Ok(())
    }

    fn write_all(&mut self, states: &[f32]) -> Result<()> {
        self.states.write_all(&self.engine.context, states)
    }

    fn write(&mut self, slot: usize, states: &[f32]) {
        self.states.write(&self.engine.context, slot, states);
    }

    async fn read(
        &mut self,
        slots: &[Range<usize>],
        wait: Wait<'_>,
        read: impl FnMut(Range<usize>, &[f32]),
    ) -> Result<()> {
        let bytes = self.states.bytes_of(slots);
        let idle = self.staging.iter().position(|staging| staging.brings(bytes));
        let staging = match idle {
            Some(index) => self.staging.swap_remove(index),
            None => Staging::new(&self.engine.context, 0, bytes)?,
        };
        let staging = self.states.read(&self.engine.context, slots, staging, wait, read).await?;
        self.keep(staging);
        Ok(())
    }

    fn prepare(&mut self, streams: usize, frames: usize) -> Result<()> {
        let frames = frames.min(self.frames);
        for steps in powers(frames).rev() {
            let most = self.most_rows(steps);
            for rows in powers(streams.next_power_of_two().min(most)) {
                self.program(Dims { batch: rows, steps })?;
                self.evict(1);
            }
        }
        // Staging buffers for a tick of all of them, one set for each tick that may be in flight.
        let groups = self.whole(streams, frames);
        let (most, [p, o]) = (self.engine.context.caps().max_buffer_bytes, self.widths);
        let rows = groups[..self.fitting(&groups)].iter().map(|group| group.rows.len()).sum::<usize>();
        let bytes =
            |features: usize, more: usize| ((rows * (frames * (features + 1) + more) * 4) as u64).min(most);
        for _ in 0..UNDER_WAY {
            let staging = Staging::new(&self.engine.context, bytes(self.input(), 32), bytes(p + o, 0))?;
            self.keep(staging);
        }
        Ok(())
    }

    fn begin(
        &mut self,
        groups: &[Group],
        rows: impl TickRows,
        x: &[f32],
        _: [&mut [f32]; 2],
        progress: &Arc<Progress>,
    ) -> Result<Begun> {
        let input = self.input();
        let dims = |group: &Group| Dims {
            batch: group.rows.len().next_power_of_two().min(self.most_rows(group.steps)),
            steps: group.steps,
        };
        let dims: Vec<Dims> = groups.iter().map(dims).collect();
        if let Err(error) = self.programs_of(&dims) {
            // A lost device has lost the states.
            self.broken = self.engine.context.is_lost();
            if self.broken || !error.is_of_device() {
                return Err(error);
            }
            // Memory kept for other ticks may be what the device lacks.
            log::debug!(target: "wgru::pool", "memory that was kept for other ticks is freed: {error}");
            self.programs.clear();
            self.recordables.clear();
            self.staging.clear();
            self.programs_of(&dims)?;
        }
        self.evict(groups.len());
        let (mut batches, mut at) = (Vec::with_capacity(groups.len()), 0);
        for (group, dims) in groups.iter().zip(dims) {
            let numbers = group.rows.len() * group.steps * input;
            let program = self.programs.iter().position(|program| program.program().run_shape.dims == dims);
            batches.push(TickBatch {
                program: program.unwrap_or_default(),
                rows: group.rows.len(),
                x: &x[at..at + numbers],
            });
            at += numbers;
        }
        let idle = self.staging.iter().position(|staging| staging.fits(&self.programs, &batches));
        let staging = match idle {
            Some(index) => self.staging.swap_remove(index),
            None => Staging::for_batches(&self.engine.context, &self.programs, &batches)?,
        };
        let fill = |batch: usize, program: &mut StreamProgram| {
            program.slots.set(rows.slots(&groups[batch]));
            let frames = rows.frames(&groups[batch]).chain(std::iter::repeat(0));
            program.lengths.iter_mut().zip(frames).for_each(|(to, frames)| *to = frames);
        };
        // Also if this future is dropped: then it is unknown whether the tick ran.
        self.broken = true;
        let ticket = staging.submit(&self.engine.context, &mut self.programs, &batches, fill, progress)?;
        self.broken = false;
        self.in_flight.push_back(ticket);
        Ok(Begun { groups: groups.len(), landed: false })
    }

    async fn finish(
        &mut self,
        parts: &[[usize; 2]],
        [y, out]: [&mut [f32]; 2],
        wait: Wait<'_>,
    ) -> Result<()> {
        let Some(in_flight) = self.in_flight.front_mut() else { return Ok(()) };
        let waited = in_flight.wait(&self.engine.context, wait).await;
        self.broken |= waited.is_err();
        waited?;
        let Some(in_flight) = self.in_flight.pop_front() else { return Ok(()) };
        let (storage, [features, outputs]) = (self.engine.precision().activations, self.widths);
        let read = |mut words: &[u32]| {
            let mut take = |count: usize| {
                let (head, tail) = words.split_at(count);
                words = tail;
                head
            };
            let mut at = 0;
            for &[rows, steps] in parts.iter() {
                let frames = rows * steps;
                let y = &mut y[at * features..][..frames * features];
                let own = take(frames * storage.words(storage.padded(features)));
                if storage.is_half() {
                    unpack_sequence(storage, features, own, y);
                } else {
                    y.copy_from_slice(bytemuck::cast_slice(own));
                }
                let out = &mut out[at * outputs..][..frames * outputs];
                out.copy_from_slice(bytemuck::cast_slice(take(frames * outputs)));
                at += frames;
            }
        };
        let staging = in_flight.read(&self.engine.context, read);
        self.broken |= staging.is_err();
        self.keep(staging?);
        Ok(())
    }

    fn give_up(&mut self) {
        self.in_flight.clear();
    }

    fn is_broken(&self) -> bool {
        self.broken
    }

    fn bytes(&self) -> u64 {
        let programs = self.programs.iter().map(|program| program.program().working_bytes());
        let staging = self.staging.iter().map(Staging::bytes);
        self.states.bytes() + self.recordables.bytes() + programs.chain(staging).sum::<u64>()
    }
}
