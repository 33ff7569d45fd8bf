//! Ticks of a pool that are recorded into the caller's encoder.

use super::{Pool, StreamId};
use crate::dims::Dims;
use crate::engine::any::AnyPool;
use crate::engine::gpu::GpuPool;
use crate::engine::recording::Of;
use crate::engine::wait::{BLOCK, block_on};
use crate::error::{Error, Result, StreamFault};
use crate::gpu::{CommandEncoder, Given, Recordable, Recorded};
use crate::io::Bindings;
use crate::program::{BufferId, Slots};
use crate::sync::Wait;

/// A tick of some streams of a pool, on the caller's buffers, to be recorded any number of times.
#[derive(Debug)]
pub struct PoolRecording {
    streams: Vec<StreamId>,
    /// The slot of each.
    slots: Vec<usize>,
    frames: usize,
    recorded: Recorded,
}

/// A tick of some streams before it is bound.
struct Prepared {
    /// The slot of each.
    slots: Vec<usize>,
    dims: Dims,
    /// The contents of the program's slot array.
    words: Slots,
}

impl Prepared {
    /// The slot array of a pool's program, with its contents.
    fn of_slots(&self, recordable: &Recordable) -> Option<(BufferId, Given<'_>)> {
        recordable.program().streams.map(|streams| (streams.slots, Given::Words(self.words.words())))
    }
}

impl Pool {
    /// The pool's GPU side.
    fn on_gpu(&self) -> Result<&GpuPool> {
        match &self.states {
            AnyPool::Gpu(pool) => Ok(pool),
            AnyPool::Cpu(_) | AnyPool::Reference(_) => {
                Err(Error::Mismatch { name: "a pool".into(), reason: "not on a GPU".into() })
            }
        }
    }

    /// Prepares a tick to be recorded: `frames` frames of each of `streams`, whose rows are in this order. Shapes: x `[n, T, I]`,
    /// y `[n, T, P]`, the readout `[n, T, O]`, lengths `[n]` where rows have fewer frames. Frames queued by [`Pool::push`] are
    /// not used.
    ///
    /// From then on [`Pool::reset`] writes to the device, as [`Pool::set_state`] does.
    ///
    /// # Errors
    /// Those of [`Engine::recording`](crate::Engine::recording); [`Error::Stream`] for a stream that is not open, or named twice;
    /// [`Error::Unsupported`] for h0, c0, h_n and c_n, since the states stay in the pool.
    pub fn recording(
        &mut self,
        streams: &[StreamId],
        frames: usize,
        bindings: Bindings<'_>,
    ) -> Result<PoolRecording> {
        let prepared = self.prepared(streams, frames)?;
        let recordable = self.on_gpu()?.recordable(prepared.dims)?;
        let more = prepared.of_slots(&recordable);
        let recorded = self.engine.recorded(&recordable, bindings, Of::Pool, more)?;
        self.recorded = true;
        let slots = prepared.slots;
        slots.iter().for_each(|&slot| self.write_zeros(slot));
        Ok(PoolRecording { streams: streams.to_vec(), slots, frames, recorded })
    }

    /// A tick of `streams`, with their slots.
    fn prepared(&self, streams: &[StreamId], frames: usize) -> Result<Prepared> {
        self.check_failed()?;
        self.engine.gpu_of_recordings()?;
        let dims = Dims::new(streams.len(), frames)?;
        let slots = streams.iter().map(|&stream| self.table.slot(stream)).collect::<Result<Vec<_>>>()?;
        let mut seen = vec![false; self.table.capacity()];
        for (&stream, &slot) in streams.iter().zip(&slots) {
            if std::mem::replace(&mut seen[slot], true) {
                return Err(Error::Stream { stream: stream.number(), fault: StreamFault::Twice });
            }
        }
        let mut words = Slots::new(streams.len());
        words.set(slots.iter().map(|&slot| (slot as u32, false)));
        Ok(Prepared { slots, dims, words })
    }

