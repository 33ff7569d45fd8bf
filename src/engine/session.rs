//! A session: B streams, one step at a time, their states on the device.

use super::run::{Backend, Engine, Inner, narrow};
#[cfg(not(target_arch = "wasm32"))]
use super::wait::block_on;
use crate::cpu;
use crate::dims::Dims;
use crate::error::{Error, Result};
use crate::io::{OutputShape, State, StepInput, StepOutput};
use crate::reference;
use crate::sync::Wait;

/// B streams that advance together. What a session gives, step by step, is bit-identical to a sequence run
/// of the same batch on the same device.
#[derive(Debug)]
pub struct Session {
    pub(super) engine: Engine,
    pub(super) streams: usize,
    pub(super) stepper: Stepper,
}

impl Engine {
    /// Opens a session of `streams` streams with zero states.
    ///
    /// # Errors
    /// [`Error::Zero`] for no stream, [`Error::Unsupported`] for layers that are not forward,
    /// [`Error::TooLarge`] where they take more than [`crate::Options::memory`]. Streams that exceed a binding or a grid
    /// of a GPU are dealt to several dispatches.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn session(&self, streams: usize) -> Result<Session> {
        block_on(self.session_async(streams))
    }

    /// [`Engine::session`], without blocking.
    ///
    /// # Errors
    /// As [`Engine::session`].
    pub async fn session_async(&self, streams: usize) -> Result<Session> {
        Session::new(self.clone(), streams).await
    }
}

impl Session {
    async fn new(engine: Engine, streams: usize) -> Result<Self> {
        let stepper = engine.stepper(streams).await?;
        Ok(Self { engine, streams, stepper })
    }

    /// B, the number of streams.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// An output of the right size for [`Session::step_into`].
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn output(&self) -> Result<StepOutput> {
        StepOutput::zeros(self.engine.model(), self.streams)
    }

    /// One step of every stream. `x`: `[B, I]`, never one that is projected already: only a [`crate::Batch`] can be that; or a
    /// [`StepInput`], which can say that some streams begin anew with this step, from zero states.
    ///
    /// # Errors
    /// [`Error::Length`] where x is not `[B, I]` or resets are not `[B]`, [`Error::Device`] where the device fails. After the latter,
    /// as after a future that was dropped, the step may have been taken by all streams, some or none:
    /// [`Session::set_state`] or [`Session::reset`] brings the session back to a known state.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn step<'a>(&mut self, x: impl Into<StepInput<'a>>) -> Result<StepOutput> {
        let mut output = self.output()?;
        self.step_into(x, &mut output)?;
        Ok(output)
    }

    /// [`Session::step`] into `output`, allocating nothing of the size of the data (on the reference it does). On the CPU path
    /// with one thread ([`crate::CpuOptions::threads`]) a step after the first allocates nothing at all, takes no lock and makes
    /// no system call: it may be called from where audio is made.
    ///
    /// # Errors
    /// As [`Session::step`], and [`Error::Length`] where `output` does not fit.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn step_into<'a>(&mut self, x: impl Into<StepInput<'a>>, output: &mut StepOutput) -> Result<()> {
        let x = x.into();
        self.check(x, output)?;
        block_on(self.engine.step(&mut self.stepper, x, output, self.streams, Wait::Block))
    }

    /// [`Session::step`], without blocking.
    ///
    /// # Errors
    /// As [`Session::step`].
    pub async fn step_async<'a>(&mut self, x: impl Into<StepInput<'a>>) -> Result<StepOutput> {
        let mut output = self.output()?;
        self.step_into_async(x, &mut output).await?;
        Ok(output)
    }

    /// [`Session::step_into`], without blocking.
    ///
    /// # Errors
    /// As [`Session::step_into`].
    pub async fn step_into_async<'a>(
        &mut self,
        x: impl Into<StepInput<'a>>,
        output: &mut StepOutput,
    ) -> Result<()> {
        self.step_waiting(x.into(), output, Wait::Yield).await
    }

    pub(super) async fn step_waiting(
        &mut self,
        x: StepInput<'_>,
        output: &mut StepOutput,
        wait: Wait,
    ) -> Result<()> {
        self.check(x, output)?;
        self.engine.step(&mut self.stepper, x, output, self.streams, wait).await
    }

    fn check(&self, x: StepInput<'_>, output: &StepOutput) -> Result<()> {
        let model = self.engine.model();
        x.check(model, self.streams)?;
        output.check(model, self.streams)
    }

    /// Sets every state to zero. On a device that is lost it does nothing; the next step says so.
    pub fn reset(&mut self) {
        match &mut self.stepper {
            Stepper::Gpu(session) => _ = session.write_states(None, None),
            Stepper::Cpu(own, _) => own.fill(0.0),
            Stepper::Reference(own) => own.fill(0.0),
        }
    }

    /// Replaces the states. h: `[L·D, B, P]`, c: `[L·D, B, H]`.
    ///
    /// # Errors
    /// [`Error::Length`] where a state does not fit, [`Error::Unsupported`] for a c where the
    /// cell has none, [`Error::Mismatch`] for an LSTM without c, [`Error::Device`] where the device is lost.
    pub fn set_state(&mut self, state: &State) -> Result<()> {
        state.check(self.engine.model(), self.streams)?;
        match &mut self.stepper {
            Stepper::Gpu(session) => session.write_states(Some(&state.h), state.c.as_deref())?,
            Stepper::Cpu(own, _) => own.clone_from(state),
            Stepper::Reference(own) => {
                let widen = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
                *own = State { h: widen(&state.h), c: state.c.as_deref().map(widen) };
            }
        }
        Ok(())
    }

    /// A copy of the states. h: `[L·D, B, P]`, c: `[L·D, B, H]`.
    ///
    /// # Errors
    /// [`Error::Device`] where the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn state(&mut self) -> Result<State> {
        block_on(self.state_waiting(Wait::Block))
    }

    /// [`Session::state`], without blocking.
    ///
    /// # Errors
    /// As [`Session::state`].
    pub async fn state_async(&mut self) -> Result<State> {
        self.state_waiting(Wait::Yield).await
    }

    pub(super) async fn state_waiting(&mut self, wait: Wait) -> Result<State> {
        let mut state = State::zeros(self.engine.model(), self.streams)?;
        match &self.stepper {
            Stepper::Gpu(session) => {
                let c = state.c.as_deref_mut().unwrap_or_default();
                session.read_states(&mut state.h, c, wait).await?;
            }
            Stepper::Cpu(own, _) => state.clone_from(own),
            Stepper::Reference(own) => {
                narrow(&own.h, &mut state.h);
                if let (Some(to), Some(c)) = (&mut state.c, &own.c) {
                    narrow(c, to);
                }
            }
        }
        Ok(state)
    }
}

