//! A pool: streams that come and go, and advance together.

mod batches;
mod entry;
mod id;
mod options;
#[cfg(feature = "gpu")]
mod recorded;
mod run;
mod saving;
mod snapshot;
mod table;
mod tick;

pub use id::StreamId;
pub use options::{NonFinite, PoolOptions, Snapshots};
#[cfg(feature = "gpu")]
pub use recorded::PoolRecording;
pub use saving::Lost;
pub use snapshot::Snapshot;
pub use tick::{Frames, TickOutput};

use std::collections::VecDeque;
use std::sync::Arc;

use self::table::{Added, Table};
use self::tick::Flight;
use super::any::{AnyPool, on};
use super::backend::{Backend, Group, Ticks, UNDER_WAY};
use super::run::Engine;
use crate::dims::check_finite;
use crate::error::{Error, Result, StreamFault};
use crate::io::State;
use crate::model::{Model, ReadoutSteps};

/// A pool: thousands of independent streams on one device, that come and go and advance together.
///
/// A stream's states are in a slot on the device. [`Pool::push`] queues its frames on the host. [`Pool::tick`] takes the frames
/// of every stream that has any, as rows of one batch with a length each. In one submission it gathers the states from the slots,
/// advances the rows and scatters the states back. Streams without frames cost nothing.
///
/// *Guarantee.* A stream's outputs and states are, bit for bit, those of a sequence run ([`Engine::run`]) over all its frames on
/// the same engine. They do not depend on the other streams, on when the stream joined, or on how its frames were cut into pushes
/// and ticks. The exception is an engine with a non-deterministic reduction order ([`crate::Options::reproducible`]). A model
/// whose readout is of the last step has it of every frame, as in a session.
///
/// The future of an `_async` call may be dropped: the outputs of a tick that had begun come with the next [`Pool::tick`], or by
/// [`Pool::finish_into`]. Only a future that is dropped while it submits a tick leaves the states unknown; the next call reports
/// that.
///
/// *Progress.* A tick that lacks memory takes fewer streams, and the next ticks begin with those that were left out. A snapshot
/// that cannot be written is reported, and the pool goes on. After a failure of the device every call's error names
/// [`Pool::rebuild`], which continues from the states that were saved last.
#[derive(Debug)]
pub struct Pool {
    engine: Engine,
    options: PoolOptions,
    table: Table,
    pub(super) states: AnyPool,
    /// Frames to be uploaded, `[rows, T, I]` of each group.
    x: Vec<f32>,
    groups: Vec<Group>,
    /// Ticks that were begun, the oldest first, and spare ones for the next.
    flights: VecDeque<Flight>,
    spare: Vec<Flight>,
    /// Ticks that were begun since a snapshot was last due.
    ticks: u64,
    /// Counts of the due snapshots that were written, and of those that failed.
    written: u64,
    unwritten: u64,
    /// Why the last one failed, until a tick's outputs report it.
    snapshot_error: Option<Error>,
    /// Why the states are unknown.
    failed: Option<Error>,
    /// Whether ticks are recorded; these use the states as they are on the device.
    recorded: bool,
}

impl Engine {
    /// A pool without streams.
    ///
    /// # Errors
    /// [`Error::Zero`] for no stream or no frame a tick; [`Error::Unsupported`] for layers that are not forward: a reverse
    /// layer begins at the end, and a stream has none; [`Error::TooLarge`] where the states exceed the device or
    /// [`crate::Options::memory`].
    pub fn pool(&self, options: PoolOptions) -> Result<Pool> {
        self.model().check_streamable()?;
        let options = options.checked()?;
        let engine = self.for_streams()?;
        let states = engine.states(options.capacity, options.frames)?;
        let frames = on!(AnyPool, &states, states => states.frames(options.frames));
        let options = PoolOptions { frames, ..options };
        let table = Table::new(engine.model(), options.capacity)?;
        Ok(Pool {
            engine,
            options,
            table,
            states,
            x: Vec::new(),
            groups: Vec::new(),
            flights: VecDeque::with_capacity(UNDER_WAY),
            spare: Vec::new(),
            ticks: 0,
            written: 0,
            unwritten: 0,
            snapshot_error: None,
            failed: None,
            recorded: false,
        })
    }

    /// States of streams on the device of this engine.
    fn states(&self, capacity: usize, frames: usize) -> Result<AnyPool> {
        Ok(on!(AnyBackend => AnyPool, &self.0.backend, backend => backend.pool(capacity, frames)?))
    }

    /// This engine, or one of the same model with a readout of every step.
    fn for_streams(&self) -> Result<Self> {
        let model = self.model();
        match model.readout() {
            Some(readout) if readout.steps() == ReadoutSteps::Last => {
                let every = readout.clone().with_steps(ReadoutSteps::Every);
                let model = model.clone().with_readout(every)?;
                self.device().load_with(&model, self.options())
            }
            _ => Ok(self.clone()),
        }
    }
}

