//! The ends of a recorded run: dispatches before and after its operations, on arrays of the device in the caller's
//! layout. Lengths become the order of rows; h0 and c0 become the tiled states that the kernels read; and these
//! become h_n and c_n. Each part runs only where its array is given.

use super::lower::{Lowering, index32, lowered};
use super::streams::{Outside, Tiled, lowered_streams};
use super::{BufferId, Dispatch, Program, Role, StateBuffers};
use crate::dims::product;
use crate::error::{Error, Result};
use crate::kernels::OrderRows;
use crate::kernels::order_rows::{self, NO_READOUT, READOUT_EVERY, READOUT_LAST};
use crate::kernels::streams::Way;
use crate::model::{Model, ReadoutSteps};
use crate::plan::Plan;

/// An array of the caller's, and the dispatches that read or write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The array, in the caller's layout.
    pub array: BufferId,
    /// The dispatches.
    pub dispatches: Vec<Dispatch>,
}

/// Dispatches on arrays of the caller's before and after a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// `[B]` of u32, from which the order of rows is made.
    pub lengths: End,
    /// h0 `[L·D, B, P]`, and c0 `[L·D, B, H]` of LSTMs. Empty for streams, whose states are in their slots.
    pub initial: Vec<End>,
    /// h_n and c_n, likewise.
    pub last: Vec<End>,
    /// The slot of each row: its own number.
    pub rows: Option<BufferId>,
}

impl Ends {
    /// Every dispatch.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        let all = [&self.lengths].into_iter().chain(&self.initial).chain(&self.last);
        all.flat_map(|end| &end.dispatches)
    }
}

/// Lowers `plan`, which was made for `model`, to a program that can be recorded between the caller's dispatches: its
/// states come from the caller's arrays and go to them.
///
/// # Errors
/// As [`super::lower`]; [`Error::Unsupported`] for plans with pipelined layers or multi-workgroup kernels, since the
/// host has to check their completion.
pub fn lower_recorded(model: &Model, plan: &Plan) -> Result<Program> {
    recorded_run(lowered(model, plan)?)
}

/// [`lower_recorded`] of one step, as [`super::lower_session`] lowers it.
///
/// # Errors
/// As [`lower_recorded`].
pub fn lower_recorded_session(model: &Model, plan: &Plan) -> Result<Program> {
    let mut lowering = lowered(model, plan)?;
    lowering.reset_streams()?;
    recorded_run(lowering)
}

fn recorded_run(mut lowering: Lowering<'_>) -> Result<Program> {
    let (model, plan) = (lowering.model, lowering.plan);
    let lengths = lowering.lengths()?;
    let batch = plan.run_shape.dims.batch;
    let rows = lowering.buffer("rows", Role::Slots, &[batch])?;
    let mut ends = Ends { lengths, initial: Vec::new(), last: Vec::new(), rows: Some(rows) };
    let states = lowering.program.states.clone();
    let h = |phase: Option<usize>| {
        states.iter().map(|state| state.h[phase.unwrap_or(state.changes) % 2]).collect::<Vec<_>>()
    };
    ends.initial.push(lowering.states("h0", Way::Take, &h(Some(0)), model.state_size(), rows)?);
    ends.last.push(lowering.states("h_n", Way::Put, &h(None), model.state_size(), rows)?);
    let c = |state: &StateBuffers| state.c.map(|c| c[0]);
    let c: Vec<_> = states.iter().filter_map(c).collect();
    if !c.is_empty() {
        ends.initial.push(lowering.states("c0", Way::Take, &c, model.hidden(), rows)?);
        ends.last.push(lowering.states("c_n", Way::Put, &c, model.hidden(), rows)?);
    }
    recorded(lowering, ends)
}

/// [`super::lower_streams`] to a program that can be recorded, with lengths on the device where the caller gives them
/// there.
///
/// # Errors
/// As [`super::lower_streams`].
pub fn lower_recorded_streams(model: &Model, plan: &Plan, capacity: usize) -> Result<Program> {
    let mut lowering = lowered_streams(model, plan, capacity)?;
    let lengths = lowering.lengths()?;
    let ends = Ends { lengths, initial: Vec::new(), last: Vec::new(), rows: None };
    recorded(lowering, ends)
}

fn recorded(mut lowering: Lowering<'_>, ends: Ends) -> Result<Program> {
    if lowering.plan.pipelining.is_some() || lowering.program.exchange_buffer.is_some() {
        return Err(Error::Unsupported {
            what:
                "a recording with layer pipelining or multi-workgroup kernels, whose completion the host has to check"
                    .into(),
        });
    }
    lowering.program.ends = Some(ends);
    Ok(lowering.program)
}

impl Lowering<'_> {
    fn lengths(&mut self) -> Result<End> {
        let dims = self.plan.run_shape.dims;
        let array = self.buffer("lengths", Role::End, &[dims.batch])?;
        let padded = index32("B", self.padded()?)?;
        let readout = match self.program.readout {
            None => NO_READOUT,
            Some(ReadoutSteps::Last) => READOUT_LAST,
            Some(ReadoutSteps::Every) => READOUT_EVERY,
        };
        let [batch, steps] = [index32("B", dims.batch)?, index32("T", dims.steps)?];
        let params = order_rows::Params { batch, padded, steps, readout };
        let kernel = OrderRows { width: order_rows::WIDTH };
        let dispatch = Dispatch::new(&kernel, &params, [padded, 1], vec![array, self.program.order]);
        Ok(End { array, dispatches: vec![dispatch] })
    }

    /// `[L·D, B, features]` from or to `tiled`, one array for each layer; `rows` has the slot of each row.
    fn states(
        &mut self,
        name: &str,
        way: Way,
        tiled: &[BufferId],
        features: usize,
        rows: BufferId,
    ) -> Result<End> {
        let (batch, dirs) = (self.plan.run_shape.dims.batch, self.dirs());
        let of_a_direction = product(name, &[batch, features])?;
        let array = self.buffer(name, Role::End, &[tiled.len(), dirs, of_a_direction])?;
        let place = |(layer, &buffer)| Tiled { buffer, features, offset: layer * dirs * of_a_direction };
        let arrays: Vec<_> = tiled.iter().enumerate().map(place).collect();
        let outside = Outside {
            slots: rows,
            first: 0,
            states: array,
            capacity: batch,
            stride: features,
            dir_stride: of_a_direction,
        };
        Ok(End { array, dispatches: self.moves(way, &arrays, outside)? })
    }
}
