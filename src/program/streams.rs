//! Programs of streams: a batch whose rows read their states from slots and write them back. Any of many streams can
//! advance together.

use super::lower::{Lowering, Places, Shared, index32, lowered};
use super::{BufferId, Dispatch, Op, Program, Role};
use crate::error::{Error, Result};
use crate::kernels::MoveStates;
use crate::kernels::streams::{ARRAYS, Params, Way};
use crate::model::Model;
use crate::plan::Plan;

/// Threads of a workgroup that moves states.
const WIDTH: u32 = 64;

/// The slot of a row without one: its states begin with zero, or are not stored.
pub const NO_SLOT: u32 = u32::MAX;

/// Buffers of a program for streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamBuffers {
    /// `[2, B]`: the slot that each row's states are read from, and the slot they are written to.
    pub slots: BufferId,
    /// `[capacity, stride]`.
    pub states: BufferId,
}

/// The slots that the rows of a batch read their states from and write them to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots(Vec<u32>);

impl Slots {
    /// For `batch` rows, all without a slot.
    pub fn new(batch: usize) -> Self {
        Self(vec![NO_SLOT; 2 * batch])
    }

    /// Sets the slots of the first rows, each with whether its stream's states are zero; the others have none.
    pub fn set(&mut self, rows: impl Iterator<Item = (u32, bool)>) {
        self.0.fill(NO_SLOT);
        let batch = self.0.len() / 2;
        let (from, to) = self.0.split_at_mut(batch);
        for ((slot, is_zero), (from, to)) in rows.zip(from.iter_mut().zip(to)) {
            (*from, *to) = (if is_zero { NO_SLOT } else { slot }, slot);
        }
    }

    /// The array on the device, `[2, B]`.
    pub fn words(&self) -> &[u32] {
        &self.0
    }
}

/// Numbers of a slot: h of every layer, then c of every layer.
pub fn slot_words(model: &Model) -> usize {
    model.layers().len() * model.state_widths().iter().sum::<usize>()
}

/// Lowers `plan`, which was made for `model`, to a program whose rows' states lie in `capacity` slots.
///
/// # Errors
/// As [`super::lower`]; [`Error::Unsupported`] for layers that are not forward, and for plans with pipelined layers
/// or multi-workgroup kernels, whose states swap buffers.
pub fn lower_streams(model: &Model, plan: &Plan, capacity: usize) -> Result<Program> {
    Ok(lowered_streams(model, plan, capacity)?.program)
}

pub(super) fn lowered_streams<'a>(model: &'a Model, plan: &'a Plan, capacity: usize) -> Result<Lowering<'a>> {
    model.check_streamable()?;
    let mut lowering = lowered(model, plan)?;
    if plan.pipelining.is_some() || lowering.program.exchange_buffer.is_some() {
        return Err(Error::Unsupported {
            what: "streams with layer pipelining or multi-workgroup kernels".into(),
        });
    }
    let stride = slot_words(model);
    let slots = lowering.buffer("slots", Role::Slots, &[2, plan.run_shape.dims.batch])?;
    let states = lowering.buffer("streams", Role::Streams, &[capacity, stride])?;
    lowering.program.streams = Some(StreamBuffers { slots, states });
    let outside = Outside { slots, first: 0, states, capacity, stride, dir_stride: 0 };
    let in_slots = |arrays: Vec<BufferId>| {
        let mut offset = 0;
        let place = |(index, buffer)| {
            let features = if index < model.layers().len() { model.state_size() } else { model.hidden() };
            offset += features;
            Tiled { buffer, features, offset: offset - features }
        };
        arrays.into_iter().enumerate().map(place).collect::<Vec<_>>()
    };
    let before = in_slots(lowering.program.state_arrays(0).collect());
    let after = in_slots(lowering.program.state_arrays_after(0).collect());
    let take = lowering.moves(Way::Take, &before, outside)?;
    let put = lowering.moves(Way::Put, &after, Outside { first: plan.run_shape.dims.batch, ..outside })?;
    lowering.program.ops.splice(0..0, take.into_iter().map(Op::Once));
    lowering.program.ops.extend(put.into_iter().map(Op::Once));
    Ok(lowering)
}

/// Where the states of rows lie outside the tiles of a batch.
#[derive(Clone, Copy)]
pub(super) struct Outside {
    /// The slot of each row, from `first` on.
    pub(super) slots: BufferId,
    pub(super) first: usize,
    pub(super) states: BufferId,
    /// The number of slots.
    pub(super) capacity: usize,
    /// Numbers from a slot to the next, and from a direction to the next.
    pub(super) stride: usize,
    pub(super) dir_stride: usize,
}

/// A layer's h or c, and where in a slot the first direction's lies.
pub(super) struct Tiled {
    pub(super) buffer: BufferId,
    pub(super) features: usize,
    pub(super) offset: usize,
}

impl Lowering<'_> {
    /// Dispatches that move the states of `arrays` to or from their place outside.
    pub(super) fn moves(&mut self, way: Way, arrays: &[Tiled], outside: Outside) -> Result<Vec<Dispatch>> {
        let Outside { slots, first, states, capacity, stride, dir_stride } = outside;
        let (batch, dirs) = (index32("B", self.plan.run_shape.dims.batch)?, index32("D", self.dirs())?);
        let (_, order_rows) = self.places(Places::Sorted)?;
        let mut dispatches = Vec::new();
        for arrays in arrays.chunks(ARRAYS) {
            let mut params = Params {
                batch,
                order_rows,
                first: index32("B", first)?,
                capacity: index32("slots", capacity)?,
                stride: index32("numbers of a slot", stride)?,
                features: [0; ARRAYS],
                offsets: [0; ARRAYS],
                dirs,
                dir_stride: index32("numbers of a direction", dir_stride)?,
                unused: 0,
            };
            let mut buffers = vec![self.program.order, slots, states];
            for (place, &Tiled { buffer, features, offset }) in arrays.iter().enumerate() {
                params.features[place] = index32("P or H", features)?;
                params.offsets[place] = index32("numbers of a slot", offset)?;
                buffers.push(buffer);
            }
            for place in arrays.len()..ARRAYS {
                buffers.push(self.stand_in(place)?);
            }
            let most = params.features.iter().copied().max().unwrap_or(1);
            let kernel = MoveStates { way, rows: self.plan.rows, features: most, width: WIDTH.min(most) };
            let size = [batch, dirs * index32("arrays", arrays.len())?];
            dispatches.push(Dispatch::new(&kernel, &params, size, buffers));
        }
        Ok(dispatches)
    }

    /// The stand-in for an array that the model does not have.
    fn stand_in(&mut self, place: usize) -> Result<BufferId> {
        self.shared(Shared::NoArray(place), |this| {
            this.buffer(&format!("no.array.{place}"), Role::Scratch, &[ARRAYS])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_say_where_states_come_from_and_go() {
        let mut slots = Slots::new(3);
        slots.set([(7, false), (2, true)].into_iter());
        assert_eq!(slots.words(), [7, NO_SLOT, NO_SLOT, 7, 2, NO_SLOT]);
        slots.set([(1, false)].into_iter());
        assert_eq!(slots.words(), [1, NO_SLOT, NO_SLOT, 1, NO_SLOT, NO_SLOT]);
    }
}
