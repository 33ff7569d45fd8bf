//! Models on the host: the CPU path and the f64 reference. Both advance states in place; runs, sessions, pools and staged batches
//! are built on that alone.

mod cpu;
mod pool;
mod reference;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) use self::cpu::Cpu;
pub(super) use self::pool::HostPool;
pub(super) use self::reference::Reference;
use super::backend::{Backend, StagedRun, Steps};
use crate::dims::Dims;
use crate::dtype::Storage;
use crate::error::Result;
use crate::info::RunSeconds;
use crate::io::{Batch, Output, OutputMut, OutputShape, OwnedBatch, RunShape, State, StepInput, StepOutput};
use crate::model::Model;
use crate::progress::Progress;
use crate::sync::{Wait, lock};

/// The input of an advance: x `[B, T, I]` or in the order of `run_shape`, and the steps of each row, `[B]`, T where `None`.
pub(super) use crate::cpu::Given;

/// A way to compute on the host.
pub(super) trait Path: Debug + Send + Sync {
    /// The number type of states.
    type Number: Copy + Default + Debug + From<f32>;
    /// Memory that a run takes in addition to its outputs.
    type Scratch: Debug + Default;

    fn narrow(number: Self::Number) -> f32;

    fn activations(&self) -> Storage;

    /// Advances the states h `[L·D, B, P]` and c `[L·D, B, H]`, and writes y and the readout, where the model has one.
    fn advance(
        &self,
        given: Given<'_>,
        scratch: &mut Self::Scratch,
        states: [&mut [Self::Number]; 2],
        outputs: [&mut [f32]; 2],
        progress: &Progress,
    ) -> Result<()>;

    /// Advances a batch from its initial states to `output`.
    fn run(
        &self,
        batch: &Batch<'_>,
        scratch: &mut Self::Scratch,
        output: &mut OutputMut<'_>,
        progress: &Progress,
    ) -> Result<()>;

    fn prepare(&self, run_shape: RunShape, scratch: &mut Self::Scratch) -> Result<()>;

    fn expected(&self, run_shape: RunShape) -> Result<Duration>;

    fn explain(&self, run_shape: RunShape) -> String;
}

/// A model, an implementation, and scratch memory that runs share in turn.
#[derive(Debug)]
pub(super) struct Host<P: Path> {
    model: Model,
    path: P,
    pub(super) idle: Mutex<Vec<P::Scratch>>,
}

impl<P: Path> Host<P> {
    pub(super) fn new(model: Model, path: P) -> Self {
        Self { model, path, idle: Mutex::default() }
    }

    fn with_scratch<T>(&self, of: impl FnOnce(&mut P::Scratch) -> T) -> T {
        let mut scratch = lock(&self.idle).pop().unwrap_or_default();
        let result = of(&mut scratch);
        lock(&self.idle).push(scratch);
        result
    }
}

impl<P: Path> Backend for Host<P> {
    type Session = HostSession<P>;
    type Staged = HostStaged<P>;
    type Pool = HostPool<P>;

    fn activations(&self) -> Storage {
        self.path.activations()
    }

    async fn run(
        &self,
        batch: &Batch<'_>,
        output: &mut OutputMut<'_>,
        _: Wait<'_>,
        progress: &Arc<Progress>,
    ) -> Result<()> {
        self.with_scratch(|scratch| self.path.run(batch, scratch, output, progress))
    }

    fn stage(self: &Arc<Self>, batch: &Batch<'_>) -> Result<HostStaged<P>> {
        let output = Output::zeros(&OutputShape::new(&self.model, batch.run_shape())?)?;
        Ok(HostStaged { host: self.clone(), batch: OwnedBatch::of(batch), output })
    }

    fn session(self: &Arc<Self>, streams: usize) -> Result<HostSession<P>> {
        let states = State::zeros(&self.model, streams)?;
        Ok(HostSession { host: self.clone(), streams, states, scratch: Box::default() })
    }

    fn pool(self: &Arc<Self>, capacity: usize, _: usize) -> Result<HostPool<P>> {
        HostPool::new(self.clone(), capacity)
    }

    async fn prepare(&self, run_shape: RunShape, _: Wait<'_>) -> Result<()> {
        self.with_scratch(|scratch| self.path.prepare(run_shape, scratch))
    }

    fn expected(&self, run_shape: RunShape) -> Result<Duration> {
        self.path.expected(run_shape)
    }

    fn explain(&self, run_shape: RunShape) -> Result<String> {
        Ok(self.path.explain(run_shape))
    }
}

/// The states of a session.
#[derive(Debug)]
pub(super) struct HostSession<P: Path> {
    host: Arc<Host<P>>,
    streams: usize,
    states: State<P::Number>,
    scratch: Box<P::Scratch>,
}

impl<P: Path> Steps for HostSession<P> {
    async fn step(
        &mut self,
        input: StepInput<'_>,
        output: &mut StepOutput,
        _: Wait<'_>,
        progress: &Arc<Progress>,
    ) -> Result<()> {
        let dims = Dims { batch: self.streams, steps: 1 };
        if let Some(resets) = input.resets_of() {
            self.states.reset_rows(resets, self.host.model.num_states());
        }
        let given =
            Given { x: input.x(), run_shape: dims.into(), lengths: None, resets: None, interrupt: None };
        let states = [&mut self.states.h[..], self.states.c.as_deref_mut().unwrap_or_default()];
        let outputs = [&mut output.y[..], output.out.as_deref_mut().unwrap_or_default()];
        self.host.path.advance(given, &mut self.scratch, states, outputs, progress)
    }

    fn write(&mut self, states: Option<&State>) -> Result<()> {
        let fill = |to: &mut [P::Number], from: Option<&[f32]>| match from {
            Some(from) => to.iter_mut().zip(from).for_each(|(to, &from)| *to = from.into()),
            None => to.fill(P::Number::default()),
        };
        fill(&mut self.states.h, states.map(|states| &states.h[..]));
        if let Some(c) = &mut self.states.c {
            fill(c, states.and_then(|states| states.c.as_deref()));
        }
        Ok(())
    }

    async fn read(&self, to: &mut State, _: Wait<'_>) -> Result<()> {
        narrow::<P>(&self.states.h, &mut to.h);
        if let (Some(to), Some(c)) = (&mut to.c, &self.states.c) {
            narrow::<P>(c, to);
        }
        Ok(())
    }
}

fn narrow<P: Path>(from: &[P::Number], to: &mut [f32]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = P::narrow(from));
}

/// A copy of a batch, and the outputs of its last run.
#[derive(Debug)]
pub(super) struct HostStaged<P: Path> {
    host: Arc<Host<P>>,
    batch: OwnedBatch,
    output: Output,
}

impl<P: Path> StagedRun for HostStaged<P> {
    async fn run(&mut self, wait: Wait<'_>, progress: &Arc<Progress>) -> Result<RunSeconds> {
        self.host.run(&self.batch.borrow(), &mut self.output.borrow(), wait, progress).await?;
        Ok(RunSeconds { device: None, recording: None })
    }

    async fn read(&self, output: &mut Output, _: Wait<'_>) -> Result<()> {
        output.clone_from(&self.output);
        Ok(())
    }
}
