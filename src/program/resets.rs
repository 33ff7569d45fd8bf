//! States that begin anew within sequences, or in a step of a session.

use super::lower::{Chunk, Lowering, index32, lowered};
use super::{BufferId, Copy, Dispatch, Op, Program, Role, StateBuffers};
use crate::dims::Dims;
use crate::error::Result;
use crate::kernels::{ResetOrder, ResetStates};
use crate::model::{Layer, Model};
use crate::plan::Plan;

/// Threads of a workgroup that begins states anew in a session.
const WIDTH: u32 = 64;

/// Lowers `plan`, of one step, to the program of a session. Its first operation begins states anew, with zero: a step without
/// resets leaves it out, see [`Program::only_with_resets`].
///
/// # Errors
/// As [`super::lower`].
pub fn lower_session(model: &Model, plan: &Plan) -> Result<Program> {
    let mut lowering = lowered(model, plan)?;
    lowering.reset_streams()?;
    Ok(lowering.program)
}

impl Lowering<'_> {
    /// Puts an operation before the others of a step that begins streams anew.
    pub(super) fn reset_streams(&mut self) -> Result<()> {
        let resets = self.resets_buffer()?;
        let (model, rows) = (self.model, self.plan.rows);
        let named = [("order", self.program.order), ("resets", resets)];
        let chunk = Chunk { op: 0, first: 0, count: 1, output: self.sequence, layers: 1 };
        let mut phases = [Vec::new(), Vec::new()];
        for (layer, state) in model.layers().iter().zip(&self.program.states) {
            let of = |features: usize| {
                let features = index32("P or H", features)?;
                let (order, width) = (ResetOrder::BatchMajor, WIDTH.min(features));
                Ok(ResetStates { features, before: None, order, rows, width })
            };
            let kernels = [of(layer.state())?, of(layer.hidden())?];
            let own = self.resets(&kernels, layer, chunk, *state, &named)?;
            phases.iter_mut().zip(own).for_each(|(all, own)| all.extend(own));
        }
        self.program.ops.insert(0, Op::Steps { first: 0, count: 1, phases });
        self.program.only_with_resets = 1;
        Ok(())
    }

    /// Makes the buffer of resets.
    pub(super) fn resets_buffer(&mut self) -> Result<BufferId> {
        let Dims { batch, steps } = self.plan.form.dims;
        let resets = self.buffer("resets", Role::Resets, &[batch, steps])?;
        self.program.resets = Some(resets);
        Ok(resets)
    }

    /// Where something is reset, keeps the states of layer `index` as they are before the run, and joins to `named` what its kernels then
    /// bind.
    pub(super) fn keep_initial(
        &mut self,
        index: usize,
        state: StateBuffers,
        named: &mut Vec<(&'static str, BufferId)>,
    ) -> Result<()> {
        let Some(resets) = self.program.resets else { return Ok(()) };
        let (mut copies, mut at) = (Vec::new(), 0);
        for id in [Some(state.h), state.c].into_iter().flatten().map(|both| both[0]) {
            let words = self.program.buffers[id].words;
            copies.push((id, at, words));
            at += words;
        }
        let initial = self.buffer(&format!("initial.{index}"), Role::Scratch, &[at])?;
        let copy = |(id, at, words)| Copy { from: (id, 0), to: (initial, at), words };
        self.program.ops.push(Op::Copies(copies.into_iter().map(copy).collect()));
        named.extend([("resets", resets), ("initial", initial)]);
        Ok(())
    }

    /// The dispatches of `kernels`, of h and of c, before an even and an odd step of a chunk.
    pub(super) fn resets(
        &self,
        kernels: &[ResetStates],
        layer: &Layer,
        chunk: Chunk,
        state: StateBuffers,
        named: &[(&'static str, BufferId)],
    ) -> Result<[Vec<Dispatch>; 2]> {
        let of_phase = |phase: usize| {
            let arrays = [Some(state.h), state.c].into_iter().flatten().map(|both| both[phase]);
            let dispatch = |(kernel, states): (&ResetStates, BufferId)| {
                let arguments = self.arguments(layer, chunk, 0)?;
                let buffers = self.bound(kernel, &[named, &[("states", states)]].concat())?;
                Ok(Dispatch::new(kernel, &arguments, [arguments.own.batch, 1], buffers))
            };
            kernels.iter().zip(arrays).map(dispatch).collect::<Result<Vec<_>>>()
        };
        Ok([of_phase(0)?, of_phase(1)?])
    }
}
