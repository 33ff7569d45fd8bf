//! Programs of streams: a batch whose rows take their states from slots and put them back, so that any of many streams
//! advance together.

use super::lower::{Lowering, Places, index32, lowered};
use super::{BufferId, Dispatch, Op, Program, Role};
use crate::error::{Error, Result};
use crate::kernels::streams::{ARRAYS, Params as StreamParams, Way};
use crate::kernels::{Kernel, Params};
use crate::model::Model;
use crate::plan::Plan;

/// Threads of a workgroup that moves states.
const WIDTH: u32 = 64;

/// The slot of a row that has none: its states begin with zero, or are not put anywhere.
pub const NO_SLOT: u32 = u32::MAX;

/// Buffers of a program for streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamBuffers {
    /// `[2, B]`: the slot that each row's states are taken from, and the one they are put into.
    pub slots: BufferId,
    /// `[capacity, stride]`.
    pub states: BufferId,
}

/// The slots that the rows of a batch take their states from and put them into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots(Vec<u32>);

impl Slots {
    /// For `batch` rows, none of which has any.
    pub fn new(batch: usize) -> Self {
        Self(vec![NO_SLOT; 2 * batch])
    }

    /// Takes the slots of the first rows, each with whether its stream's states are zero; the others have none.
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
    let c = if model.cell().has_c() { model.hidden() } else { 0 };
    model.layers().len() * (model.state() + c)
}

/// Lowers `plan`, which was made for `model`, to a program whose rows' states lie in `capacity` slots.
///
/// # Errors
/// As [`super::lower`]; [`Error::Unsupported`] for layers that are not forward, and for plans of layers at once and of
/// workgroups that exchange values, whose states change places.
pub fn lower_streams(model: &Model, plan: &Plan, capacity: usize) -> Result<Program> {
    model.check_streamable()?;
    let mut lowering = lowered(model, plan)?;
    if plan.wave.is_some() || lowering.program.mail.is_some() {
        return Err(Error::Unsupported {
            what: "streams by layers at once or by workgroups together".into(),
        });
    }
    let stride = slot_words(model);
    let slots = lowering.buffer("slots", Role::Slots, &[2, plan.form.dims.batch])?;
    let states = lowering.buffer("streams", Role::Streams, &[capacity, stride])?;
    lowering.program.streams = Some(StreamBuffers { slots, states });
    let before: Vec<_> = lowering.program.state_arrays(0).collect();
    let after: Vec<_> = lowering.program.state_arrays_after(0).collect();
    let take = lowering.moves(Way::Take, &before, [slots, states], capacity)?;
    let put = lowering.moves(Way::Put, &after, [slots, states], capacity)?;
    let mut program = lowering.program;
    program.ops.splice(0..0, take);
    program.ops.extend(put);
    Ok(program)
}

impl Lowering<'_> {
    /// Dispatches that move the states of `arrays`, every layer's h and then every layer's c, to or from the slots.
    fn moves(
        &mut self,
        way: Way,
        arrays: &[BufferId],
        [slots, states]: [BufferId; 2],
        capacity: usize,
    ) -> Result<Vec<Op>> {
        let (model, batch) = (self.model, index32("B", self.plan.form.dims.batch)?);
        let features =
            |index: usize| if index < model.layers().len() { model.state() } else { model.hidden() };
        let (_, order_rows) = self.places(Places::Sorted)?;
        let (mut ops, mut offset) = (Vec::new(), 0);
        let indices: Vec<usize> = (0..arrays.len()).collect();
        for indices in indices.chunks(ARRAYS) {
            let mut params = StreamParams {
                batch,
                order_rows,
                first: if way == Way::Take { 0 } else { batch },
                capacity: index32("slots", capacity)?,
                stride: index32("numbers of a slot", slot_words(model))?,
                features: [0; ARRAYS],
                offsets: [0; ARRAYS],
                unused: [0; 3],
            };
            let mut buffers = vec![self.program.order, slots, states];
            for (place, &index) in indices.iter().enumerate() {
                params.features[place] = index32("P or H", features(index))?;
                params.offsets[place] = offset;
                offset += params.features[place];
                buffers.push(arrays[index]);
            }
            for place in indices.len()..ARRAYS {
                buffers.push(self.stand_in(place)?);
            }
            let most = params.features.iter().copied().max().unwrap_or(1);
            let kernel =
                Kernel::Streams { way, rows: self.plan.rows, features: most, width: WIDTH.min(most) };
            let grid = kernel.grid(batch, index32("arrays", indices.len())?);
            ops.push(Op::Once(Dispatch { kernel, params: Params::Streams(params), buffers, grid }));
        }
        Ok(ops)
    }

    /// What is bound in the place of an array that there is not.
    fn stand_in(&mut self, place: usize) -> Result<BufferId> {
        let name = format!("no.array.{place}");
        match self.program.buffers.iter().position(|buffer| buffer.name == name) {
            Some(buffer) => Ok(buffer),
            None => self.buffer(&name, Role::Scratch, &[ARRAYS]),
        }
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
