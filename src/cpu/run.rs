//! One run: which thread does what, on which part of the memory.

use std::ops::Range;

use super::barrier::Barrier;
use super::direction::Direction;
use super::gates::Arrays;
use super::given::{Given, Targets};
use super::pieces::Pieces;
use super::product::{Rows, Sums, multiply};
use super::readout::{Dense, Row};
use super::shared::{Shared, Source};
use super::simd::Simd;
use super::split::{Split, ThreadSlot, share};
use super::stop::Stop;
use super::tiles::{MOST_ROWS, Order, tiles};
use super::walk::{Own, Part, Track};
use super::{Network, Scratch};
use crate::error::Result;
use crate::io::{Layout, RunShape, Strides};
use crate::model::{Merge, ReadoutSteps};
use crate::progress::{Progress, Tally};

/// A run in progress, as its threads share it.
pub(super) struct Run<'a> {
    network: &'a Network,
    given: Given<'a>,
    split: Split,
    /// The batch rows of all pieces or groups, one after the other, each group's sorted by falling length.
    rows: &'a [usize],
    /// Where threads have rows of their own: these rows in pieces.
    pieces: Pieces<'a>,
    h: Shared<'a>,
    c: Shared<'a>,
    y: Shared<'a>,
    out: Shared<'a>,
    /// The arrays of all tracks, one after the other.
    arrays: Shared<'a>,
    sizes: Sizes,
    /// The sequences between layers, one after the other.
    between: Shared<'a>,
    own: Shared<'a, Own>,
    barriers: &'a Barriers,
    stop: &'a Stop<'a>,
    tally: &'a Tally<&'a Progress>,
}

/// Sizes of the arrays of a track.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizes {
    h: usize,
    c: usize,
    units: usize,
    z: usize,
    x: usize,
}

impl Sizes {
    fn most(self, other: Self) -> Self {
        Self {
            h: self.h.max(other.h),
            c: self.c.max(other.c),
            units: self.units.max(other.units),
            z: self.z.max(other.z),
            x: self.x.max(other.x),
        }
    }

    fn all(self) -> usize {
        2 * self.h + self.c + self.units + self.z + self.x
    }
}

/// Where the threads of a run wait for each other.
#[derive(Debug, Default)]
pub(super) struct Barriers {
    /// One for the threads of each track.
    tracks: Vec<Barrier>,
    /// The progress of each layer of each group.
    layers: Vec<Barrier>,
    /// One for the threads of each group.
    groups: Vec<Barrier>,
}

impl Barriers {
    /// Threads that have rows of their own use no barrier, and nothing is allocated for them.
    pub(super) fn new(split: Split, layers: usize) -> Self {
        if split.has_own_rows() {
            return Self::default();
        }
        let of = |count: usize| (0..count).map(|_| Barrier::new()).collect();
        Self { tracks: of(split.tracks()), layers: of(split.rows * layers), groups: of(split.rows) }
    }

    /// Frees every thread that waits in any of them, or will.
    pub(super) fn free(&self) {
        [&self.tracks, &self.layers, &self.groups].into_iter().flatten().for_each(Barrier::free);
    }

    /// For the threads that share a track: the number of barriers, and of sleeps in them.
    pub(super) fn tally(&self) -> (usize, usize) {
        self.tracks
            .iter()
            .fold((0, 0), |(rounds, sleeps), barrier| (rounds + barrier.rounds(), sleeps + barrier.sleeps()))
    }
}

