//! Saving states, and restoring streams from saved states: on another device, or in another process.

use std::ops::Range;

use super::id::StreamId;
use super::snapshot::Snapshot;
use super::{Pool, PoolOptions};
use crate::engine::any::on;
use crate::engine::backend::Ticks;
use crate::engine::run::Engine;
use crate::engine::wait::{BLOCK, block_on};
use crate::error::{Error, Result};
use crate::io::State;
use crate::sync::Wait;

/// Frames whose effect on a stream's states is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// The stream.
    pub stream: StreamId,
    /// Frames that ticks had taken since the states were saved.
    pub frames: u64,
}

impl Engine {
    /// A pool of the streams of `snapshot`. Each keeps the id that it has in the snapshot's pool and in the snapshot, and the
    /// number; [`Pool::streams`] has them all. They are in neighbouring slots, whatever slots they had before, so the pool takes
    /// memory for as many streams as there are, or [`PoolOptions::capacity`] where that is more.
    ///
    /// Streams that are opened later are numbered from where the snapshot was taken.
    ///
    /// # Errors
    /// Those of [`Engine::pool`]; [`Error::Mismatch`] where the snapshot is of another model; [`Error::TooLarge`] where the
    /// options do not allow as many streams.
    pub fn pool_from(&self, snapshot: &Snapshot, options: PoolOptions) -> Result<Pool> {
        let mut options = options;
        snapshot.check(self.model())?;
        let count = snapshot.len();
        if count > options.most {
            return Err(Error::TooLarge {
                name: "the snapshot's streams".into(),
                needed: count as u64,
                limit: options.most as u64,
                unit: "streams",
                device: "the pool".into(),
            });
        }
        options.capacity = options.capacity.max(count);
        let mut pool = self.pool(options)?;
        let mut streams: Vec<_> = snapshot.entries().collect();
        streams.sort_unstable_by_key(|(stream, ..)| stream.number());
        pool.table.restore(snapshot.next(), streams.into_iter())?;
        let states = pool.table.saved_states(count);
        on!(AnyPool, &mut pool.states, own => own.write_all(&states))?;
        Ok(pool)
    }
}

impl Pool {
    /// A stream's states after every tick that was begun, h `[L, P]` and c `[L, H]`. The pool keeps a copy for
    /// [`Pool::rebuild`].
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open, [`Error::Device`].
    pub fn state(&mut self, stream: StreamId) -> Result<State> {
        self.engine.device().may_block()?;
        block_on(self.state_waiting(stream, BLOCK))
    }

    /// [`Pool::state`], without blocking.
    ///
    /// # Errors
    /// Those of [`Pool::state`].
    pub async fn state_async(&mut self, stream: StreamId) -> Result<State> {
        self.state_waiting(stream, Wait::Yield).await
    }

    async fn state_waiting(&mut self, stream: StreamId, wait: Wait<'_>) -> Result<State> {
        self.check_failed()?;
        let slot = self.table.slot(stream)?;
        if self.table.get(stream)?.unsaved > 0 {
            self.save_slots(std::slice::from_ref(&(slot..slot + 1)), wait).await?;
        }
        Ok(self.table.saved_state(slot))
    }

    async fn save_slots(&mut self, slots: &[Range<usize>], wait: Wait<'_>) -> Result<()> {
        // The saved states include the effect of these ticks, so their outputs must not be lost afterwards.
        self.land_all(wait).await?;
        let Self { table, states, .. } = self;
        let save = |slots, states: &[f32]| table.save(slots, states);
        on!(AnyPool, states, states => states.read(slots, wait, save).await)
    }

