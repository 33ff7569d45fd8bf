//! A pool on a GPU: states in slots, and programs for batches of powers of two that take them from there.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::batches::Group;
use super::table::Rows;
use crate::dims::{Dims, product};
use crate::dtype::Precision;
use crate::engine::choice::with_copies;
use crate::engine::gpu::{GpuEngine, Planner};
use crate::engine::pieces::cut;
use crate::engine::run::{Backend, Engine};
use crate::error::{Error, Result};
use crate::gpu::{Context, Freight, Load, StreamProgram, StreamStates, UnderWay};
use crate::model::Model;
use crate::plan::{self, Caps, Plan};
use crate::program::{lower_streams, slot_words, unpack_sequence};
use crate::sync::Wait;

/// Programs that are kept, and the bytes of their arrays but for the ones in use.
const KEPT: usize = 64;
const KEPT_BYTES: u64 = 1 << 30;

/// A tick that was submitted.
pub(super) type Ticket = UnderWay;

#[derive(Debug)]
pub(super) struct GpuPool {
    context: Arc<Context>,
    states: StreamStates,
    /// The one used last at the end.
    programs: Vec<StreamProgram>,
    /// Rows of a batch of 1, 2, 4 … steps at the most.
    most_rows: Vec<usize>,
    /// Steps of a batch of one row at the most, or as many as were asked for.
    frames: usize,
    /// I.
    input: usize,
    /// Staging buffers that idle.
    freights: Vec<Freight>,
    precision: Precision,
    /// P and O.
    widths: [usize; 2],
    broken: bool,
}

/// The engine's GPU side.
fn gpu(engine: &Engine) -> Result<&GpuEngine> {
    match &engine.0.backend {
        Backend::Gpu(gpu) => Ok(gpu),
        Backend::Cpu(_) | Backend::Reference => {
            Err(Error::Mismatch { name: "a pool on a GPU".into(), reason: "its engine is on none".into() })
        }
    }
}

/// Rows of a batch of 1, 2, 4 … steps up to `frames`, at the most, among so many streams.
fn most_rows(gpu: &GpuEngine, model: &Model, capacity: usize, frames: usize) -> Result<Vec<usize>> {
    let rows = |steps: usize| {
        let dims = Dims::new(capacity.next_power_of_two(), steps)?;
        let cut = cut(dims, |dims| gpu.planner().fits(model, dims.into()))?;
        Ok(cut.map_or(dims.batch, |cut| cut.rows))
    };
    powers(frames).map(rows).collect()
}

/// 1, 2, 4 … up to `most`, which is the last whether or not it is one of them.
fn powers(most: usize) -> impl DoubleEndedIterator<Item = usize> {
    (0..=most.next_power_of_two().ilog2()).map(move |power| (1 << power).min(most))
}

impl GpuEngine {
    /// # Errors
    /// [`Error::TooLarge`] where the states of so many streams exceed the device or the memory that a run may take.
    fn check_streams(&self, model: &Model, streams: usize) -> Result<()> {
        let what = format!("states of {streams} streams");
        let bytes = product(&what, &[streams, slot_words(model), 4])? as u64;
        let Planner { caps, memory, .. } = self.planner();
        caps.check_array(&what, bytes)?;
        caps.check(&what, bytes, *memory, "bytes of memory")
    }

    /// The plan of a batch of streams: layer by layer, each workgroup by itself.
    fn streams_plan(&self, model: &Model, dims: Dims) -> Result<Plan> {
        let Planner { request, caps, .. } = self.planner();
        let mut request = *request;
        request.only.wave = Some(0);
        let caps = Caps { exchange: None, ..caps.clone() };
        plan::plan(model, dims, request, &caps)
    }

    /// A program for streams whose states lie in `states`.
    async fn streams(&self, model: &Model, dims: Dims, states: &StreamStates) -> Result<StreamProgram> {
        let program = lower_streams(model, &self.streams_plan(model, dims)?, states.capacity())?;
        StreamProgram::new(&self.context, program, &self.constants, states, self.poison).await
    }
}

impl GpuPool {
    pub(super) async fn new(engine: &Engine, capacity: usize, frames: usize) -> Result<Self> {
        let (gpu, model) = (gpu(engine)?, engine.model());
        let context = gpu.context.clone();
        gpu.check_streams(model, capacity)?;
        let states = StreamStates::new(&context, capacity, slot_words(model)).await?;
        let one = Dims::new(1, frames)?;
        let frames = cut(one, |dims| gpu.planner().fits(model, dims.into()))?.map_or(frames, |cut| cut.steps);
        let most_rows = most_rows(gpu, model, capacity, frames)?;
        let widths = [model.output(), model.readout().map_or(0, |readout| readout.outputs())];
        Ok(Self {
            context,
            states,
            programs: Vec::new(),
            most_rows,
            frames,
            input: model.input(),
            freights: Vec::new(),
            precision: engine.0.options.precision,
            widths,
            broken: false,
        })
    }

