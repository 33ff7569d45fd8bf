//! A pool: thousands of independent streams on one device, that come and go and advance together.
//!
//! A stream's states live in a slot on the device. [`Pool::push`] queues its frames on the host; [`Pool::tick`] takes the
//! frames of every stream that has any, as rows of one batch with a length each, and moves the states from the slots to the
//! rows and back within the same submission. Streams without frames cost nothing.
//!
//! *What is promised.* A stream's outputs and states are, bit for bit, those of a sequence run ([`Engine::run`]) over all its
//! frames on the same engine, whatever else is in the pool, whenever the stream joined, and however its frames were cut
//! into pushes and ticks; unless the engine sums in any order ([`crate::Options::reproducible`]). A model whose readout is
//! of the last step has it of every frame, as a session has.

mod backend;
mod batches;
mod cpu;
#[cfg_attr(not(feature = "gpu"), path = "no_gpu.rs")]
mod gpu;
mod options;
mod saving;
mod snapshot;
mod table;
mod tick;

pub use options::{NonFinite, PoolOptions};
pub use saving::Lost;
pub use snapshot::Snapshot;
pub use table::StreamId;
pub use tick::{Frames, TickOutput};

use std::collections::VecDeque;
use std::time::Duration;

use self::backend::Backend;
use self::batches::{Group, groups};
use self::table::{Added, Rows, Table};
use self::tick::{Flight, gather};
use super::run::Engine;
#[cfg(not(target_arch = "wasm32"))]
use super::wait::block_on;
use crate::dims::{Dims, at_least_one};
use crate::error::{Error, Result};
use crate::io::State;
use crate::model::{Model, Readout, ReadoutSteps};
use crate::sync::Wait;

/// Ticks that may be under way: one that computes, and one whose outputs are on their way back.
const UNDER_WAY: usize = 2;

/// Streams on one device; see the [module](self).
#[derive(Debug)]
pub struct Pool {
    engine: Engine,
    options: PoolOptions,
    table: Table,
    backend: Backend,
    /// Frames on their way to the device, `[rows, T, I]` of each group.
    x: Vec<f32>,
    groups: Vec<Group>,
    /// Ticks that were begun, the oldest first, and what is kept for the next.
    flights: VecDeque<Flight>,
    spare: Vec<Flight>,
    /// Ticks that were begun since the last snapshot.
    ticks: u64,
    /// Why states are not known any more.
    failed: Option<Error>,
}

impl Engine {
    /// A pool of streams with nothing in it.
    ///
    /// # Errors
    /// [`Error::Zero`] for no stream or no frame a tick; [`Error::Unsupported`] for layers that are not forward, since a
    /// stream has no end for them to begin at, and on the reference; [`Error::TooLarge`] where the states exceed the device
    /// or [`crate::Options::memory`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn pool(&self, options: PoolOptions) -> Result<Pool> {
        block_on(self.pool_async(options))
    }

    /// [`Engine::pool`], without blocking.
    ///
    /// # Errors
    /// As [`Engine::pool`].
    pub async fn pool_async(&self, options: PoolOptions) -> Result<Pool> {
        self.model().check_streamable()?;
        at_least_one("capacity (streams)", options.capacity)?;
        at_least_one("frames a tick takes of a stream", options.frames)?;
        let engine = self.for_streams().await?;
        let backend = Backend::new(&engine, options.capacity, options.frames).await?;
        let table = Table::new(engine.model(), options.capacity)?;
        Ok(Pool {
            engine,
            options,
            table,
            backend,
            x: Vec::new(),
            groups: Vec::new(),
            flights: VecDeque::with_capacity(UNDER_WAY),
            spare: Vec::new(),
            ticks: 0,
            failed: None,
        })
    }

    /// This engine, or one of the same model whose readout is of every step.
    async fn for_streams(&self) -> Result<Self> {
        let model = self.model();
        match model.readout() {
            Some(readout) if readout.steps() == ReadoutSteps::Last => {
                let (w, b) = (readout.w().to_vec(), readout.b().map(<[f32]>::to_vec));
                let every = Readout::new(readout.input(), readout.outputs(), ReadoutSteps::Every, w, b)?;
                let model = model.clone().with_readout(every)?;
                self.device().load_with_async(&model, self.options()).await
            }
            _ => Ok(self.clone()),
        }
    }
}

