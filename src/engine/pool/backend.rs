//! Where the states of a pool live and its ticks are computed.

use super::cpu::CpuPool;
use super::gpu::GpuPool;
use super::table::Table;
use super::tick::{Flight, Group};
use crate::engine::run::{Backend as EngineBackend, Engine};
use crate::error::{Error, Result};
use crate::sync::Wait;

#[derive(Debug)]
pub(super) enum Backend {
    Gpu(Box<GpuPool>),
    Cpu(Box<CpuPool>),
}

/// The rows of a tick: the slots that are ready, in their order.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) table: &'a Table,
    /// Frames of a row at the most.
    pub(super) most: usize,
}

impl Rows<'_> {
    /// The slots of a group, and whether the states in each are zero.
    pub(super) fn slots(&self, group: &Group) -> impl Iterator<Item = (u32, bool)> {
        self.table.ready()[group.rows.clone()].iter().map(|&slot| (slot, self.table.is_zero(slot)))
    }

    /// Frames of each row of a group.
    pub(super) fn frames(&self, group: &Group) -> impl Iterator<Item = u32> {
        self.table.ready()[group.rows.clone()]
            .iter()
            .map(|&slot| self.table.frames_of(slot, self.most) as u32)
    }
}

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

    pub(super) async fn grow(&mut self, engine: &Engine, capacity: usize, frames: usize) -> Result<()> {
        match self {
            Self::Gpu(pool) => pool.grow(engine, capacity, frames).await,
            Self::Cpu(pool) => pool.grow(capacity),
        }
    }

    /// Replaces the states in a slot, for every tick from the next on.
    pub(super) fn write(&mut self, slot: usize, states: &[f32]) {
        match self {
            Self::Gpu(pool) => pool.write(slot, states),
            Self::Cpu(pool) => pool.slots_mut(slot..slot + 1).copy_from_slice(states),
        }
    }

    /// Hands the states of neighbouring slots, as every tick that was begun leaves them, to `read`.
    pub(super) async fn read(
        &mut self,
        slots: std::ops::Range<usize>,
        wait: Wait,
        read: impl FnOnce(&[f32]),
    ) -> Result<()> {
        match self {
            Self::Gpu(pool) => pool.read(slots, wait, read).await,
            Self::Cpu(pool) => {
                read(pool.slots_mut(slots));
                Ok(())
            }
        }
    }

    pub(super) async fn prepare(&mut self, engine: &Engine, streams: usize, frames: usize) -> Result<()> {
        match self {
            Self::Gpu(pool) => pool.prepare(engine, streams, frames).await,
            Self::Cpu(_) => engine.prepare_async(crate::dims::Dims::new(streams, frames)?).await,
        }
    }

    pub(super) async fn begin(
        &mut self,
        engine: &Engine,
        groups: &[Group],
        rows: Rows<'_>,
        x: &[f32],
        flight: &mut Flight,
    ) -> Result<()> {
        match self {
            Self::Gpu(pool) => pool.begin(engine, groups, rows, x, flight).await,
            Self::Cpu(pool) => pool.begin(engine, groups, rows, x, flight),
        }
    }

    pub(super) async fn finish(&mut self, flight: &mut Flight, wait: Wait) -> Result<()> {
        match self {
            Self::Gpu(pool) => pool.finish(flight, wait).await,
            Self::Cpu(_) => Ok(()),
        }
    }

    /// Whether an error has left the states unknown.
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