    /// A tick of `frames` frames of each of `streams`, as in [`Pool::recording`], whose arrays are on the host or in the caller's
    /// buffers, in any mix. It is submitted at once, after ticks that were begun; if no output is on the host, the call returns
    /// then. Later ticks of as many streams and frames on the same buffers create nothing; on others they create bind groups.
    /// Until the next such tick the pool keeps the caller's buffers of the last one alive.
    ///
    /// # Errors
    /// Those of [`Pool::recording`], except that outputs may be on the host; [`Error::Unsupported`] on a device other than a GPU:
    /// use [`Pool::push`] and [`Pool::tick`] there.
    pub fn tick_bound(&mut self, streams: &[StreamId], frames: usize, bindings: Bindings<'_>) -> Result<()> {
        self.engine.device().may_block()?;
        block_on(self.tick_bound_waiting(streams, frames, bindings, BLOCK))
    }

    /// [`Pool::tick_bound`], without blocking.
    ///
    /// # Errors
    /// Those of [`Pool::tick_bound`].
    pub async fn tick_bound_async(
        &mut self,
        streams: &[StreamId],
        frames: usize,
        bindings: Bindings<'_>,
    ) -> Result<()> {
        self.tick_bound_waiting(streams, frames, bindings, Wait::Yield).await
    }

    async fn tick_bound_waiting(
        &mut self,
        streams: &[StreamId],
        frames: usize,
        bindings: Bindings<'_>,
        wait: Wait<'_>,
    ) -> Result<()> {
        let prepared = self.prepared(streams, frames)?;
        for &stream in streams {
            self.table.get(stream)?.check_isolated(stream)?;
        }
        let mut own = self.on_gpu()?.begin_bound(prepared.dims)?;
        prepared.slots.iter().for_each(|&slot| self.write_zeros(slot));
        let (engine, more) = (self.engine.clone(), prepared.of_slots(own.recordable()));
        let done = match engine.bound(&mut own, bindings, Of::Pool, more) {
            Ok((call, sinks)) => {
                // It is unknown whether the streams have moved, also if this future is dropped.
                self.failed = Some(self.unknown(None));
                let done = engine.submit(call, sinks, wait).await;
                self.failed = match &done {
                    Err(error) if error.is_of_device() => Some(self.unknown(Some(error))),
                    _ => None,
                };
                done
            }
            Err(error) => Err(error),
        };
        self.on_gpu()?.end_bound(own);
        done?;
        prepared.slots.iter().for_each(|&slot| self.table.advance(slot, frames as u64));
        Ok(())
    }

    /// Records the tick of `recording` into `encoder`, which has to be of the engine's device and outside of passes. Nothing is
    /// created, submitted or waited for. The frames count as taken at once.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that was closed since or takes no frames. [`Error::Mismatch`] for another pool, or one that
    /// has grown or was rebuilt since, so that the states moved. After a failure of the device, the error of every call.
    pub fn record(&mut self, recording: &PoolRecording, encoder: &mut CommandEncoder) -> Result<()> {
        self.check_failed()?;
        let PoolRecording { streams, slots, frames, recorded } = recording;
        let bound =
            recorded.recordable().program().streams.map(|streams| &recorded.place(streams.states).buffer);
        if self.on_gpu().ok().map(|pool| pool.states().buffer()) != bound {
            let reason =
                "the pool has grown or was rebuilt since it was prepared, or is another: prepare it again"
                    .into();
            return Err(Error::Mismatch { name: "a recording".into(), reason });
        }
        for (&stream, slot) in streams.iter().zip(slots) {
            if self.table.slot(stream)? != *slot {
                return Err(Error::Stream { stream: stream.number(), fault: StreamFault::Moved });
            }
            self.table.get(stream)?.check_isolated(stream)?;
        }
        recorded.record(encoder);
        slots.iter().for_each(|&slot| self.table.advance(slot, *frames as u64));
        Ok(())
    }
}

impl PoolRecording {
    /// The same on other bindings. Creates bind groups and, for arrays on the host, buffers; both share everything else.
    ///
    /// # Errors
    /// Those of [`Pool::recording`].
    pub fn rebind(&self, pool: &Pool, bindings: Bindings<'_>) -> Result<Self> {
        let Self { streams, slots, frames, recorded } = self;
        let recordable = recorded.recordable();
        let more =
            recordable.program().streams.map(|of| (of.slots, Given::Place(recorded.place(of.slots).clone())));
        let recorded = pool.engine.recorded(recordable, bindings, Of::Pool, more)?;
        Ok(Self { streams: streams.clone(), slots: slots.clone(), frames: *frames, recorded })
    }

    /// The streams, in the order of the rows.
    pub fn streams(&self) -> &[StreamId] {
        &self.streams
    }
}