    /// Rows of a batch of so many steps at the most.
    pub(super) fn most_rows(&self, steps: usize) -> usize {
        let power = steps.next_power_of_two().ilog2() as usize;
        self.most_rows.get(power).copied().unwrap_or(1)
    }

    pub(super) async fn grow(&mut self, engine: &Engine, capacity: usize) -> Result<()> {
        let gpu = gpu(engine)?;
        gpu.check_streams(engine.model(), capacity)?;
        let most_rows = most_rows(gpu, engine.model(), capacity, self.frames)?;
        self.states = self.states.grown(&self.context, capacity).await?;
        self.most_rows = most_rows;
        // They bind the states as they were.
        self.programs.clear();
        Ok(())
    }

    pub(super) async fn write_all(&mut self, states: &[f32]) -> Result<()> {
        self.states.write_all(&self.context, states).await
    }

    pub(super) fn write(&mut self, slot: usize, states: &[f32]) {
        self.states.write(&self.context, slot, states);
    }

    pub(super) async fn read(
        &mut self,
        slots: &[Range<usize>],
        wait: Wait,
        read: impl FnMut(Range<usize>, &[f32]),
    ) -> Result<()> {
        let bytes = self.states.bytes_of(slots);
        let idle = self.freights.iter().position(|freight| freight.brings(bytes));
        let freight = match idle {
            Some(index) => self.freights.swap_remove(index),
            None => Freight::new(&self.context, 0, bytes).await?,
        };
        let freight = self.states.read(&self.context, slots, freight, wait, read).await?;
        self.keep(freight);
        Ok(())
    }

