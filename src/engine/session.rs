//! A session: B streams, one step at a time, their states on the device.

use super::any::{AnySession, on};
use super::backend::{Backend, Steps};
use super::run::Engine;
use super::wait::{BLOCK, block_on};
use crate::dims::Dims;
use crate::error::Result;
use crate::io::{OutputShape, State, StepInput, StepOutput};
use crate::sync::Wait;

/// B streams that advance together. The outputs of a session, step by step, are bit-identical to those of a
/// sequence run of the same batch on the same device.
#[derive(Debug)]
pub struct Session {
    pub(super) engine: Engine,
    pub(super) streams: usize,
    pub(super) states: AnySession,
}

impl Engine {
    /// Opens a session of `streams` streams with zero states.
    ///
    /// # Errors
    /// [`crate::Error::Zero`] for no stream, [`crate::Error::Unsupported`] for layers that are not forward,
    /// [`crate::Error::TooLarge`] where they take more than [`crate::Options::memory`]. Streams that exceed a binding or a grid
    /// of a GPU are distributed over several dispatches.
    pub fn session(&self, streams: usize) -> Result<Session> {
        Session::new(self.clone(), streams)
    }
}

impl Session {
    fn new(engine: Engine, streams: usize) -> Result<Self> {
        engine.model().check_streamable()?;
        OutputShape::new(engine.model(), Dims::new(streams, 1)?)?;
        let states = on!(AnyBackend => AnySession, &engine.0.backend, backend => backend.session(streams)?);
        Ok(Self { engine, streams, states })
    }

    /// B, the number of streams.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// An output of the right size for [`Session::step_into`].
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn output(&self) -> Result<StepOutput> {
        StepOutput::zeros(self.engine.model(), self.streams)
    }

    /// One step of every stream. `x`: `[B, I]`, never projected: only a [`crate::Batch`] can be.
    ///
    /// # Errors
    /// [`crate::Error::Length`] where x is not `[B, I]`, [`crate::Error::Lost`] or [`crate::Error::Device`] where the device
    /// fails. After the latter, and after a dropped future, all streams, some or none may have taken the step:
    /// [`Session::set_state`] or [`Session::reset`] brings the session back to a known state.
    pub fn step<'a>(&mut self, x: impl Into<StepInput<'a>>) -> Result<StepOutput> {
        let mut output = self.output()?;
        self.step_into(x, &mut output)?;
        Ok(output)
    }

    /// [`Session::step`] into `output`, allocating nothing of the size of the data (on the reference it does). On the CPU path
    /// with one thread ([`crate::CpuOptions::threads`]) a step after the first allocates nothing at all, takes no lock and makes
    /// no system call: it may be called from a real-time audio thread.
    ///
    /// # Errors
    /// Those of [`Session::step`], and [`crate::Error::Length`] where `output` does not fit.
    pub fn step_into<'a>(&mut self, x: impl Into<StepInput<'a>>, output: &mut StepOutput) -> Result<()> {
        self.engine.device().may_block()?;
        block_on(self.step_waiting(x.into(), output, BLOCK))
    }

    /// [`Session::step`], without blocking.
    ///
    /// # Errors
    /// Those of [`Session::step`].
    pub async fn step_async<'a>(&mut self, x: impl Into<StepInput<'a>>) -> Result<StepOutput> {
        let mut output = self.output()?;
        self.step_into_async(x, &mut output).await?;
        Ok(output)
    }

    /// [`Session::step_into`], without blocking.
    ///
    /// # Errors
    /// Those of [`Session::step_into`].
    pub async fn step_into_async<'a>(
        &mut self,
        x: impl Into<StepInput<'a>>,
        output: &mut StepOutput,
    ) -> Result<()> {
        self.step_waiting(x.into(), output, Wait::Yield).await
    }

    pub(super) async fn step_waiting(
        &mut self,
        input: StepInput<'_>,
        output: &mut StepOutput,
        wait: Wait<'_>,
    ) -> Result<()> {
        let model = self.engine.model();
        input.check(model, self.streams)?;
        output.check(model, self.streams)?;
        self.engine.activations().check_range("x", input.x())?;
        let progress = &self.engine.0.progress;
        on!(AnySession, &mut self.states, states => states.step(input, output, wait, progress).await)
    }

    /// Sets every state to zero. On a lost device it does nothing; the next step returns the error.
    pub fn reset(&mut self) {
        let _ = on!(AnySession, &mut self.states, states => states.write(None));
    }

    /// Replaces the states. h: `[L·D, B, P]`, c: `[L·D, B, H]`.
    ///
    /// # Errors
    /// [`crate::Error::Length`] where a state does not fit, [`crate::Error::Unsupported`] for a c where the
    /// cell has none, [`crate::Error::Mismatch`] for an LSTM without c, [`crate::Error::Lost`] where the device is lost.
    pub fn set_state(&mut self, state: &State) -> Result<()> {
        state.check(self.engine.model(), self.streams)?;
        on!(AnySession, &mut self.states, states => states.write(Some(state)))
    }

    /// A copy of the states. h: `[L·D, B, P]`, c: `[L·D, B, H]`.
    ///
    /// # Errors
    /// [`crate::Error::Lost`] or [`crate::Error::Device`] where the device fails.
    pub fn state(&mut self) -> Result<State> {
        self.engine.device().may_block()?;
        block_on(self.state_waiting(BLOCK))
    }

    /// [`Session::state`], without blocking.
    ///
    /// # Errors
    /// Those of [`Session::state`].
    pub async fn state_async(&mut self) -> Result<State> {
        self.state_waiting(Wait::Yield).await
    }

    pub(super) async fn state_waiting(&mut self, wait: Wait<'_>) -> Result<State> {
        let mut state = State::zeros(self.engine.model(), self.streams)?;
        on!(AnySession, &self.states, states => states.read(&mut state, wait).await)?;
        Ok(state)
    }
}