impl Scratch {
    /// Makes room for a run with this split.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub(super) fn make_room(&mut self, network: &Network, run_shape: RunShape, split: Split) -> Result<()> {
        let places = run_shape.dims.batch.div_ceil(split.rows).min(split.block);
        // Each array begins on a cache line.
        let array = |is_needed: bool, len: usize| if is_needed { len.next_multiple_of(16) } else { 0 };
        // Layers may differ in what they need: one array serves them all.
        let (mut sizes, mut xw) = (Sizes::default(), 0);
        let rows = places.max(split.chunk);
        for (index, layer) in network.layers.iter().enumerate() {
            let one = &layer[0];
            let units = places * one.padded_units();
            let rounds = index == 0 && one.activations.is_half() && !run_shape.projected;
            let needs = Sizes {
                h: array(true, places * one.padded_state()),
                c: array(one.cell.has_c(), units),
                units: array(one.candidate.is_some() || one.projection.is_some(), units),
                z: array(one.candidate.is_some(), units),
                x: array(rounds, rows * one.input),
            };
            sizes = sizes.most(needs);
            xw = xw.max(one.xw_pitch(one.w_hh.blocks.div_ceil(split.units)));
        }
        self.sizes = sizes;
        self.arrays.make_room(sizes.all() * split.tracks())?;
        let last = network.layers.len() - 1;
        let sequences = last + usize::from(network.merges(last));
        let sequences = sequences.min(if split.layers > 1 { usize::MAX } else { 2 });
        self.between.make_room(sequences * network.sequence(run_shape))?;
        if self.own.len() < split.threads() {
            self.own.resize_with(split.threads(), Own::default);
        }
        // A chunk has no more rows than all the steps together.
        let rows = rows.min(places * run_shape.dims.steps);
        self.own[..split.threads()].iter_mut().try_for_each(|own| own.make_room(rows, rows * xw))
    }
}

