//! The traits of a device. Engines, sessions, pools and staged batches add names and checks to these traits. The GPU (`gpu/`) and
//! the host (`host/`: the CPU path and the reference) implement them; no code above depends on which one it is.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::exchange::Fallbacks;
use super::memory::Memory;
use super::pieces::Pieces;
use crate::dtype::Storage;
use crate::error::Result;
use crate::info::RunSeconds;
use crate::io::{Batch, Output, OutputMut, RunShape, State, StepInput, StepOutput};
use crate::plan::{Candidate, Plan, Prediction};
use crate::progress::Progress;
use crate::sync::Wait;

/// A model loaded on a device.
pub(super) trait Backend: Sized {
    type Session: Steps;
    type Staged: StagedRun;
    type Pool: Ticks;

    /// The storage type of x and y on the device.
    fn activations(&self) -> Storage;

    /// Whether the device can run `run_shape`, in pieces if needed.
    fn check(&self, _: RunShape) -> Result<()> {
        Ok(())
    }

    /// Runs a batch into an output; the caller has checked both sizes.
    async fn run(
        &self,
        batch: &Batch<'_>,
        output: &mut OutputMut<'_>,
        wait: Wait<'_>,
        progress: &Arc<Progress>,
    ) -> Result<()>;

    /// Moves a batch to the device, to be run there any number of times.
    fn stage(self: &Arc<Self>, batch: &Batch<'_>) -> Result<Self::Staged>;

    /// States of `streams` streams that advance together, initially zero.
    fn session(self: &Arc<Self>, streams: usize) -> Result<Self::Session>;

    /// States of up to `capacity` streams that come and go; a tick takes up to `frames` frames of each.
    fn pool(self: &Arc<Self>, capacity: usize, frames: usize) -> Result<Self::Pool>;

    /// Compiles the kernels of runs of `run_shape` one after the other, and says before each how many are done, of how many.
    async fn compile(&self, _: RunShape, progress: &mut dyn FnMut(usize, usize)) -> Result<()> {
        progress(0, 0);
        Ok(())
    }

    /// Prepares everything that runs of `run_shape` need.
    async fn prepare(&self, run_shape: RunShape, wait: Wait<'_>) -> Result<()>;

    /// The expected time of a run of `run_shape`.
    fn expected(&self, run_shape: RunShape) -> Result<Duration>;

    /// In words, how a run of `run_shape` is computed.
    fn explain(&self, run_shape: RunShape) -> Result<String>;

    /// The pieces that a run of `run_shape` is cut into; `None` if it is not cut.
    fn pieces(&self, _: RunShape) -> Result<Option<Pieces>> {
        Ok(None)
    }

    /// The plan of a run of `run_shape`, where runs are planned.
    fn plan(&self, _: RunShape) -> Result<Option<Plan>> {
        Ok(None)
    }

    /// The candidates that each layer's plan was chosen from, where runs are planned.
    fn alternatives(&self, _: RunShape) -> Result<Vec<Vec<Candidate>>> {
        Ok(Vec::new())
    }

    /// What the cost model says of each kernel of the plan, where runs are planned.
    fn predictions(&self, _: RunShape) -> Result<Vec<Vec<(String, Prediction)>>> {
        Ok(Vec::new())
    }

    /// The memory of a run of `run_shape`, without the host's arrays.
    fn memory(&self, _: RunShape) -> Result<Memory> {
        Ok(Memory::default())
    }

    /// Bytes of the model's constants on the device, 0 if the host holds them.
    fn constant_bytes(&self) -> u64 {
        0
    }

    /// Runs with a multi-workgroup kernel that fell back to per-step kernels.
    fn fallbacks(&self) -> Fallbacks {
        Fallbacks::default()
    }
}

/// States that persist from step to step.
pub(super) trait Steps {
    /// One step; the caller has checked that x is in the range of its storage type.
    async fn step(
        &mut self,
        input: StepInput<'_>,
        output: &mut StepOutput,
        wait: Wait<'_>,
        progress: &Arc<Progress>,
    ) -> Result<()>;

    /// Replaces the states; `None` for zeros.
    fn write(&mut self, states: Option<&State>) -> Result<()>;

    /// Copies the states.
    async fn read(&self, to: &mut State, wait: Wait<'_>) -> Result<()>;
}

/// A batch on its device.
pub(super) trait StagedRun {
    async fn run(&mut self, wait: Wait<'_>, progress: &Arc<Progress>) -> Result<RunSeconds>;

    /// Copies the outputs of the last run.
    async fn read(&self, output: &mut Output, wait: Wait<'_>) -> Result<()>;

    /// Its bytes on the device, without the model's constants.
    fn bytes(&self) -> u64 {
        0
    }
}

/// Rows that are computed as one batch, with T = `steps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) rows: Range<usize>,
    pub(super) steps: usize,
}

/// The rows of a tick, numbered through all groups from 0.
pub(super) trait TickRows: Copy {
    /// The slot of each row's stream, and whether its states are zero.
    fn slots(self, group: &Group) -> impl Iterator<Item = (u32, bool)>;

    /// The frames of each row.
    fn frames(self, group: &Group) -> impl Iterator<Item = u32>;
}

/// Ticks that may be in flight: one that computes, and one whose outputs are being read back.
pub(super) const UNDER_WAY: usize = 2;

/// The result of beginning a tick.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    /// The number of groups that it took.
    pub(super) groups: usize,
    /// Whether the outputs are complete without [`Ticks::finish`].
    pub(super) landed: bool,
}

/// The limits of a batch: its rows and its steps.
pub(super) trait Batches {
    /// T of a batch whose longest row has `frames` frames, at most `most`.
    fn steps(&self, frames: usize, _most: usize) -> usize {
        frames
    }

    /// The most rows of a batch of so many steps.
    fn most_rows(&self, _steps: usize) -> usize {
        usize::MAX
    }
}

/// States in slots, of streams that come and go.
pub(super) trait Ticks: Batches {
    /// Frames that a tick can take of a stream, at most `asked`.
    fn frames(&self, asked: usize) -> usize {
        asked
    }

    /// How many groups, from the first on, fit one tick; at least one.
    fn fitting(&self, groups: &[Group]) -> usize {
        groups.len()
    }

    /// The expected time of a tick of `streams` rows of `frames` steps.
    fn expected(&self, streams: usize, frames: usize) -> Result<Duration>;

    fn grow(&mut self, capacity: usize) -> Result<()>;

    /// Replaces the states of all slots, from the first on.
    fn write_all(&mut self, states: &[f32]) -> Result<()>;

    /// Replaces the states of a slot, from the next tick on.
    fn write(&mut self, slot: usize, states: &[f32]);

    /// Passes the states of each range of neighbouring slots to `read`, as of after all ticks that were begun.
    async fn read(
        &mut self,
        slots: &[Range<usize>],
        wait: Wait<'_>,
        read: impl FnMut(Range<usize>, &[f32]),
    ) -> Result<()>;

    /// Prepares everything that ticks of so many rows and steps need.
    fn prepare(&mut self, streams: usize, frames: usize) -> Result<()>;

    /// Advances the rows of all groups, or of the first ones; if the outputs have landed they are in `to`, y and the readout.
    /// After an error no row has moved, unless [`Ticks::is_broken`].
    fn begin(
        &mut self,
        groups: &[Group],
        rows: impl TickRows,
        x: &[f32],
        to: [&mut [f32]; 2],
        progress: &Arc<Progress>,
    ) -> Result<Begun>;

    /// Reads back the outputs of the oldest tick that has not landed; `parts` has rows and steps of its groups. If the future is
    /// dropped, they can be read again.
    async fn finish(&mut self, _parts: &[[usize; 2]], _to: [&mut [f32]; 2], _: Wait<'_>) -> Result<()> {
        Ok(())
    }

    /// Discards the ticks that have not landed.
    fn give_up(&mut self) {}

    /// Whether the states are unknown after an error, a panic or a dropped future.
    fn is_broken(&self) -> bool;

    /// Its bytes on the device, without the model's constants.
    fn bytes(&self) -> u64 {
        0
    }
}
