//! One tick: which rows go together, and what comes of them.

use std::ops::Range;

use super::backend::Backend;
use super::table::{StreamId, Table};
use crate::dims::product;
use crate::error::{Error, Result};
use crate::model::Model;

/// Frames of padding that are not worth a dispatch more.
const SLACK: usize = 64;

/// Rows that are computed as one batch, of T = `steps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) rows: Range<usize>,
    pub(super) steps: usize,
}

/// How many rows a batch may have, and of how many steps it is.
pub(super) trait Batches {
    /// T of a batch whose longest row has so many frames, at most `most`.
    fn steps(&self, frames: usize, most: usize) -> usize;

    /// Rows of a batch of so many steps at the most.
    fn most_rows(&self, steps: usize) -> usize;
}

/// Groups rows, whose frames fall, so that no more than half of a batch is padding, but for a little.
pub(super) fn groups(
    frames: impl Iterator<Item = usize>,
    batches: &impl Batches,
    most: usize,
    groups: &mut Vec<Group>,
) {
    groups.clear();
    let mut real = 0;
    for (row, frames) in frames.enumerate() {
        if let Some(group) = groups.last_mut() {
            let rows = group.rows.len() + 1;
            if rows <= batches.most_rows(group.steps) && rows * group.steps <= 2 * (real + frames) + SLACK {
                group.rows.end = row + 1;
                real += frames;
                continue;
            }
        }
        groups.push(Group { rows: row..row + 1, steps: batches.steps(frames, most) });
        real = frames;
    }
}

/// A stream's place in the outputs of a tick.
#[derive(Debug, Clone, Copy)]
struct Row {
    stream: StreamId,
    frames: usize,
    /// Frames before its first.
    at: usize,
}

/// The outputs of a tick, on their way.
#[derive(Debug, Default)]
pub(super) struct Flight {
    rows: Vec<Row>,
    features: usize,
    outputs: usize,
    /// `[rows, T, P]` of each group.
    pub(super) y: Vec<f32>,
    /// `[rows, T, O]` of each group; nothing where there is no readout.
    pub(super) out: Vec<f32>,
    /// The groups' rows and steps.
    pub(super) parts: Vec<[usize; 2]>,
    /// What the device knows it by.
    pub(super) ticket: Option<super::gpu::Ticket>,
}

impl Flight {
    /// Says where the outputs of each row will stand, and makes room for them.
    pub(super) fn lay_out(
        &mut self,
        groups: &[Group],
        table: &Table,
        model: &Model,
        most: usize,
    ) -> Result<()> {
        self.rows.clear();
        self.parts.clear();
        let mut all = 0;
        for Group { rows, steps } in groups {
            self.rows.extend(table.ready()[rows.clone()].iter().enumerate().map(|(row, &slot)| Row {
                stream: table.stream_of(slot),
                frames: table.frames_of(slot, most),
                at: all + row * steps,
            }));
            self.parts.push([rows.len(), *steps]);
            all += rows.len() * steps;
        }
        self.features = model.output();
        self.outputs = model.readout().map_or(0, |readout| readout.outputs());
        for (name, array, width) in
            [("y of a tick", &mut self.y, self.features), ("out of a tick", &mut self.out, self.outputs)]
        {
            let numbers = product(name, &[all, width])?;
            let missing = numbers.saturating_sub(array.len());
            array
                .try_reserve(missing)
                .map_err(|_| Error::Memory { name: name.into(), bytes: numbers * 4 })?;
            array.resize(numbers, 0.0);
        }
        Ok(())
    }

    /// Changes arrays with `output`.
    pub(super) fn hand_over(&mut self, output: &mut TickOutput) {
        std::mem::swap(&mut self.rows, &mut output.rows);
        std::mem::swap(&mut self.y, &mut output.y);
        std::mem::swap(&mut self.out, &mut output.out);
        (output.features, output.outputs) = (self.features, self.outputs);
    }
}

/// What a tick gives: the outputs of every frame that it took.
#[derive(Debug, Default)]
pub struct TickOutput {
    rows: Vec<Row>,
    features: usize,
    outputs: usize,
    y: Vec<f32>,
    out: Vec<f32>,
}

/// The outputs of a stream's frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frames<'a> {
    /// The stream.
    pub stream: StreamId,
    /// How many frames there are.
    pub frames: usize,
    /// The last layer's h after each, `[n, P]`.
    pub y: &'a [f32],
    /// The readout of each, `[n, O]`; where the model has one.
    pub out: Option<&'a [f32]>,
}

impl TickOutput {
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Streams that the tick advanced.
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

    /// The outputs of one stream; none where the tick did not advance it. Looks through all of them.
    pub fn of(&self, stream: StreamId) -> Option<Frames<'_>> {
        self.rows.iter().find(|row| row.stream == stream).map(|row| self.frames(row))
    }

    fn frames(&self, row: &Row) -> Frames<'_> {
        let &Row { stream, frames, at } = row;
        let out = (self.outputs > 0).then(|| &self.out[at * self.outputs..][..frames * self.outputs]);
        Frames { stream, frames, y: &self.y[at * self.features..][..frames * self.features], out }
    }
}

impl Batches for Backend {
    fn steps(&self, frames: usize, most: usize) -> usize {
        match self {
            Self::Gpu(_) => frames.next_power_of_two().min(most),
            Self::Cpu(_) => frames,
        }
    }

    fn most_rows(&self, steps: usize) -> usize {
        match self {
            Self::Gpu(pool) => pool.most_rows(steps),
            Self::Cpu(_) => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of powers of two, of ten rows at the most.
    struct Tens;

    impl Batches for Tens {
        fn steps(&self, frames: usize, most: usize) -> usize {
            frames.next_power_of_two().min(most)
        }

        fn most_rows(&self, _: usize) -> usize {
            10
        }
    }

    #[test]
    fn rows_of_like_length_go_together() {
        let mut all = Vec::new();
        let of = |frames: &[usize], all: &mut Vec<Group>| groups(frames.iter().copied(), &Tens, 100, all);
        of(&[], &mut all);
        assert!(all.is_empty());
        of(&[1; 25], &mut all);
        let ones = |rows: Range<usize>| Group { rows, steps: 1 };
        assert_eq!(all, [ones(0..10), ones(10..20), ones(20..25)]);
        // A long row does not make its length of all of them.
        of(&[100, 1, 1, 1], &mut all);
        assert_eq!(all, [Group { rows: 0..2, steps: 100 }, Group { rows: 2..4, steps: 1 }]);
        of(&[3, 2, 2, 1], &mut all);
        assert_eq!(all, [Group { rows: 0..4, steps: 4 }]);
    }
}