impl<'a> Run<'a> {
    /// `scratch` has room for it.
    pub(super) fn new(
        network: &'a Network,
        given: Given<'a>,
        split: Split,
        scratch: &'a mut Scratch,
        to: Targets<'a>,
        (barriers, stop, tally): (&'a Barriers, &'a Stop<'a>, &'a Tally<&'a Progress>),
    ) -> Self {
        let Scratch { arrays, own, rows, between, sizes, .. } = scratch;
        let (batch, groups) = (given.run_shape.dims.batch, split.rows);
        let piece = if groups == 1 { batch } else { split.block.min(batch.div_ceil(groups)) };
        // Pieces of so many threads are in progress at once.
        let window = if split.has_own_rows() { groups.saturating_mul(piece) } else { batch };
        let of_window = |all: usize, index: usize| match split.has_own_rows() {
            true => all.min(index * piece)..all.min((index + 1) * piece),
            false => share(all, index, groups),
        };
        distribute(rows, batch, given.lengths, (groups, window), of_window);
        let rows = &**rows;
        Self {
            network,
            given,
            split,
            rows,
            pieces: Pieces::new(rows, piece),
            h: Shared::new(to.h),
            c: Shared::new(to.c),
            y: Shared::new(to.y),
            out: Shared::new(to.out),
            arrays: Shared::new(arrays.floats_mut()),
            sizes: *sizes,
            between: Shared::new(between.floats_mut()),
            own: Shared::new(own),
            barriers,
            stop,
            tally,
        }
    }

    /// The work of thread `index`: the piece of its group or, where the group is this thread alone, one piece after the other of
    /// those that no thread has taken.
    pub(super) fn thread<S: Simd>(&self, simd: S, index: usize) {
        let slot = self.split.thread_slot(index);
        // SAFETY: a run calls this once with each index, so this element is this thread's alone.
        let own = unsafe { &mut self.own.slice_mut(index, 1)[0] };
        if self.split.rows == 1 {
            self.walk(simd, index, slot, self.rows, own);
        } else if self.split.has_own_rows() {
            while let Some(rows) = self.pieces.next() {
                self.walk(simd, index, slot, rows, own);
            }
        } else {
            let rows = &self.rows[share(self.rows.len(), slot.group, self.split.rows)];
            self.walk(simd, index, slot, rows, own);
        }
    }

    /// The share of thread `index` in a piece.
    fn walk<S: Simd>(&self, simd: S, index: usize, slot: ThreadSlot, piece: &'a [usize], own: &mut Own) {
        let Self { network, split, .. } = self;
        let (layers, members) = (&network.layers, split.threads() / split.rows);
        // Rows that fit the cache walk to the end before the next begin.
        for rows in piece.chunks(split.block) {
            for layer in (slot.layer..layers.len()).step_by(split.layers) {
                let directions = layers[layer].iter().skip(slot.direction).step_by(split.directions);
                for direction in directions {
                    let stop = (self.stop, index == 0);
                    let track = Track { stop, ..self.track(direction, layer, rows, slot) };
                    let barrier = self.barriers.tracks.get(slot.track(*split));
                    let part = Part { index: slot.units, count: split.units, barrier };
                    direction.walk(simd, &track, &part, own);
                }
                let merges = network.merges(layer);
                if split.directions > 1 || merges {
                    self.barrier(slot.group);
                }
                if merges {
                    let steps = rows.len() * self.given.run_shape.dims.steps;
                    self.merge(layer, rows, share(steps, index % members, members));
                    self.barrier(slot.group);
                }
            }
        }
        if let Some(readout) = &network.readout {
            self.barrier(slot.group);
            let all = piece.len() * readout.steps(self.given.run_shape);
            readout.apply(simd, self, piece, share(all, index % members, members), own);
        }
    }

    /// Merges both directions of a layer, for the steps `some` of these rows: into the forward one's sequence or, for the last
    /// layer, into y.
    fn merge(&self, layer: usize, rows: &[usize], some: Range<usize>) {
        let (Given { run_shape, lengths, .. }, one) = (self.given, &self.network.layers[layer][0]);
        let (steps, state) = (run_shape.dims.steps, one.state);
        let is_last = layer + 1 == self.network.layers.len();
        let (both, strides) = (self.sequence(layer), self.network.inner(run_shape));
        let y_strides = Strides::of(run_shape.y, run_shape.dims, 1, state);
        for index in some {
            let (row, time) = (rows[index / steps], index % steps);
            // Padding past a sequence's end is read of the last layer alone.
            if !is_last && lengths.is_some_and(|lengths| time >= lengths[row] as usize) {
                continue;
            }
            let at = row * strides.row + time * strides.step;
            // SAFETY: rule *layers*: the group's barrier has passed, so both directions are complete and no thread writes them.
            // The steps are this thread's alone until the next barrier, and the two directions do not overlap.
            let (to, reverse) = unsafe {
                let to = if is_last {
                    let y = self.y.slice_mut(row * y_strides.row + time * y_strides.step, state);
                    y.copy_from_slice(both.slice(at, state));
                    y
                } else {
                    both.slice_mut(at, state)
                };
                (to, both.slice(at + strides.dir, state))
            };
            to.iter_mut().zip(reverse).for_each(|(to, reverse)| *to = one.merge.of(*to, *reverse));
            if one.activations.is_half() {
                to.iter_mut().for_each(|to| *to = one.activations.saturated(*to));
            }
        }
    }

    /// Waits for the threads that have the same rows.
    fn barrier(&self, group: usize) {
        let members = self.split.threads() / self.split.rows;
        if let Some(barrier) = self.barriers.groups.get(group) {
            barrier.wait(members);
        }
    }

    /// The arrays that a direction of a layer reads and writes.
    fn track(&self, direction: &Direction, layer: usize, rows: &'a [usize], slot: ThreadSlot) -> Track<'a> {
        let Self { network, given, split, sizes, .. } = *self;
        let RunShape { dims, padding, projected, .. } = given.run_shape;
        let (directions, last) = (network.layers[0].len(), network.layers.len() - 1);
        let projected = projected && layer == 0;
        let features = if projected { directions * direction.xw_features() } else { direction.input };
        let inner = network.inner(given.run_shape);
        let (x, x_strides) = match layer.checked_sub(1) {
            None => (Source::Caller(given.x), Strides::of(given.run_shape.x, dims, 1, features)),
            Some(below) => (Source::Layer(self.sequence(below)), inner),
        };
        let (y, y_strides) = if layer == last && !network.merges(layer) {
            (self.y, Strides::of(given.run_shape.y, dims, directions, direction.state))
        } else {
            (self.sequence(layer), inner)
        };
        let at = layer * directions + direction.index;
        let (h, c) = (dims.batch * direction.state, dims.batch * direction.hidden);
        let progress = |layer: usize| self.barriers.layers.get(slot.group * (last + 1) + layer);
        let is_pipelined = split.layers > 1;
        Track {
            rows,
            lengths: given.lengths,
            resets: given.resets,
            steps: dims.steps,
            x,
            projected,
            x_strides,
            y,
            y_strides,
            padding: (layer == last).then_some(padding),
            h: self.h.part(at * h, h),
            c: if direction.cell.has_c() { self.c.part(at * c, c) } else { self.c },
            arrays: self.arrays(sizes, slot.track(split)),
            chunk: split.chunk,
            stop: (self.stop, false),
            tally: self.tally,
            below: layer.checked_sub(1).filter(|_| is_pipelined).and_then(progress),
            above: progress(layer).filter(|_| is_pipelined && layer < last),
        }
    }

    fn arrays(&self, sizes: Sizes, track: usize) -> Arrays<'a> {
        let mut at = track * sizes.all();
        let mut take = |len: usize| {
            at += len;
            self.arrays.part(at - len, len)
        };
        Arrays {
            h: [take(sizes.h), take(sizes.h)],
            c: take(sizes.c),
            units: take(sizes.units),
            z: take(sizes.z),
            x: take(sizes.x),
        }
    }

    /// y of a layer that is not the last, or whose directions are not merged yet.
    fn sequence(&self, layer: usize) -> Shared<'a> {
        let len = self.network.sequence(self.given.run_shape);
        let at = if self.split.layers > 1 { layer } else { layer % 2 };
        self.between.part(at * len, len)
    }
}

