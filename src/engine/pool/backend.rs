//! Where the states of a pool live and its ticks are computed.

use std::ops::Range;
use std::time::Duration;

use super::batches::{Batches, Group};
use super::cpu::CpuPool;
use super::gpu::GpuPool;
use super::table::Rows;
use crate::dims::Dims;
use crate::engine::run::{Backend as EngineBackend, Engine};
use crate::error::{Error, Result};
use crate::sync::Wait;

#[derive(Debug)]
pub(super) enum Backend {
    Gpu(Box<GpuPool>),
    Cpu(Box<CpuPool>),
}

/// A tick that was begun: on a GPU what was submitted.
pub(super) type Ticket = Option<super::gpu::Ticket>;

impl Backend {
    pub(super) async fn new(engine: &Engine, capacity: usize, frames: usize) -> Result<Self> {
        match &engine.0.backend {
            EngineBackend::Gpu(_) => Ok(Self::Gpu(Box::new(GpuPool::new(engine, capacity, frames).await?))),
            EngineBackend::Cpu(_) => Ok(Self::Cpu(Box::new(CpuPool::new(engine, capacity)?))),
            EngineBackend::Reference => Err(Error::Unsupported {
                what: "a pool on the reference, whose states are f64: open sessions".into(),
            }),
        }
    }

    /// Frames that a tick can take of a stream.
    pub(super) fn frames(&self, asked: usize) -> usize {
        match self {
            Self::Gpu(pool) => pool.frames(),
            Self::Cpu(_) => asked,
        }
    }

    /// How many of the groups, which begin with the first, one tick bears; one at least.
    pub(super) fn bears(&self, groups: &[Group]) -> usize {
        match self {
            Self::Gpu(pool) => pool.bears(groups),
            Self::Cpu(_) => groups.len(),
        }
    }

    /// The time that a tick of so many rows of so many steps is expected to take.
    pub(super) fn expected(&self, engine: &Engine, streams: usize, frames: usize) -> Result<Duration> {
        match self {
            Self::Gpu(pool) => pool.expected(engine, streams, frames),
            Self::Cpu(_) => engine.expected(Dims::new(streams, frames)?),
        }
    }

    pub(super) async fn grow(&mut self, engine: &Engine, capacity: usize) -> Result<()> {
        match self {
            Self::Gpu(pool) => pool.grow(engine, capacity).await,
            Self::Cpu(pool) => pool.grow(capacity),
        }
    }

    /// Replaces the states in all slots from the first on.
    pub(super) async fn write_all(&mut self, states: &[f32]) -> Result<()> {
        match self {
            Self::Gpu(pool) => pool.write_all(states).await,
            Self::Cpu(pool) => {
                pool.write_all(states);
                Ok(())
            }
        }
    }

    /// Replaces the states in a slot, for every tick from the next on.
    pub(super) fn write(&mut self, slot: usize, states: &[f32]) {
        match self {
            Self::Gpu(pool) => pool.write(slot, states),
            Self::Cpu(pool) => pool.slots_mut(slot..slot + 1).copy_from_slice(states),
        }
    }

    /// Hands the states of each run of neighbouring slots, as every tick that was begun leaves them, to `read`.
    pub(super) async fn read(
        &mut self,
        slots: &[Range<usize>],
        wait: Wait,
        mut read: impl FnMut(Range<usize>, &[f32]),
    ) -> Result<()> {
        match self {
            Self::Gpu(pool) => pool.read(slots, wait, read).await,
            Self::Cpu(pool) => {
                slots.iter().for_each(|slots| read(slots.clone(), pool.slots_mut(slots.clone())));
                Ok(())
            }
        }
    }

    pub(super) async fn prepare(&mut self, engine: &Engine, streams: usize, frames: usize) -> Result<()> {
        match self {
            Self::Gpu(pool) => pool.prepare(engine, streams, frames).await,
            Self::Cpu(pool) => pool.prepare(engine, Dims::new(streams, frames)?),
        }
    }

    /// Advances the rows of every group, or of the first so many, which is returned too; on the CPU path their outputs are in
    /// `to` then, y and the readout. After an error no row has moved, unless [`Backend::is_broken`].
    pub(super) async fn begin(
        &mut self,
        engine: &Engine,
        groups: &[Group],
        rows: Rows<'_>,
        x: &[f32],
        to: [&mut [f32]; 2],
    ) -> Result<(Ticket, usize)> {
        match self {
            Self::Gpu(pool) => Ok((Some(pool.begin(engine, groups, rows, x).await?), groups.len())),
            Self::Cpu(pool) => Ok((None, pool.begin(engine, groups, rows, x, to)?)),
        }
    }

    /// Brings the outputs of a tick, of whose groups `parts` has rows and steps, unless they are there. A future that is dropped
    /// does no harm: they can be brought again.
    pub(super) async fn finish(
        &mut self,
        ticket: &mut Ticket,
        parts: &[[usize; 2]],
        to: [&mut [f32]; 2],
        wait: Wait,
    ) -> Result<()> {
        match self {
            Self::Gpu(pool) => pool.finish(ticket, parts, to, wait).await,
            Self::Cpu(_) => Ok(()),
        }
    }

    /// Where the states are, on a GPU.
    #[cfg(feature = "gpu")]
    pub(super) fn on_gpu(&self) -> Option<&GpuPool> {
        match self {
            Self::Gpu(pool) => Some(pool),
            Self::Cpu(_) => None,
        }
    }

    /// Whether an error, a panic or a future that was dropped has left the states unknown.
    pub(super) fn is_broken(&self) -> bool {
        match self {
            Self::Gpu(pool) => pool.is_broken(),
            Self::Cpu(pool) => pool.is_broken(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Gpu(pool) => pool.bytes(),
            Self::Cpu(_) => 0,
        }
    }
}

impl Batches for Backend {
    fn steps(&self, frames: usize, most: usize) -> usize {
        match self {
            Self::Gpu(_) => frames.next_power_of_two().min(most),
            Self::Cpu(_) => frames,
        }
    }

    fn most_rows(&self, steps: usize) -> usize {
        match self {
            Self::Gpu(pool) => pool.most_rows(steps),
            Self::Cpu(_) => usize::MAX,
        }
    }
}
