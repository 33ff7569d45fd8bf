//! A pool on the host: the rows' states are gathered, advanced, and scattered back.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::{Given, Host, Path, narrow};
use crate::dims::{Dims, product};
use crate::engine::backend::{Backend, Batches, Begun, Group, TickRows, Ticks};
use crate::error::{Error, Result};
use crate::program::slot_words;
use crate::progress::Progress;
use crate::sync::Wait;

#[derive(Debug)]
pub(in crate::engine) struct HostPool<P: Path> {
    host: Arc<Host<P>>,
    /// `[capacity, stride]`: for each stream every layer's h before every layer's c.
    states: Vec<P::Number>,
    stride: usize,
    /// States as f32, for the caller to read.
    read: Vec<f32>,
    /// States of the rows of a group, `[L, B, P]` and `[L, B, H]`.
    h: Vec<P::Number>,
    c: Vec<P::Number>,
    lengths: Vec<u32>,
    scratch: Box<P::Scratch>,
    broken: bool,
}

impl<P: Path> HostPool<P> {
    pub(super) fn new(host: Arc<Host<P>>, capacity: usize) -> Result<Self> {
        let stride = slot_words(&host.model);
        let (states, read, h, c, lengths, scratch) = Default::default();
        let mut pool = Self { host, states, stride, read, h, c, lengths, scratch, broken: false };
        pool.make_slots(capacity)?;
        Ok(pool)
    }

    fn make_slots(&mut self, capacity: usize) -> Result<()> {
        let numbers = product("states of streams", &[capacity, self.stride])?;
        make_room("states of streams", &mut self.states, numbers)
    }

    fn advance(
        &mut self,
        group: &Group,
        rows: impl TickRows,
        x: &[f32],
        outputs: [&mut [f32]; 2],
        progress: &Progress,
    ) -> Result<()> {
        let model = &self.host.model;
        let dims = Dims { batch: group.rows.len(), steps: group.steps };
        let (layers, [state, c]) = (model.layers().len(), model.state_widths());
        make_room("h of a tick", &mut self.h, layers * dims.batch * state)?;
        make_room("c of a tick", &mut self.c, layers * dims.batch * c)?;
        self.lengths.clear();
        self.lengths.extend(rows.frames(group));
        let Self { host, states, stride, h, c: cells, lengths, scratch, .. } = self;
        let h = &mut h[..layers * dims.batch * state];
        let cells = &mut cells[..layers * dims.batch * c];
        // For each layer, the row's range in a slot.
        let of = |slot: u32, layer: usize| slot as usize * *stride + layer * state;
        let of_c = |slot: u32, layer: usize| slot as usize * *stride + layers * state + layer * c;
        for (row, (slot, zero)) in rows.slots(group).enumerate() {
            for layer in 0..layers {
                let h = &mut h[(layer * dims.batch + row) * state..][..state];
                let cells = &mut cells[(layer * dims.batch + row) * c..][..c];
                if zero {
                    h.fill(P::Number::default());
                    cells.fill(P::Number::default());
                } else {
                    h.copy_from_slice(&states[of(slot, layer)..][..state]);
                    cells.copy_from_slice(&states[of_c(slot, layer)..][..c]);
                }
            }
        }
        let is_ragged = lengths.iter().any(|&length| length as usize != dims.steps);
        let given = Given {
            x,
            run_shape: dims.into(),
            lengths: is_ragged.then_some(&lengths[..]),
            resets: None,
            interrupt: None,
        };
        host.path.advance(given, scratch, [&mut *h, &mut *cells], outputs, progress)?;
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

impl<P: Path> Batches for HostPool<P> {}

impl<P: Path> Ticks for HostPool<P> {
    fn expected(&self, streams: usize, frames: usize) -> Result<Duration> {
        self.host.expected(Dims::new(streams, frames)?.into())
    }

    fn grow(&mut self, capacity: usize) -> Result<()> {
        self.make_slots(capacity)
    }

    fn write_all(&mut self, states: &[f32]) -> Result<()> {
        self.states.iter_mut().zip(states).for_each(|(to, &from)| *to = from.into());
        Ok(())
    }

    fn write(&mut self, slot: usize, states: &[f32]) {
        let slot = &mut self.states[slot * self.stride..][..self.stride];
        slot.iter_mut().zip(states).for_each(|(to, &from)| *to = from.into());
    }

    async fn read(
        &mut self,
        slots: &[Range<usize>],
        _: Wait<'_>,
        mut read: impl FnMut(Range<usize>, &[f32]),
    ) -> Result<()> {
        for run in slots {
            let states = &self.states[run.start * self.stride..run.end * self.stride];
            make_room("states of streams", &mut self.read, states.len())?;
            let narrowed = &mut self.read[..states.len()];
            narrow::<P>(states, narrowed);
            read(run.clone(), narrowed);
        }
        Ok(())
    }

    fn prepare(&mut self, streams: usize, frames: usize) -> Result<()> {
        let dims = Dims::new(streams, frames)?;
        let model = &self.host.model;
        let (layers, [p, c]) = (model.layers().len(), model.state_widths());
        make_room("h of a tick", &mut self.h, product("h of a tick", &[layers, dims.batch, p])?)?;
        make_room("c of a tick", &mut self.c, product("c of a tick", &[layers, dims.batch, c])?)?;
        self.host.path.prepare(dims.into(), &mut self.scratch)
    }

    fn begin(
        &mut self,
        groups: &[Group],
        rows: impl TickRows,
        x: &[f32],
        [y, out]: [&mut [f32]; 2],
        progress: &Arc<Progress>,
    ) -> Result<Begun> {
        let model = &self.host.model;
        let input = model.input();
        let (features, outputs) = (model.output(), model.readout().map_or(0, |readout| readout.outputs()));
        let mut at = 0;
        for (index, group) in groups.iter().enumerate() {
            let frames = group.rows.len() * group.steps;
            let y = &mut y[at * features..][..frames * features];
            let out = &mut out[at * outputs..][..frames * outputs];
            // A panic here leaves some groups advanced, with their frames still in the queues.
            self.broken = index > 0;
            let advanced = self.advance(group, rows, &x[at * input..][..frames * input], [y, out], progress);
            self.broken = false;
            match advanced {
                Ok(()) => at += frames,
                // This group has moved no state. Those before it have, and are a complete tick.
                Err(_) if index > 0 => return Ok(Begun { groups: index, landed: true }),
                Err(error) => return Err(error),
            }
        }
        Ok(Begun { groups: groups.len(), landed: true })
    }

    fn is_broken(&self) -> bool {
        self.broken
    }
}

/// Makes `array` at least `numbers` long.
fn make_room<T: Copy + Default>(name: &str, array: &mut Vec<T>, numbers: usize) -> Result<()> {
    let missing = numbers.saturating_sub(array.len());
    let bytes = numbers * size_of::<T>();
    array.try_reserve(missing).map_err(|_| Error::Memory { name: name.into(), bytes })?;
    array.resize(numbers.max(array.len()), T::default());
    Ok(())
}