impl Engine {
    async fn stepper(&self, streams: usize) -> Result<Stepper> {
        let Inner { model, backend, .. } = &*self.0;
        model.check_streamable()?;
        OutputShape::new(model, Dims::new(streams, 1)?)?;
        Ok(match backend {
            Backend::Gpu(engine) => Stepper::Gpu(Box::new(engine.session(model, streams).await?)),
            Backend::Cpu(_) => Stepper::Cpu(State::zeros(model, streams)?, Box::default()),
            Backend::Reference => Stepper::Reference(State::zeros(model, streams)?),
        })
    }

    /// One step of `stepper`, which [`Engine::stepper`] of this engine made.
    async fn step(
        &self,
        stepper: &mut Stepper,
        input: StepInput<'_>,
        output: &mut StepOutput,
        streams: usize,
        wait: Wait,
    ) -> Result<()> {
        let dims = Dims { batch: streams, steps: 1 };
        let (x, resets) = (input.x(), input.resets_of());
        self.check_range(|storage| storage.check_range("x", x))?;
        match stepper {
            Stepper::Gpu(session) => session.step_into(input, output, wait, &self.0.progress).await?,
            Stepper::Cpu(state, scratch) => {
                resets.iter().for_each(|resets| state.reset_rows(resets, self.0.model.states()));
                let targets = cpu::Targets {
                    h: &mut state.h,
                    c: state.c.as_deref_mut().unwrap_or_default(),
                    y: &mut output.y,
                    out: output.out.as_deref_mut().unwrap_or_default(),
                };
                let given = cpu::Given { x, form: dims.into(), lengths: None, resets: None };
                self.advance(given, scratch, targets)?;
            }
            Stepper::Reference(state) => {
                resets.iter().for_each(|resets| state.reset_rows(resets, self.0.model.states()));
                let (y, out) = reference::advance(&self.0.model, x, dims.into(), (None, None), state);
                narrow(&y, &mut output.y);
                if let (Some(to), Some(out)) = (&mut output.out, &out) {
                    narrow(out, to);
                }
            }
        }
        Ok(())
    }

    /// Advances states on the CPU path.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub(super) fn advance(
        &self,
        given: cpu::Given<'_>,
        scratch: &mut cpu::Scratch,
        to: cpu::Targets<'_>,
    ) -> Result<()> {
        match &self.0.backend {
            Backend::Cpu(engine) => {
                engine.network.run(&engine.processor, given, scratch, to, &self.0.progress)
            }
            // States that lie on the host are of engines on the CPU path.
            Backend::Gpu(_) | Backend::Reference => Err(Error::Mismatch {
                name: "states on the host".into(),
                reason: format!("{} keeps its own", self.0.device.info()),
            }),
        }
    }
}

/// The backend of a session.
#[derive(Debug)]
pub(super) enum Stepper {
    Gpu(Box<super::gpu::GpuSession>),
    Cpu(State, Box<cpu::Scratch>),
    Reference(State<f64>),
}