    /// The states of all streams after every tick that was begun, read at once. The pool keeps a copy for
    /// [`Pool::rebuild`].
    ///
    /// # Errors
    /// [`Error::Device`], [`Error::Memory`].
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        self.engine.device().may_block()?;
        block_on(self.snapshot_waiting(BLOCK))
    }

    /// [`Pool::snapshot`], without blocking.
    ///
    /// # Errors
    /// Those of [`Pool::snapshot`].
    pub async fn snapshot_async(&mut self) -> Result<Snapshot> {
        self.snapshot_waiting(Wait::Yield).await
    }

    async fn snapshot_waiting(&mut self, wait: Wait<'_>) -> Result<Snapshot> {
        self.check_failed()?;
        let slots = self.table.unsaved_slots();
        if !slots.is_empty() {
            self.save_slots(&slots, wait).await?;
        }
        Snapshot::of(self.engine.model(), &self.table)
    }

    /// Snapshots that the pool has written by itself ([`PoolOptions::snapshots`]).
    pub fn snapshots_written(&self) -> u64 {
        self.written
    }

    /// Snapshots that were due and could not be saved or written. [`super::TickOutput::snapshot_error`] says why.
    pub fn snapshots_failed(&self) -> u64 {
        self.unwritten
    }

    /// Writes a snapshot where one is due. A failure is reported with the next outputs, and the pool continues: the next is due
    /// as if this one had been written.
    pub(super) async fn snapshot_if_due(&mut self, wait: Wait<'_>) {
        let Some(snapshots) = self.options.snapshots.clone() else { return };
        if self.ticks < snapshots.ticks {
            return;
        }
        let saved = self.snapshot_waiting(wait).await;
        match saved.and_then(|snapshot| snapshot.write(&snapshots.path)) {
            Ok(()) => self.written += 1,
            Err(error) => {
                self.unwritten += 1;
                log::warn!(target: "wgru::pool", "a snapshot was not written: {error}");
                self.snapshot_error = Some(error);
            }
        }
        self.ticks = 0;
    }

    /// Restores all streams on `engine`, of the same device or another, with the states that were saved last ([`Pool::state`],
    /// [`Pool::snapshot`], [`Pool::set_state`], or zero from [`Pool::open`] and [`Pool::reset`]). Streams keep their ids, and
    /// queued frames stay queued. Returns the lost frames of each stream that had advanced since. Outputs of ticks in flight
    /// still come, by [`Pool::finish_into`], unless the old device fails to deliver them; those of ticks that were begun before
    /// the last save have already been read back.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where the engine's model has states or inputs of other sizes; [`Error::Stream`] for queued frames
    /// beyond the range of the engine's activation storage; those of [`Engine::pool`]. After an error the pool is unchanged.
    pub fn rebuild(&mut self, engine: &Engine) -> Result<Vec<Lost>> {
        let (old, new) = (self.engine.model(), engine.model());
        if !super::snapshot::is_like(old, new) {
            let reason = format!("its model is {new}, the streams are of {old}");
            return Err(Error::Mismatch { name: "the engine".into(), reason });
        }
        let engine = engine.for_streams()?;
        self.table.check_range(engine.activations())?;
        let mut new = engine.states(self.table.capacity(), self.options.frames)?;
        let lost: Vec<Lost> = self
            .table
            .saved_streams()
            .filter(|(_, entry, _)| entry.unsaved > 0)
            .map(|(stream, entry, _)| Lost { stream, frames: entry.unsaved })
            .collect();
        if self.failed.is_none() {
            // An error of the old device is ignored: the pool leaves it.
            let _ = block_on(self.land_all(BLOCK));
        }
        let states = self.table.saved_states(self.table.capacity());
        on!(AnyPool, &mut new, new => new.write_all(&states))?;
        self.table.rewind();
        // Outputs that have landed are still delivered.
        self.flights.retain(|flight| flight.landed);
        self.options.frames = on!(AnyPool, &new, new => new.frames(self.options.frames));
        (self.engine, self.states, self.failed) = (engine, new, None);
        log::info!(
            target: "wgru::pool",
            "a pool is rebuilt on {}, {} of {} streams with frames lost",
            self.engine.device().info(), lost.len(), self.len()
        );
        Ok(lost)
    }
}