impl Pool {
    /// The engine that the streams run on; for a model with a readout of the last step, one with a readout of every step.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn model(&self) -> &Model {
        self.engine.model()
    }

    /// The number of open streams.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no stream is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Streams that fit now; a pool that grows makes room for more when needed.
    pub fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// The open streams, in no particular order.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.table.open_streams()
    }

    /// The number of streams that have frames for the next tick.
    pub fn ready(&self) -> usize {
        self.table.ready()
    }

    /// The pool's options. [`PoolOptions::frames`] is reduced to the device's limit, if that is lower.
    pub fn options(&self) -> &PoolOptions {
        &self.options
    }

    /// Ticks that were begun and not finished.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Opens a stream with zero states.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the pool is full and does not grow, or the device has no room for more;
    /// [`Error::Memory`]; [`Error::Device`].
    pub fn open(&mut self) -> Result<StreamId> {
        self.check_failed()?;
        let (most, capacity) = (self.options.most, self.capacity());
        if self.len() == capacity && capacity < most {
            self.grow(capacity.saturating_mul(2).min(most))?;
        }
        self.table.open(most)
    }

    /// Opens a stream with these states, h `[L, P]` and c `[L, H]`.
    ///
    /// # Errors
    /// Those of [`Pool::open`]; [`Error::Length`] where a state does not fit, [`Error::Unsupported`] for a c where the cell has
    /// none, [`Error::Mismatch`] for an LSTM without c, [`Error::NotFinite`].
    pub fn open_with(&mut self, state: &State) -> Result<StreamId> {
        check_state(self.model(), state)?;
        let stream = self.open()?;
        self.set_state(stream, state)?;
        Ok(stream)
    }

    /// Room for `capacity` streams.
    fn grow(&mut self, capacity: usize) -> Result<()> {
        // The host's side first: it may fail, and nothing has changed then.
        self.table.reserve(capacity)?;
        on!(AnyPool, &mut self.states, states => states.grow(capacity))?;
        log::info!(target: "wgru::pool", "a pool grows from {} to {capacity} streams", self.capacity());
        self.table.grow(capacity);
        Ok(())
    }

    /// Queues `frames`, `[n, I]` with any n, for the next ticks.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open; for a partial frame, or numbers beyond the range of the engine's
    /// activation storage; for more than [`PoolOptions::queue`] allows to wait; for NaN and infinities, where
    /// [`PoolOptions::non_finite`] says how the stream is treated; and for a stream that was isolated before. Then nothing of the
    /// push is queued, and no other stream is affected. [`Error::Memory`].
    pub fn push(&mut self, stream: StreamId, frames: &[f32]) -> Result<()> {
        let storage = self.engine.activations();
        let input = self.model().input();
        match self.table.push(stream, frames, input, self.options.queue, storage)? {
            Added::Queued => Ok(()),
            Added::NotFinite(error) => {
                if self.options.non_finite == NonFinite::Isolate {
                    log::warn!(target: "wgru::pool", "{error}; it takes no frames until it is reset");
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
        Ok(self.table.get(stream)?.pending)
    }

    /// Frames of a stream that ticks have taken since it was opened; snapshots keep the number.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open.
    pub fn frames(&self, stream: StreamId) -> Result<u64> {
        Ok(self.table.get(stream)?.frames)
    }

    /// Sets a stream's states to zero, drops its queued frames, and ends its isolation; returns the number of dropped frames. No
    /// work on the device.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open.
    pub fn reset(&mut self, stream: StreamId) -> Result<usize> {
        let dropped = self.table.reset(stream)?;
        if self.recorded {
            let slot = self.table.slot(stream)?;
            self.write_zeros(slot);
        }
        Ok(dropped)
    }

    /// Replaces a stream's states, h `[L, P]` and c `[L, H]`, drops its queued frames, and ends its isolation; returns the number
    /// of dropped frames. States of a pool on another device are accepted.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open, and for states that do not fit the model or are not finite.
    pub fn set_state(&mut self, stream: StreamId, state: &State) -> Result<usize> {
        self.check_failed()?;
        let slot = self.table.slot(stream)?;
        let fits = check_state(self.model(), state);
        fits.map_err(|error| Error::Stream {
            stream: stream.number(),
            fault: StreamFault::State(Arc::new(error)),
        })?;
        let dropped = self.table.load(stream, state)?;
        on!(AnyPool, &mut self.states, states => states.write(slot, self.table.saved(slot)));
        Ok(dropped)
    }

    /// Writes zeros to a slot whose states are zero by the host's flag alone.
    fn write_zeros(&mut self, slot: usize) {
        if self.table.take_zero(slot) {
            let zeros = vec![0.0; self.table.stride()];
            on!(AnyPool, &mut self.states, states => states.write(slot, &zeros));
        }
    }

    /// Closes a stream; returns the number of its frames that no tick had taken. The outputs of a tick in
    /// flight still come.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open.
    pub fn close(&mut self, stream: StreamId) -> Result<usize> {
        self.table.close(stream)
    }

    /// Bytes of the pool on its device, without the model's weights: states, and buffers of ticks so far. 0 on the CPU path.
    pub fn bytes(&self) -> u64 {
        on!(AnyPool, &self.states, states => states.bytes())
    }

    fn is_broken(&self) -> bool {
        on!(AnyPool, &self.states, states => states.is_broken())
    }

    fn check_failed(&self) -> Result<()> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.is_broken() => Err(self.unknown(None)),
            None => Ok(()),
        }
    }

    /// The error where states are unknown.
    fn unknown(&self, fault: Option<&Error>) -> Error {
        let fault = fault.map(|fault| Box::new(fault.clone()));
        Error::PoolFailed { device: self.engine.device().info().to_string(), fault }
    }

    /// Records an error after which states are unknown.
    fn failed_with(&mut self, error: Error) -> Error {
        if self.is_broken() {
            self.failed = Some(self.unknown(Some(&error)));
            // Outputs that have landed are still delivered.
            self.flights.retain(|flight| flight.landed);
            on!(AnyPool, &mut self.states, states => states.give_up());
        }
        error
    }
}

/// # Errors
/// Those of [`Pool::open_with`].
fn check_state(model: &Model, state: &State) -> Result<()> {
    state.check(model, 1)?;
    check_finite("h", &[model.num_states(), 1, model.state_size()], &state.h)?;
    match &state.c {
        Some(c) => check_finite("c", &[model.num_states(), 1, model.hidden()], c),
        None => Ok(()),
    }
}
