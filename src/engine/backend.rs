//! What a device does for a model. Engines, sessions, pools and staged batches are names and checks above these traits, which
//! the GPU (`gpu/`) and the host (`host/`: the CPU path and the reference) implement; nothing above asks which of them it is on.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::exchange::Fallbacks;
use super::memory::Memory;
use super::pieces::Pieces;
use crate::dtype::Storage;
use crate::error::Result;
use crate::info::RunSeconds;
use crate::io::{Batch, Output, RunShape, State, StepInput, StepOutput};
use crate::plan::{Candidate, Plan};
use crate::progress::Progress;
use crate::sync::Wait;

/// A model made ready on a device.
pub(super) trait Backend: Sized {
    type Session: Steps;
    type Staged: StagedRun;
    type Pool: Ticks;

    /// How x and y lie on the device.
    fn activations(&self) -> Storage;

    /// Whether the device bears a run of `run_shape`, in pieces where it has to be.
    fn check(&self, _: RunShape) -> Result<()> {
        Ok(())
    }

    /// Runs a batch that fits the model into an output that fits the batch.
    async fn run(
        &self,
        batch: &Batch<'_>,
        output: &mut Output,
        wait: Wait,
        progress: &Arc<Progress>,
    ) -> Result<()>;

    /// Moves a batch to where it is computed, to be run there as often as one likes.
    fn stage(self: &Arc<Self>, batch: &Batch<'_>) -> Result<Self::Staged>;

    /// States of `streams` streams that advance together, zero at first.
    fn session(self: &Arc<Self>, streams: usize) -> Result<Self::Session>;

    /// States of up to `capacity` streams that come and go, of which a tick takes up to `frames` frames each.
    fn pool(self: &Arc<Self>, capacity: usize, frames: usize) -> Result<Self::Pool>;

    /// Makes ready what runs of `run_shape` need.
    async fn prepare(&self, run_shape: RunShape, wait: Wait) -> Result<()>;

    /// What is expected of a run of `run_shape`, in time.
    fn expected(&self, run_shape: RunShape) -> Result<Duration>;

    /// In words, how a run of `run_shape` is computed.
    fn explain(&self, run_shape: RunShape) -> Result<String>;

    /// The pieces that a run of `run_shape` is cut into, where it is.
    fn pieces(&self, _: RunShape) -> Result<Option<Pieces>> {
        Ok(None)
    }

    /// The plan of a run of `run_shape`, where runs are planned.
    fn plan(&self, _: RunShape) -> Result<Option<Plan>> {
        Ok(None)
    }

    /// What each layer's plan was chosen from, where runs are planned.
    fn alternatives(&self, _: RunShape) -> Result<Vec<Vec<Candidate>>> {
        Ok(Vec::new())
    }

    /// What a run of `run_shape` takes beside the host's arrays.
    fn memory(&self, _: RunShape) -> Result<Memory> {
        Ok(Memory::default())
    }

    /// Bytes of the model's constants that the host does not hold.
    fn constant_bytes(&self) -> u64 {
        0
    }

    /// Runs that workgroups began together and that were finished step by step.
    fn fallbacks(&self) -> Fallbacks {
        Fallbacks::default()
    }
}

/// States that live from step to step.
pub(super) trait Steps {
    /// One step, whose x is in the range of what it is stored in.
    async fn step(
        &mut self,
        input: StepInput<'_>,
        output: &mut StepOutput,
        wait: Wait,
        progress: &Arc<Progress>,
    ) -> Result<()>;

    /// Replaces the states, by zeros where `None`.
    fn write(&mut self, states: Option<&State>) -> Result<()>;

    /// Copies the states.
    async fn read(&self, to: &mut State, wait: Wait) -> Result<()>;
}

/// A batch that has been moved to where it is computed.
pub(super) trait StagedRun {
    async fn run(&mut self, wait: Wait, progress: &Arc<Progress>) -> Result<RunSeconds>;

    /// Copies what the last run gave.
    async fn read(&self, output: &mut Output, wait: Wait) -> Result<()>;

    /// Bytes that it has beside the model's constants and the host's arrays.
    fn bytes(&self) -> u64 {
        0
    }
}

/// Rows that are computed as one batch, of T = `steps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) rows: Range<usize>,
    pub(super) steps: usize,
}

/// What a tick knows of its rows, the first of all groups being row 0.
pub(super) trait TickRows: Copy {
    /// The slot of each row's stream, and whether its states are zero.
    fn slots(self, group: &Group) -> impl Iterator<Item = (u32, bool)>;

    /// The frames of each row.
    fn frames(self, group: &Group) -> impl Iterator<Item = u32>;
}

/// Ticks that may be under way: one that computes, and one whose outputs are on their way back.
pub(super) const UNDER_WAY: usize = 2;

/// What a tick came to that was begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    /// How many of its groups have been taken.
    pub(super) groups: usize,
    /// Whether the outputs are there, without [`Ticks::finish`].
    pub(super) landed: bool,
}

/// How many rows a batch may have, and of how many steps it is.
pub(super) trait Batches {
    /// T of a batch whose longest row has so many frames, at most `most`.
    fn steps(&self, frames: usize, _most: usize) -> usize {
        frames
    }

    /// Rows of a batch of so many steps at the most.
    fn most_rows(&self, _steps: usize) -> usize {
        usize::MAX
    }
}

/// States in slots, whose streams come and go.
pub(super) trait Ticks: Batches {
    /// Frames that a tick can take of a stream, of those that were asked for.
    fn frames(&self, asked: usize) -> usize {
        asked
    }

    /// How many of the groups, which begin with the first, one tick bears; one at least.
    fn bears(&self, groups: &[Group]) -> usize {
        groups.len()
    }

    /// The time that a tick of so many rows of so many steps is expected to take.
    fn expected(&self, streams: usize, frames: usize) -> Result<Duration>;

    fn grow(&mut self, capacity: usize) -> Result<()>;

    /// Replaces the states in all slots from the first on.
    fn write_all(&mut self, states: &[f32]) -> Result<()>;

    /// Replaces the states in a slot, for every tick from the next on.
    fn write(&mut self, slot: usize, states: &[f32]);

    /// Hands the states of each run of neighbouring slots, as every tick that was begun leaves them, to `read`.
    async fn read(
        &mut self,
        slots: &[Range<usize>],
        wait: Wait,
        read: impl FnMut(Range<usize>, &[f32]),
    ) -> Result<()>;

    /// Makes ready what ticks of so many rows and steps need.
    fn prepare(&mut self, streams: usize, frames: usize) -> Result<()>;

    /// Advances the rows of every group, or of the first so many; where the outputs have landed they are in `to`, y and the
    /// readout. After an error no row has moved, unless [`Ticks::is_broken`].
    fn begin(
        &mut self,
        groups: &[Group],
        rows: impl TickRows,
        x: &[f32],
        to: [&mut [f32]; 2],
        progress: &Arc<Progress>,
    ) -> Result<Begun>;

    /// Brings the outputs of the oldest tick that has not landed, of whose groups `parts` has rows and steps. A future that is
    /// dropped does no harm: they can be brought again.
    async fn finish(&mut self, _parts: &[[usize; 2]], _to: [&mut [f32]; 2], _: Wait) -> Result<()> {
        Ok(())
    }

    /// Gives up the ticks that have not landed.
    fn give_up(&mut self) {}

    /// Whether an error, a panic or a future that was dropped has left the states unknown.
    fn is_broken(&self) -> bool;

    /// Bytes that it has beside the model's constants and the host's arrays.
    fn bytes(&self) -> u64 {
        0
    }
}
