//! One tick: its frames and its outputs.

use super::id::StreamId;
use super::table::{Rows, no_memory};
use crate::dims::product;
use crate::engine::backend::{Group, TickRows};
use crate::error::{Error, Result};
use crate::model::Model;

/// A stream's place in the outputs of a tick.
#[derive(Debug, Clone, Copy)]
struct Row {
    stream: StreamId,
    frames: usize,
    /// The number of frames before its first.
    at: usize,
}

/// The outputs of a tick in flight.
#[derive(Debug, Default)]
pub(super) struct Flight {
    rows: Vec<Row>,
    features: usize,
    outputs: usize,
    /// `[rows, T, P]` of each group.
    pub(super) y: Vec<f32>,
    /// `[rows, T, O]` of each group; empty where there is no readout.
    pub(super) out: Vec<f32>,
    /// The groups' rows and steps.
    pub(super) parts: Vec<[usize; 2]>,
    /// Whether the outputs have landed.
    pub(super) landed: bool,
    /// Whether [`super::Pool::tick`] began it, which then also returns the outputs.
    pub(super) of_tick: bool,
}

impl Flight {
    /// Assigns each row its place in the outputs, and makes room for them.
    pub(super) fn lay_out(&mut self, groups: &[Group], rows: Rows<'_>, model: &Model) -> Result<()> {
        self.rows.clear();
        self.parts.clear();
        (self.landed, self.of_tick) = (false, false);
        let mut all = 0;
        for group in groups {
            let Group { rows: range, steps } = group;
            let frames = rows.frames(group).map(|frames| frames as usize);
            let of_row = |(row, (stream, frames))| Row { stream, frames, at: all + row * steps };
            self.rows.extend(rows.streams(group).zip(frames).enumerate().map(of_row));
            self.parts.push([range.len(), *steps]);
            all += range.len() * steps;
        }
        self.features = model.output();
        self.outputs = model.readout().map_or(0, |readout| readout.outputs());
        for (name, array, width) in
            [("y of a tick", &mut self.y, self.features), ("out of a tick", &mut self.out, self.outputs)]
        {
            let numbers = product(name, &[all, width])?;
            make_room(name, array, numbers)?;
            array.truncate(numbers);
        }
        Ok(())
    }

    /// Keeps the first `rows` rows; the others wait for another tick.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// The arrays for the outputs.
    pub(super) fn arrays(&mut self) -> [&mut [f32]; 2] {
        [&mut self.y, &mut self.out]
    }

    /// Swaps arrays with `output`.
    pub(super) fn hand_over(&mut self, output: &mut TickOutput) {
        std::mem::swap(&mut self.rows, &mut output.rows);
        std::mem::swap(&mut self.y, &mut output.y);
        std::mem::swap(&mut self.out, &mut output.out);
        (output.features, output.outputs) = (self.features, self.outputs);
    }
}

/// The result of a tick: the outputs of every frame that it took.
#[derive(Debug, Default)]
pub struct TickOutput {
    pub(super) snapshot_error: Option<Error>,
    rows: Vec<Row>,
    features: usize,
    outputs: usize,
    y: Vec<f32>,
    out: Vec<f32>,
}

/// The outputs of a stream's frames.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Frames<'a> {
    /// The stream.
    pub stream: StreamId,
    /// The number of frames.
    pub frames: usize,
    /// The last layer's h after each, `[n, P]`.
    pub y: &'a [f32],
    /// The readout of each, `[n, O]`; where the model has one.
    pub out: Option<&'a [f32]>,
}

impl TickOutput {
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.snapshot_error = None;
    }

    /// Why a due snapshot ([`super::PoolOptions::snapshots`]) could not be saved or written, since the outputs before these; the
    /// last reason if there were several. The pool goes on, and the next snapshot is tried when it is due.
    pub fn snapshot_error(&self) -> Option<&Error> {
        self.snapshot_error.as_ref()
    }

    /// The number of streams that the tick advanced.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The outputs of every stream that the tick advanced.
    pub fn iter(&self) -> impl Iterator<Item = Frames<'_>> {
        self.rows.iter().map(|row| self.frames(row))
    }

    /// The outputs of one stream; `None` if the tick did not advance it. A linear search.
    pub fn of(&self, stream: StreamId) -> Option<Frames<'_>> {
        self.rows.iter().find(|row| row.stream == stream).map(|row| self.frames(row))
    }

    fn frames(&self, row: &Row) -> Frames<'_> {
        let &Row { stream, frames, at } = row;
        let out = (self.outputs > 0).then(|| &self.out[at * self.outputs..][..frames * self.outputs]);
        Frames { stream, frames, y: &self.y[at * self.features..][..frames * self.features], out }
    }
}

/// Gathers the frames of a tick, `[rows, T, I]` of each group; the padding past a row's own frames is unspecified.
pub(super) fn gather(groups: &[Group], rows: Rows<'_>, input: usize, x: &mut Vec<f32>) -> Result<()> {
    let frames = groups.iter().map(|group| group.rows.len() * group.steps).sum::<usize>();
    let numbers = product("x of a tick", &[frames, input])?;
    make_room("x of a tick", x, numbers)?;
    x.truncate(numbers);
    let mut at = 0;
    for group in groups {
        for own in rows.queues(group, input) {
            x[at..at + own.len()].copy_from_slice(own);
            at += group.steps * input;
        }
    }
    Ok(())
}

/// Makes `array` at least `numbers` long.
fn make_room(name: &str, array: &mut Vec<f32>, numbers: usize) -> Result<()> {
    let missing = numbers.saturating_sub(array.len());
    array.try_reserve(missing).map_err(|_| no_memory(name, numbers * 4))?;
    array.resize(numbers.max(array.len()), 0.0);
    Ok(())
}
