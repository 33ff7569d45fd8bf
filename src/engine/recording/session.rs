//! Steps of a session on the caller's buffers, and recordings of them.

use std::sync::Arc;

use super::{Of, Recording, on_host};
use crate::dims::check_len;
use crate::engine::any::AnySession;
use crate::engine::run::Engine;
use crate::engine::session::Session;
use crate::engine::wait::{BLOCK, block_on};
use crate::error::{Error, Result};
use crate::gpu::Recordable;
use crate::io::{Bindings, Sink, StepInput};
use crate::sync::Wait;

impl Session {
    /// Prepares a step of every stream to be recorded, on the session's own states: x `[B, I]`, y `[B, D·P]`, the readout `[B,
    /// O]`. Each time the device executes the recording is a step; steps by [`Session::step`] may come between them, in the order
    /// of submission. h_n and c_n, where they are bound, get the states after the step.
    ///
    /// In a recorded session, each step of a kernel that double-buffers h copies h once more.
    ///
    /// # Errors
    /// Those of [`Engine::recording`]; [`Error::Unsupported`] for lengths, h0 and c0, which a session's step does not have, and
    /// for a session of so many streams that it is in several parts on the device.
    pub fn recording(&mut self, bindings: Bindings<'_>) -> Result<Recording> {
        let recordable = self.recordable()?;
        self.engine.recording_of(&recordable, bindings, Of::Session)
    }

    fn recordable(&mut self) -> Result<Arc<Recordable>> {
        let gpu = self.engine.gpu_of_recordings()?;
        match &mut self.states {
            AnySession::Gpu(session) => session.recordable(gpu),
            AnySession::Cpu(_) | AnySession::Reference(_) => Err(self.not_on_gpu()),
        }
    }

    fn not_on_gpu(&self) -> Error {
        let reason = format!("not on {}", self.engine.device().info());
        Error::Mismatch { name: "a session".into(), reason }
    }

    /// One step of every stream, whose arrays are on the host or in the caller's buffers, in any mix. If no output is on the
    /// host, the call returns once the step is submitted.
    ///
    /// # Errors
    /// Those of [`Session::recording`], except that outputs may be on the host; buffers are [`Error::Unsupported`] on a device
    /// other than a GPU.
    pub fn step_bound(&mut self, bindings: Bindings<'_>) -> Result<()> {
        self.engine.device().may_block()?;
        block_on(self.step_bound_waiting(bindings, BLOCK))
    }

    /// [`Session::step_bound`], without blocking.
    ///
    /// # Errors
    /// Those of [`Session::step_bound`].
    pub async fn step_bound_async(&mut self, bindings: Bindings<'_>) -> Result<()> {
        self.step_bound_waiting(bindings, Wait::Yield).await
    }

    async fn step_bound_waiting(&mut self, bindings: Bindings<'_>, wait: Wait<'_>) -> Result<()> {
        if let Some(name) = bindings.first_buffer() {
            let engine: Engine = self.engine.clone();
            engine.gpu_for(name)?;
            let recordable = self.recordable()?;
            let AnySession::Gpu(session) = &mut self.states else { return Err(self.not_on_gpu()) };
            let own = session.bound.get_or_insert_with(|| recordable.into());
            return engine.submit_bound(own, bindings, Of::Session, wait).await;
        }
        let Bindings { x, lengths, resets, h0, c0, y, h_n, c_n, out, interrupt: _ } = bindings;
        for (name, is_given) in [("lengths", lengths.is_some()), ("h0", h0.is_some()), ("c0", c0.is_some())] {
            if is_given {
                return Err(Error::Unsupported {
                    what: format!("{name} of a session's step: see Session::set_state"),
                });
            }
        }
        let mut output = self.output()?;
        let features = |all: &[f32]| vec![self.streams, all.len() / self.streams];
        let states = |features: usize| vec![self.engine.model().num_states(), self.streams, features];
        let model = self.engine.model();
        let shapes = [
            ("y", &y, Some(features(&output.y))),
            ("h_n", &h_n, Some(states(model.state_size()))),
            ("c_n", &c_n, model.cell().has_c().then(|| states(model.hidden()))),
            ("out", &out, output.out.as_deref().map(features)),
        ];
        for (name, sink, shape) in shapes {
            let Some(Sink::Host(sink)) = sink else { continue };
            let shape = shape.ok_or_else(|| Error::Unsupported {
                what: format!("{name}, which the model does not have"),
            })?;
            check_len(name, &shape, sink.len())?;
        }
        let mut input = StepInput::new(on_host(Some(x)).unwrap_or_default());
        if let Some(resets) = on_host(resets) {
            input = input.resets(resets);
        }
        self.step_waiting(input, &mut output, wait).await?;
        let (h, c) = match h_n.is_some() || c_n.is_some() {
            true => {
                let state = self.state_waiting(wait).await?;
                (Some(state.h), state.c)
            }
            false => (None, None),
        };
        for (sink, from) in [(y, Some(output.y)), (h_n, h), (c_n, c), (out, output.out)] {
            if let (Some(Sink::Host(to)), Some(from)) = (sink, from) {
                to.copy_from_slice(&from);
            }
        }
        Ok(())
    }
}