/// Batch rows for `groups` groups of threads, a window of rows after the other; `part` says which of a window's rows a group has.
fn distribute(
    rows: &mut Vec<usize>,
    batch: usize,
    lengths: Option<&[u32]>,
    (groups, window): (usize, usize),
    part: impl Fn(usize, usize) -> Range<usize>,
) {
    rows.clear();
    rows.extend(0..batch);
    let Some(lengths) = lengths else { return };
    // By length, then by number: a total order, so an unstable sort gives the same result as a stable one.
    rows.sort_unstable_by_key(|&row| (std::cmp::Reverse(lengths[row]), row));
    if groups > 1 {
        // Interleaved, so that every group has long ones.
        let sorted = rows.clone();
        let mut next = sorted.iter();
        for rows in rows.chunks_mut(window) {
            let parts = || (0..groups).map(|group| part(rows.len(), group));
            let most = parts().map(|part| part.len()).max().unwrap_or(0);
            let places: Vec<usize> =
                (0..most).flat_map(|at| parts().filter_map(move |mut part| part.nth(at))).collect();
            places.into_iter().zip(&mut next).for_each(|(place, &row)| rows[place] = row);
        }
    }
}

impl Network {
    /// Whether a layer merges its directions.
    pub(super) fn merges(&self, layer: usize) -> bool {
        self.layers[layer][0].merge != Merge::Concat
    }

    /// The layout of a sequence between layers: `[T, B, D, P]`. A layer that merges its directions leaves the result in the
    /// first.
    fn inner(&self, run_shape: RunShape) -> Strides {
        Strides::of(Layout::TimeMajor, run_shape.dims, self.layers[0].len(), self.layers[0][0].state)
    }

    /// The size of a sequence between layers.
    pub(super) fn sequence(&self, run_shape: RunShape) -> usize {
        run_shape.dims.batch * run_shape.dims.steps * self.layers[0].len() * self.layers[0][0].state
    }
}

impl Dense {
    /// The steps of a sequence that the readout reads.
    pub(super) fn steps(&self, run_shape: RunShape) -> usize {
        match self.steps {
            ReadoutSteps::Every => run_shape.dims.steps,
            ReadoutSteps::Last => 1,
        }
    }