    /// Keeps staging buffers for the next tick: as many as may be in use at once, and one to read states by.
    fn keep(&mut self, freight: Freight) {
        const MOST: usize = 3;
        if self.freights.len() == MOST {
            let bytes = |index: &usize| self.freights[*index].bytes();
            let least = (0..self.freights.len()).min_by_key(bytes).unwrap_or(0);
            self.freights.swap_remove(least);
        }
        self.freights.push(freight);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    pub(super) fn bytes(&self) -> u64 {
        let programs = self.programs.iter().map(|program| program.program().working_bytes());
        let freights = self.freights.iter().map(Freight::bytes);
        self.states.bytes() + programs.chain(freights).sum::<u64>()
    }

    /// The states of all streams.
    pub(super) fn states(&self) -> &StreamStates {
        &self.states
    }

    /// Steps of a row at the most.
    pub(super) fn frames(&self) -> usize {
        self.frames
    }

    /// How many of the groups, which begin with the first, go with one pair of staging buffers; one at least.
    pub(super) fn bears(&self, groups: &[Group]) -> usize {
        let (most, [p, o]) = (self.context.caps().max_buffer_bytes, self.widths);
        let mut all = [0u64; 2];
        let fits = |group: &&Group| {
            let frames = (group.rows.len() * group.steps) as u64;
            let rows = group.rows.len().next_power_of_two() as u64;
            // Beside x go lengths, places and slots, six words of a row with some for padding.
            let more = [frames * (self.input as u64 + 1) + 16 * rows, frames * (p + o + 1) as u64];
            all = [all[0] + 4 * more[0], all[1] + 4 * more[1]];
            all.iter().all(|bytes| *bytes <= most)
        };
        groups.iter().take_while(fits).count().max(1)
    }

    /// The time that a tick of so many rows of so many steps is expected to take.
    pub(super) fn expected(&self, engine: &Engine, streams: usize, frames: usize) -> Result<Duration> {
        let (gpu, model) = (gpu(engine)?, engine.model());
        let steps = frames.next_power_of_two().min(self.frames);
        let most = self.most_rows(steps);
        let of = |rows: usize| {
            let batch = rows.next_power_of_two().min(most);
            with_copies(&gpu.streams_plan(model, Dims { batch, steps })?, model)
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

    /// Every program of up to so many rows and steps, those of one step last, which are needed most.
    pub(super) async fn prepare(&mut self, engine: &Engine, streams: usize, frames: usize) -> Result<()> {
        let frames = frames.min(self.frames);
        for steps in powers(frames).rev() {
            let most = self.most_rows(steps);
            for rows in powers(streams.next_power_of_two().min(most)) {
                self.program(engine, Dims { batch: rows, steps }).await?;
                self.evict(1);
            }
        }
        // Staging buffers for a tick of all of them, one for each that may be under way.
        let groups = self.whole(streams, frames);
        let (most, [p, o]) = (self.context.caps().max_buffer_bytes, self.widths);
        let rows = groups[..self.bears(&groups)].iter().map(|group| group.rows.len()).sum::<usize>();
        let bytes =
            |features: usize, more: usize| ((rows * (frames * (features + 1) + more) * 4) as u64).min(most);
        for _ in 0..super::UNDER_WAY {
            let freight = Freight::new(&self.context, bytes(self.input, 32), bytes(p + o, 0)).await?;
            self.keep(freight);
        }
        Ok(())
    }

    /// The groups of a tick of so many rows, all of so many steps.
    fn whole(&self, streams: usize, steps: usize) -> Vec<Group> {
        let most = self.most_rows(steps);
        let firsts = (0..streams).step_by(most);
        firsts.map(|first| Group { rows: first..streams.min(first + most), steps }).collect()
    }

    /// The place of the program for batches of `dims`, which is made where it is not there.
    async fn program(&mut self, engine: &Engine, dims: Dims) -> Result<usize> {
        let found = self.programs.iter().position(|program| program.program().form.dims == dims);
        let program = match found {
            Some(index) => self.programs.remove(index),
            None => gpu(engine)?.streams(engine.model(), dims, &self.states).await?,
        };
        self.programs.push(program);
        Ok(self.programs.len() - 1)
    }

    /// Sees to it that there is a program for every batch.
    async fn programs_of(&mut self, engine: &Engine, all: &[Dims]) -> Result<()> {
        for &dims in all {
            self.program(engine, dims).await?;
        }
        Ok(())
    }

    /// Lets go of the programs that were used the longest time ago, where there are many, but not of the last `used`.
    fn evict(&mut self, used: usize) {
        let bytes =
            |programs: &[StreamProgram]| programs.iter().map(|p| p.program().working_bytes()).sum::<u64>();
        while self.programs.len() > used && (self.programs.len() > KEPT || bytes(&self.programs) > KEPT_BYTES)
        {
            self.programs.remove(0);
        }
    }

    pub(super) async fn begin(
        &mut self,
        engine: &Engine,
        groups: &[Group],
        rows: Rows<'_>,
        x: &[f32],
    ) -> Result<Ticket> {
        let input = engine.model().input();
        let dims = |group: &Group| Dims {
            batch: group.rows.len().next_power_of_two().min(self.most_rows(group.steps)),
            steps: group.steps,
        };
        let dims: Vec<Dims> = groups.iter().map(dims).collect();
        if let Err(error) = self.programs_of(engine, &dims).await {
            // The states are gone with the device.
            self.broken = self.context.is_lost();
            if self.broken || !matches!(error, Error::Device { .. }) {
                return Err(error);
            }
            // What is kept for other ticks may be what the device lacks memory for.
            self.programs.clear();
            self.freights.clear();
            self.programs_of(engine, &dims).await?;
        }
        self.evict(groups.len());
        let (mut loads, mut at) = (Vec::with_capacity(groups.len()), 0);
        for (group, dims) in groups.iter().zip(dims) {
            let numbers = group.rows.len() * group.steps * input;
            let program = self.programs.iter().position(|program| program.program().form.dims == dims);
            loads.push(Load {
                program: program.unwrap_or_default(),
                rows: group.rows.len(),
                x: &x[at..at + numbers],
            });
            at += numbers;
        }
        let idle = self.freights.iter().position(|freight| freight.has_room_for(&self.programs, &loads));
        let freight = match idle {
            Some(index) => self.freights.swap_remove(index),
            None => Freight::for_loads(&self.context, &self.programs, &loads).await?,
        };
        let fill = |load: usize, program: &mut StreamProgram| {
            program.slots.set(rows.slots(&groups[load]));
            let frames = rows.frames(&groups[load]).chain(std::iter::repeat(0));
            program.lengths.iter_mut().zip(frames).for_each(|(to, frames)| *to = frames);
        };
        let progress = &engine.0.progress;
        // Also where this future is dropped half way: then nobody knows whether the tick was taken.
        self.broken = true;
        let ticket = freight.submit(&self.context, &mut self.programs, &loads, fill, progress).await?;
        self.broken = false;
        Ok(ticket)
    }

    pub(super) async fn finish(
        &mut self,
        ticket: &mut Option<Ticket>,
        parts: &[[usize; 2]],
        [y, out]: [&mut [f32]; 2],
        wait: Wait,
    ) -> Result<()> {
        let Some(under_way) = ticket else { return Ok(()) };
        let waited = under_way.wait(&self.context, wait).await;
        self.broken |= waited.is_err();
        waited?;
        let Some(under_way) = ticket.take() else { return Ok(()) };
        let (storage, [features, outputs]) = (self.precision.activations, self.widths);
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
        let freight = under_way.read(&self.context, read);
        self.broken |= freight.is_err();
        self.keep(freight?);
        Ok(())
    }
}