impl Pool {
    /// The engine that the streams run on; of a model with a readout of the last step, one with a readout of every.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn model(&self) -> &Model {
        self.engine.model()
    }

    /// Open streams.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no stream is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Streams that there is room for now; a pool that grows makes more where it is needed.
    pub fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// The open streams, in no order that means anything.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.table.open_streams()
    }

    /// Streams that have frames, which the next tick takes.
    pub fn ready(&self) -> usize {
        self.table.ready().len()
    }

    /// Ticks that were begun and not finished.
    pub fn under_way(&self) -> usize {
        self.flights.len()
    }

    /// Opens a stream with zero states.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the pool is full and does not grow, or the device has no room for more;
    /// [`Error::Memory`]; [`Error::Device`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(&mut self) -> Result<StreamId> {
        block_on(self.open_async())
    }

    /// [`Pool::open`], without blocking.
    ///
    /// # Errors
    /// As [`Pool::open`].
    pub async fn open_async(&mut self) -> Result<StreamId> {
        self.check_failed()?;
        let (most, capacity) = (self.options.most, self.capacity());
        if self.len() == capacity && capacity < most {
            self.grow(capacity.saturating_mul(2).min(most)).await?;
        }
        self.table.open(most)
    }

    /// Opens a stream with these states, h `[L, P]` and c `[L, H]`.
    ///
    /// # Errors
    /// As [`Pool::open`], and what [`Pool::load`] says of states.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_with(&mut self, state: &State) -> Result<StreamId> {
        block_on(self.open_with_async(state))
    }

    /// [`Pool::open_with`], without blocking.
    ///
    /// # Errors
    /// As [`Pool::open_with`].
    pub async fn open_with_async(&mut self, state: &State) -> Result<StreamId> {
        check_state(self.model(), state)?;
        let stream = self.open_async().await?;
        self.load(stream, state)?;
        Ok(stream)
    }

    /// Room for `capacity` streams.
    async fn grow(&mut self, capacity: usize) -> Result<()> {
        // The host's side first: it may say no without anything having changed.
        self.table.reserve(capacity)?;
        self.backend.grow(&self.engine, capacity, self.options.frames).await?;
        self.table.grow(capacity);
        Ok(())
    }

    /// Queues `frames`, `[n, I]`, n being any number, for the ticks to come.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open; for frames that are not whole ones, or beyond the range of what the
    /// engine stores activations in; for NaN and infinities, [`PoolOptions::non_finite`] saying what becomes of the stream;
    /// and for a stream that was isolated for them before. Nothing is queued then, and no other stream is touched.
    /// [`Error::Memory`].
    pub fn push(&mut self, stream: StreamId, frames: &[f32]) -> Result<()> {
        let storage = self.engine.0.options.precision.activations;
        let input = self.model().input();
        match self.table.push(stream, frames, input, storage)? {
            Added::Queued => Ok(()),
            Added::NotFinite(error) => {
                if self.options.non_finite == NonFinite::Isolate {
                    self.table.isolate(stream, error.to_string())?;
                }
                Err(error)
            }
        }
    }

    /// Frames of a stream that no tick has taken yet.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open.
    pub fn pending(&self, stream: StreamId) -> Result<usize> {
        Ok(self.table.get(stream)?.pending())
    }

    /// Frames of a stream that ticks have taken since it was opened; the number lives on in snapshots.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open.
    pub fn frames(&self, stream: StreamId) -> Result<u64> {
        Ok(self.table.get(stream)?.frames())
    }

    /// Sets a stream's states to zero, drops the frames that wait, and takes it in again where it was isolated; how many
    /// frames were dropped. Costs the device nothing.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open.
    pub fn reset(&mut self, stream: StreamId) -> Result<usize> {
        self.table.reset(stream)
    }

    /// Replaces a stream's states, h `[L, P]` and c `[L, H]`, drops the frames that wait, and takes it in again where it was
    /// isolated; how many frames were dropped. States of a pool on another device will do.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open; [`Error::Length`] where a state does not fit,
    /// [`Error::Unsupported`] for a c where the cell has none, [`Error::Mismatch`] for an LSTM without c,
    /// [`Error::NotFinite`].
    pub fn load(&mut self, stream: StreamId, state: &State) -> Result<usize> {
        self.check_failed()?;
        self.table.get(stream)?;
        check_state(self.model(), state)?;
        let dropped = self.table.load(stream, state)?;
        self.backend.write(stream.slot(), self.table.saved(stream.slot()));
        Ok(dropped)
    }

    /// Closes a stream; how many of its frames no tick had taken. The outputs of a tick under way still come.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open.
    pub fn close(&mut self, stream: StreamId) -> Result<usize> {
        self.table.close(stream)
    }

    /// Advances every stream that has frames, by all of them but no more than [`PoolOptions::frames`], and returns their
    /// outputs.
    ///
    /// # Errors
    /// As [`Pool::begin`] and [`Pool::finish_into`]; [`Error::Mismatch`] where a tick is under way.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn tick(&mut self) -> Result<TickOutput> {
        let mut output = TickOutput::default();
        self.tick_into(&mut output)?;
        Ok(output)
    }

    /// [`Pool::tick`] into `output`, whose arrays are used again. On the CPU path with one thread a tick like one before
    /// allocates nothing.
    ///
    /// # Errors
    /// As [`Pool::tick`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn tick_into(&mut self, output: &mut TickOutput) -> Result<()> {
        block_on(self.tick_waiting(output, Wait::Block))
    }

    /// [`Pool::tick`], without blocking.
    ///
    /// # Errors
    /// As [`Pool::tick`].
    pub async fn tick_async(&mut self) -> Result<TickOutput> {
        let mut output = TickOutput::default();
        self.tick_into_async(&mut output).await?;
        Ok(output)
    }

    /// [`Pool::tick_into`], without blocking.
    ///
    /// # Errors
    /// As [`Pool::tick`].
    pub async fn tick_into_async(&mut self, output: &mut TickOutput) -> Result<()> {
        self.tick_waiting(output, Wait::Yield).await
    }

    async fn tick_waiting(&mut self, output: &mut TickOutput, wait: Wait) -> Result<()> {
        if !self.flights.is_empty() {
            let reason = format!("{} under way, which have to be finished first", self.flights.len());
            return Err(Error::Mismatch { name: "ticks".into(), reason });
        }
        if self.begin_waiting(wait).await? {
            return self.finish_waiting(output, wait).await;
        }
        output.clear();
        Ok(())
    }

    /// Begins a tick and returns while the device is at work; whether there was anything to do. Two ticks may be under way,
    /// so that the way back of one overlaps the work of the next. On the CPU path the work is done here.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where two are under way already; [`Error::Io`] where a snapshot is due and cannot be written;
    /// [`Error::Device`] where the device fails, and on every call after it until [`Pool::rebuild`]. Unless a tick had begun, no
    /// frame is lost: the next tick takes them.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn begin(&mut self) -> Result<bool> {
        block_on(self.begin_waiting(Wait::Block))
    }

    /// [`Pool::begin`], without blocking.
    ///
    /// # Errors
    /// As [`Pool::begin`].
    pub async fn begin_async(&mut self) -> Result<bool> {
        self.begin_waiting(Wait::Yield).await
    }

    async fn begin_waiting(&mut self, wait: Wait) -> Result<bool> {
        self.check_failed()?;
        if self.flights.len() == UNDER_WAY {
            let reason = format!("{UNDER_WAY} are under way, one has to be finished first");
            return Err(Error::Mismatch { name: "ticks".into(), reason });
        }
        self.snapshot_if_due(wait).await?;
        self.table.sort_ready(self.options.frames);
        if self.table.ready().is_empty() {
            return Ok(false);
        }
        let mut flight = self.spare.pop().unwrap_or_default();
        let begun = self.submit(&mut flight).await;
        if let Err(error) = begun {
            self.spare.push(flight);
            return Err(self.failed_with(error));
        }
        self.table.take(self.options.frames);
        self.flights.push_back(flight);
        self.ticks += 1;
        Ok(true)
    }

    /// Hands the frames of the streams that are ready to the device.
    async fn submit(&mut self, flight: &mut Flight) -> Result<()> {
        let Self { engine, table, backend, x, groups: all, options, .. } = self;
        let (model, rows) = (engine.model(), Rows { table, most: options.frames });
        groups(rows.all_frames(), backend, options.frames, all);
        flight.lay_out(all, rows, model)?;
        gather(all, rows, model.input(), x)?;
        flight.ticket = backend.begin(engine, all, rows, x, flight.arrays()).await?;
        Ok(())
    }

    /// Waits for the oldest tick that was begun and brings its outputs.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where none was begun; [`Error::Device`] where the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn finish_into(&mut self, output: &mut TickOutput) -> Result<()> {
        block_on(self.finish_waiting(output, Wait::Block))
    }

    /// [`Pool::finish_into`], without blocking.
    ///
    /// # Errors
    /// As [`Pool::finish_into`].
    pub async fn finish_into_async(&mut self, output: &mut TickOutput) -> Result<()> {
        self.finish_waiting(output, Wait::Yield).await
    }

    async fn finish_waiting(&mut self, output: &mut TickOutput, wait: Wait) -> Result<()> {
        output.clear();
        self.check_failed()?;
        let Some(mut flight) = self.flights.pop_front() else {
            return Err(Error::Mismatch { name: "ticks".into(), reason: "none is under way".into() });
        };
        let ticket = flight.ticket.take();
        let Flight { parts, y, out, .. } = &mut flight;
        if let Err(error) = self.backend.finish(ticket, parts, [y, out], wait).await {
            return Err(self.failed_with(error));
        }
        flight.hand_over(output);
        self.spare.push(flight);
        Ok(())
    }

    /// Makes ready what ticks of up to `frames` frames of each of up to `streams` streams need, so that none of them
    /// compiles or allocates. Ticks are made for numbers of rows and frames that are powers of two; on a GPU as many are kept as
    /// take 1 GiB together, those of the most frames and rows where there are more.
    ///
    /// # Errors
    /// As [`Pool::begin`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn prepare(&mut self, streams: usize, frames: usize) -> Result<()> {
        block_on(self.prepare_async(streams, frames))
    }

    /// [`Pool::prepare`], without blocking.
    ///
    /// # Errors
    /// As [`Pool::begin`].
    pub async fn prepare_async(&mut self, streams: usize, frames: usize) -> Result<()> {
        self.check_failed()?;
        let (streams, frames) = (streams.clamp(1, self.options.most), frames.clamp(1, self.options.frames));
        self.backend.prepare(&self.engine, streams, frames).await
    }

    /// The time that a tick of `frames` frames of each of `streams` streams is expected to take, by the models that plans
    /// are made with; an order of magnitude where nothing was measured on the device.
    ///
    /// # Errors
    /// [`Error::Zero`], and what forbids a batch of this size.
    pub fn expected(&self, streams: usize, frames: usize) -> Result<Duration> {
        self.engine.expected(Dims::new(streams, frames)?)
    }

    /// Bytes that the pool has on its device beside the model's weights: states, and what ticks have needed so far. 0 on
    /// the CPU path.
    pub fn bytes(&self) -> u64 {
        self.backend.bytes()
    }

    fn check_failed(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Takes note of an error after which states are not known.
    fn failed_with(&mut self, error: Error) -> Error {
        if self.backend.is_broken() {
            let reason = match &error {
                Error::Device { reason, .. } => reason.clone(),
                other => other.to_string(),
            };
            let reason = format!(
                "a tick failed ({reason}), so states are not known; Pool::rebuild takes the streams up from those \
                 that were saved last"
            );
            self.failed = Some(Error::Device { device: self.engine.device().info().to_string(), reason });
            self.flights.clear();
        }
        error
    }
}

/// # Errors
/// As [`Pool::load`].
fn check_state(model: &Model, state: &State) -> Result<()> {
    state.check(model, 1)?;
    for (name, values) in [("h", Some(&state.h)), ("c", state.c.as_ref())] {
        let bad = values.into_iter().flatten().enumerate().find(|(_, value)| !value.is_finite());
        if let Some((index, &value)) = bad {
            return Err(Error::NotFinite { name: name.into(), index, value });
        }
    }
    Ok(())
}