    /// The readout of the steps `some` of these rows, row by row, in the order of the run shape. A sequence without a step has
    /// the readout of 0.
    fn apply<S: Simd>(&self, simd: S, run: &Run<'_>, rows: &[usize], some: Range<usize>, own: &mut Own) {
        let Given { run_shape, lengths, .. } = run.given;
        let last = run.network.layers.len() - 1;
        let state = run.network.layers[last][0].state;
        let directions = if run.network.merges(last) { 1 } else { run.network.layers[last].len() };
        let from = Strides::of(run_shape.y, run_shape.dims, directions, state);
        let to = match self.steps {
            ReadoutSteps::Every => Strides::of(run_shape.y, run_shape.dims, 1, self.outputs),
            ReadoutSteps::Last => Strides { step: 0, row: self.outputs, dir: 0 },
        };
        let (steps, width) = (self.steps(run_shape), S::LANES);
        let features = directions * state;
        // A readout of every step also reads the padding past a sequence's end.
        let may_be_none = lengths.is_some() && self.steps == ReadoutSteps::Last;
        let nothing = vec![0.0; if may_be_none { features } else { 0 }];
        let at = |index: usize| (rows[(some.start + index) / steps], (some.start + index) % steps);
        let sums = own.sums.floats_mut();
        tiles(S::REGISTERS, &self.w, some.len(), 0..self.w.blocks, Order::Up, |tile| {
            let y = |index: usize| {
                let (row, step) = at(index);
                let time = match self.steps {
                    ReadoutSteps::Every => Some(step),
                    ReadoutSteps::Last => {
                        lengths.map_or(run_shape.dims.steps, |lengths| lengths[row] as usize).checked_sub(1)
                    }
                };
                match time {
                    // SAFETY: rule *layers*: the group's barrier after the last step has passed, and no thread writes y any more.
                    Some(time) => unsafe { run.y.slice(row * from.row + time * from.step, features) },
                    None => &nothing,
                }
            };
            let to_sums = Sums { to: &mut *sums, row: tile.blocks * width, block: width };
            let mut each = [[].as_slice(); MOST_ROWS];
            for (row, to) in (tile.row..).zip(&mut each[..tile.rows]) {
                *to = y(row);
            }
            let rows = Rows::Each(&each[..tile.rows]);
            // SAFETY: y as above; its rows are as long as the readout is deep, and the network's panels are packed for these
            // vectors.
            unsafe { multiply(simd, &self.w, self.b.floats(), tile, rows, to_sums) };
            let first = tile.block * width;
            let count = self.outputs.min((tile.block + tile.blocks) * width) - first;
            for (index, sums) in (tile.row..).zip(sums.chunks_exact(tile.blocks * width)).take(tile.rows) {
                let (row, step) = at(index);
                // SAFETY: these rows and steps of `out` are this thread's: `some` are its share.
                let out = unsafe { run.out.slice_mut(row * to.row + step * to.step + first, count) };
                out.copy_from_slice(&sums[..count]);
            }
        });
        for (row, step) in (0..some.len()).map(at) {
            // SAFETY: as above, and all columns are computed.
            let out = unsafe { run.out.slice_mut(row * to.row + step * to.step, self.outputs) };
            simd.run(Row(self.activation, out));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_gets_long_and_short_rows_in_falling_order() {
        let mut rows = Vec::new();
        let lengths = [3, 9, 0, 9, 5, 7, 1];
        let shares = |groups| move |all, index| share(all, index, groups);
        distribute(&mut rows, 7, Some(&lengths), (2, 7), shares(2));
        assert_eq!(rows, [1, 5, 0, 2, 3, 4, 6]);
        distribute(&mut rows, 7, Some(&lengths), (1, 7), shares(1));
        assert_eq!(rows, [1, 3, 5, 4, 0, 6, 2]);
        // Pieces of two rows, two at once.
        let pieces = |all: usize, index: usize| all.min(2 * index)..all.min(2 * index + 2);
        distribute(&mut rows, 7, Some(&lengths), (2, 4), pieces);
        assert_eq!(rows, [1, 5, 3, 4, 0, 2, 6]);
        distribute(&mut rows, 3, None, (2, 3), shares(2));
        assert_eq!(rows, [0, 1, 2]);
    }
}
