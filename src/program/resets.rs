//! States that are reset within sequences, or in a step of a session.

use super::lower::{Chunk, Lowering, index32, lowered};
use super::{BufferId, Copy, Dispatch, Op, Program, Role, StateBuffers};
use crate::dims::Dims;
use crate::error::Result;
use crate::kernels::{ResetOrder, ResetStates};
use crate::model::{Layer, Model};
use crate::plan::Plan;

/// Threads of a workgroup that resets states in a session.
const WIDTH: u32 = 64;

/// Lowers `plan`, of one step, to the program of a session. Its first operation resets states to zero. A step without
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
    /// Puts an operation that resets streams before the others of a step.
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
            let kernels = [of(layer.state_size())?, of(layer.hidden())?];
            let own = self.resets(&kernels, layer, chunk, *state, &named)?;
            phases.iter_mut().zip(own).for_each(|(all, own)| all.extend(own));
        }
        self.program.ops.insert(0, Op::Steps { first: 0, count: 1, phases });
        self.program.only_with_resets = 1;
        Ok(())
    }

    /// Adds the buffer of resets.
    pub(super) fn resets_buffer(&mut self) -> Result<BufferId> {
        let Dims { batch, steps } = self.plan.run_shape.dims;
        let resets = self.buffer("resets", Role::Resets, &[batch, steps])?;
        self.program.resets = Some(resets);
        Ok(resets)
    }

    /// With resets, keeps the states of layer `index` as they are before the run, and adds to `named` the buffers
    /// that its kernels then bind.
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

    /// The dispatches of `kernels`, for h and for c, before an even and an odd step of a chunk.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::io::{Layout, RunShape};
    use crate::model::{Cell, Direction, Weights};
    use crate::plan::{Caps, Only, Request, Strategy, plan};
    use crate::program::{check, lower};

    /// Two layers, of an LSTM with a projection where `state` is not H.
    fn model(cell: Cell, hidden: usize, state: usize) -> Model {
        let rows = cell.gates() * hidden;
        let layer = |input: usize| {
            let w_hr = (state != hidden).then(|| vec![0.5; state * hidden]);
            let (w_ih, w_hh) = (vec![0.5; rows * input], vec![0.5; rows * state]);
            let weights = Weights { w_ih, w_hh, w_hr, ..Weights::default() };
            Layer::new(cell, Direction::Forward, input, hidden, vec![weights]).unwrap()
        };
        Model::new(vec![layer(5), layer(state)]).unwrap()
    }

    /// Every array is exactly as long as the kernels reach.
    #[test]
    fn programs_with_resets_pass_and_none_of_their_buffers_is_longer_than_needed() {
        let caps = Caps { max_storage_buffers: 10, ..Caps::webgpu_minimum() };
        for (cell, hidden, state) in [
            (Cell::GRU, 7, 7),
            (Cell::ORIGINAL_GRU, 7, 7),
            (Cell::LSTM, 7, 7),
            (Cell::LSTM, 7, 3),
            (Cell::Rnn, 7, 7),
        ] {
            let model = model(cell, hidden, state);
            for (strategy, x) in [
                (Strategy::Step, Layout::BatchMajor),
                (Strategy::Step, Layout::TimeMajor),
                (Strategy::Persistent, Layout::DirectionMajor),
                (Strategy::Streamed, Layout::BatchMajor),
            ] {
                let only = Only { strategy: Some(strategy), ..Only::default() };
                let request = Request { only, ..Request::default() };
                let dims = Dims::new(6, 5).unwrap();
                let with = plan(&model, RunShape { x, resets: true, ..dims.into() }, request, &caps).unwrap();
                let without = plan(&model, RunShape { x, ..dims.into() }, request, &caps).unwrap();
                assert!(with.cost > without.cost, "{with} and {without}");
                assert!(
                    with.to_string().contains("reset") && !without.to_string().contains("reset"),
                    "{with}"
                );
                let one = plan(&model, Dims::new(6, 1).unwrap(), request, &caps).unwrap();
                for good in [lower(&model, &with).unwrap(), lower_session(&model, &one).unwrap()] {
                    check(&good, &caps).unwrap();
                    let own = ["resets", "initial.0", "initial.1"];
                    let ids = (0..good.buffers.len()).filter(|&id| own.contains(&&good.buffers[id].name[..]));
                    let ids: Vec<_> = ids.collect();
                    assert_eq!(ids.len(), if good.only_with_resets > 0 { 1 } else { 3 }, "{with}");
                    for id in ids {
                        let mut bad = good.clone();
                        bad.buffers[id].words -= 1;
                        let error = check(&bad, &caps).expect_err(&good.buffers[id].name);
                        assert!(matches!(error, Error::Internal { .. }), "{error}");
                    }
                }
            }
        }
    }

    /// Peepholes and resets together bind one buffer more than some devices have. Kernels of many steps are then left
    /// out, and the reason names the limit.
    #[test]
    fn peepholes_and_resets_beyond_the_bindings_of_a_device_are_refused() {
        let caps = Caps::webgpu_minimum();
        let peepholes = Weights {
            w_ih: vec![0.5; 28 * 5],
            w_hh: vec![0.5; 28 * 7],
            peepholes: Some(vec![0.5; 21]),
            ..Weights::default()
        };
        let layer = Layer::new(Cell::LSTM, Direction::Forward, 5, 7, vec![peepholes]).unwrap();
        let model = Model::new(vec![layer]).unwrap();
        for (resets, most, reason) in
            [(true, 8, Some("needs 9 storage buffers, the device has 8")), (true, 9, None), (false, 8, None)]
        {
            let caps = Caps { max_storage_buffers: most, ..caps.clone() };
            let run_shape = RunShape { resets, ..Dims::new(6, 5).unwrap().into() };
            let all = crate::plan::alternatives(&model, run_shape, Request::default(), &caps).unwrap();
            let of_chunks = [Strategy::Persistent, Strategy::Streamed];
            for candidate in all[0].iter().filter(|candidate| of_chunks.contains(&candidate.strategy)) {
                let said = candidate.outcome.as_ref().err().map(String::as_str);
                assert_eq!(said.filter(|said| said.contains("storage buffers")), reason, "{resets}, {most}");
            }
            plan(&model, run_shape, Request::default(), &caps).unwrap();
        }
    }

    /// Kernels that cannot reset are left out with a reason: multi-workgroup kernels and layer pipelining.
    #[test]
    fn strategies_that_cannot_reset_say_so() {
        let caps = Caps::webgpu_minimum();
        let model = model(Cell::GRU, 7, 7);
        let run_shape = RunShape { resets: true, ..Dims::new(6, 5).unwrap().into() };
        let all = crate::plan::alternatives(&model, run_shape, Request::default(), &caps).unwrap();
        let reason = all[0].iter().find(|candidate| candidate.strategy == Strategy::MultiWorkgroup);
        let reason = reason.and_then(|candidate| candidate.outcome.as_ref().err()).unwrap();
        assert!(reason.contains("reset"), "{reason}");
        let reason = plan(&model, run_shape, Request::default(), &caps).unwrap().not_pipelined.unwrap();
        assert!(reason.contains("reset"), "{reason}");
    }
}
