//! A pool on the CPU path: the rows' states are copied together, advanced, and copied back.

use std::ops::Range;

use super::batches::Group;
use super::snapshot::widths;
use super::table::Rows;
use crate::cpu;
use crate::dims::{Dims, product};
use crate::engine::run::{Backend, Engine};
use crate::error::{Error, Result};
use crate::program::slot_words;

#[derive(Debug)]
pub(super) struct CpuPool {
    /// `[capacity, stride]`.
    states: Vec<f32>,
    stride: usize,
    /// States of the rows of a group, `[L, B, P]` and `[L, B, H]`.
    h: Vec<f32>,
    c: Vec<f32>,
    lengths: Vec<u32>,
    scratch: Box<cpu::Scratch>,
    broken: bool,
}

impl CpuPool {
    pub(super) fn new(engine: &Engine, capacity: usize) -> Result<Self> {
        let stride = slot_words(engine.model());
        let (states, h, c, lengths, scratch) = Default::default();
        let mut pool = Self { states, stride, h, c, lengths, scratch, broken: false };
        pool.grow(capacity)?;
        Ok(pool)
    }

    pub(super) fn grow(&mut self, capacity: usize) -> Result<()> {
        let numbers = product("states of streams", &[capacity, self.stride])?;
        make_room("states of streams", &mut self.states, numbers)
    }

    pub(super) fn write_all(&mut self, states: &[f32]) {
        self.states[..states.len()].copy_from_slice(states);
    }

    pub(super) fn slots_mut(&mut self, slots: Range<usize>) -> &mut [f32] {
        &mut self.states[slots.start * self.stride..slots.end * self.stride]
    }

    /// Makes ready what ticks of so many rows and steps need.
    pub(super) fn prepare(&mut self, engine: &Engine, dims: Dims) -> Result<()> {
        let model = engine.model();
        let (layers, [p, c]) = (model.layers().len(), widths(model));
        make_room("h of a tick", &mut self.h, product("h of a tick", &[layers, dims.batch, p])?)?;
        make_room("c of a tick", &mut self.c, product("c of a tick", &[layers, dims.batch, c])?)?;
        match &engine.0.backend {
            Backend::Cpu(engine) => engine.network.prepare(dims.into(), &engine.processor, &mut self.scratch),
            Backend::Gpu(_) | Backend::Reference => Ok(()),
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Advances the rows of every group, or of those before the first that fails; of how many groups. Their outputs are y and
    /// the readout.
    pub(super) fn begin(
        &mut self,
        engine: &Engine,
        groups: &[Group],
        rows: Rows<'_>,
        x: &[f32],
        [y, out]: [&mut [f32]; 2],
    ) -> Result<usize> {
        let input = engine.model().input();
        let (features, outputs) =
            (engine.model().output(), engine.model().readout().map_or(0, |readout| readout.outputs()));
        let mut at = 0;
        for (index, group) in groups.iter().enumerate() {
            let frames = group.rows.len() * group.steps;
            let y = &mut y[at * features..][..frames * features];
            let out = &mut out[at * outputs..][..frames * outputs];
            // A panic here leaves groups that have moved, and frames that nobody has taken out of the queues.
            self.broken = index > 0;
            let advanced = self.advance(engine, group, rows, &x[at * input..][..frames * input], y, out);
            self.broken = false;
            match advanced {
                Ok(()) => at += frames,
                // It has moved no state; those before it have, and are a tick of their own.
                Err(_) if index > 0 => return Ok(index),
                Err(error) => return Err(error),
            }
        }
        Ok(groups.len())
    }

    fn advance(
        &mut self,
        engine: &Engine,
        group: &Group,
        rows: Rows<'_>,
        x: &[f32],
        y: &mut [f32],
        out: &mut [f32],
    ) -> Result<()> {
        let model = engine.model();
        let dims = Dims { batch: group.rows.len(), steps: group.steps };
        let (layers, [state, c]) = (model.layers().len(), widths(model));
        make_room("h of a tick", &mut self.h, layers * dims.batch * state)?;
        make_room("c of a tick", &mut self.c, layers * dims.batch * c)?;
        self.lengths.clear();
        self.lengths.extend(rows.frames(group));
        let Self { states, stride, h, c: cells, lengths, scratch, .. } = self;
        let h = &mut h[..layers * dims.batch * state];
        let cells = &mut cells[..layers * dims.batch * c];
        // Layer by layer, each row's share of a slot, which has every h before every c.
        let of = |slot: u32, layer: usize| slot as usize * *stride + layer * state;
        let of_c = |slot: u32, layer: usize| slot as usize * *stride + layers * state + layer * c;
        for (row, (slot, zero)) in rows.slots(group).enumerate() {
            for layer in 0..layers {
                let h = &mut h[(layer * dims.batch + row) * state..][..state];
                let cells = &mut cells[(layer * dims.batch + row) * c..][..c];
                if zero {
                    h.fill(0.0);
                    cells.fill(0.0);
                } else {
                    h.copy_from_slice(&states[of(slot, layer)..][..state]);
                    cells.copy_from_slice(&states[of_c(slot, layer)..][..c]);
                }
            }
        }
        let is_ragged = lengths.iter().any(|&length| length as usize != dims.steps);
        let lengths = is_ragged.then_some(&lengths[..]);
        let given = cpu::Given { x, form: dims.into(), lengths, resets: None };
        engine.advance(given, scratch, cpu::Targets { h, c: cells, y, out })?;
        for (row, (slot, _)) in rows.slots(group).enumerate() {
            for layer in 0..layers {
                let at = layer * dims.batch + row;
                states[of(slot, layer)..][..state].copy_from_slice(&h[at * state..][..state]);
                states[of_c(slot, layer)..][..c].copy_from_slice(&cells[at * c..][..c]);
            }
        }
        Ok(())
    }
}

/// Makes `array` so long at least.
fn make_room(name: &str, array: &mut Vec<f32>, numbers: usize) -> Result<()> {
    let missing = numbers.saturating_sub(array.len());
    array.try_reserve(missing).map_err(|_| Error::Memory { name: name.into(), bytes: numbers * 4 })?;
    array.resize(numbers.max(array.len()), 0.0);
    Ok(())
}
