//! How a run is assigned to threads, and its expected time.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::Network;
use super::direction::Direction;
use super::panel::Panel;
use super::simd::Level;
use super::tiles::{group, passes};
use super::times::{BARRIER, CONTENTION, ROW, START, STEP, Times};
use crate::io::RunShape;

/// The number of parts that a run is cut into in each dimension. Threads that share rows, a direction and a layer have some units
/// each and a barrier after every step. Other threads wait at most once for each chunk of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) rows: usize,
    pub(super) directions: usize,
    /// Layers in progress at once, each some steps behind the one below.
    pub(super) layers: usize,
    pub(super) units: usize,
    /// The most rows that are projected at once, except for a single step.
    pub(super) chunk: usize,
    /// The most rows of a group that walk together; the next follow when these have ended.
    pub(super) block: usize,
}

/// The share of part `index` of `count` in `all` things; the first parts have one more where the division has a remainder.
pub(super) fn share(all: usize, index: usize, count: usize) -> Range<usize> {
    let begin = |index: usize| index * (all / count) + index.min(all % count);
    begin(index)..begin(index + 1)
}

/// A thread's place in a [`Split`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ThreadSlot {
    pub(super) group: usize,
    pub(super) layer: usize,
    pub(super) direction: usize,
    pub(super) units: usize,
}

impl ThreadSlot {
    /// The track that it works on, among those of all groups.
    pub(super) fn track(self, split: Split) -> usize {
        (self.group * split.layers + self.layer) * split.directions + self.direction
    }
}

/// Bytes of weights that stay in each cache, beside all other data.
const FIRST: usize = 56 << 10;
const SECOND: usize = 1 << 20;

/// Rows of a chunk where the weights of its projection do not fit the L2 cache.
const FAR: usize = 256;

/// The target size, in bytes, of states and of a step's xw for rows that walk together: they stay in the L2 cache.
const BLOCK: usize = 1 << 20;

/// The most bytes of sequences between layers where layers run at once: these need all sequences, other runs need two.
const BETWEEN: usize = 256 << 20;

/// The target size of a chunk's xw in bytes: it stays in the L2 cache.
const CHUNK: usize = 256 << 10;

impl Split {
    /// One thread.
    pub(super) fn alone(network: &Network, run_shape: RunShape) -> Self {
        Self { rows: 1, directions: 1, layers: 1, units: 1, chunk: 0, block: 0 }
            .with_sizes(network, run_shape)
    }

    /// The split of `all` with the least expected time, of equals the first; one thread where nothing is faster.
    pub(super) fn best(all: impl Iterator<Item = Self>, network: &Network, run_shape: RunShape) -> Self {
        let alone = Self::alone(network, run_shape);
        let least = (alone, alone.time(network, run_shape));
        if least.1 < START {
            return alone;
        }
        let shorter = |least: (Self, f64), split: Self| {
            let time = split.time(network, run_shape);
            if time < least.1 { (split, time) } else { least }
        };
        all.fold(least, shorter).0
    }

    /// Every split for at most `threads` threads; units are split into 1, 2, 4 and so on, or as many parts as possible.
    pub(super) fn all(network: &Network, run_shape: RunShape, threads: usize) -> impl Iterator<Item = Self> {
        let (layers, directions) = (network.layers.len(), network.layers[0].len());
        let blocks = network.layers[0][0].w_hh.blocks;
        let inner = (layers - 1).saturating_mul(network.sequence(run_shape)).saturating_mul(4);
        // A layer that reads both directions needs both complete, and a reverse direction needs the last step first.
        let reverse = network.layers[0][0].reverse;
        let is_one_way = directions == 1 && network.layers.iter().all(|layer| layer[0].reverse == reverse);
        let most = if !is_one_way || inner > BETWEEN { 1 } else { layers };
        let outer = (1..=directions).flat_map(move |directions| {
            (1..=most.min(threads / directions)).map(move |layers| (directions, layers))
        });
        outer.flat_map(move |(directions, layers)| {
            let left = threads / (directions * layers);
            (1..=run_shape.dims.batch.min(left)).flat_map(move |rows| {
                let most = blocks.min(left / rows);
                let powers = std::iter::successors(Some(1), |units| Some(units * 2));
                let units = powers.take_while(move |units| *units < most).chain([most]);
                units.map(move |units| {
                    // More parts than these would not reduce the blocks of a part.
                    let units = blocks.div_ceil(blocks.div_ceil(units));
                    let split = Self { rows, directions, layers, units, chunk: 0, block: 0 };
                    split.with_sizes(network, run_shape)
                })
            })
        })
    }

    fn with_sizes(mut self, network: &Network, run_shape: RunShape) -> Self {
        let places = run_shape.dims.batch.div_ceil(self.rows);
        let parts = network.layers.iter().map(|layer| {
            let direction = &layer[0];
            let blocks = direction.w_hh.blocks.div_ceil(self.units);
            (direction.w_ih.bytes() / self.units, direction.xw_pitch(blocks), direction.padded_units())
        });
        let (mut chunk, mut block) = (usize::MAX, usize::MAX);
        for (weights, pitch, units) in parts {
            let rows = (CHUNK / 4 / pitch).clamp(32, 512);
            // Weights that do not fit the L2 cache justify a chunk of xw that does not fit it either.
            chunk = chunk.min(if weights > SECOND { rows.max(FAR) } else { rows });
            // Whole tiles, whatever their height.
            block = block.min((BLOCK / 4 / (pitch + 3 * units)).max(48) / 24 * 24);
        }
        self.block = if self.layers > 1 { places } else { block.min(places) };
        // Layers that follow each other closely wait little at either end.
        let closest =
            if self.layers > 1 { (run_shape.dims.steps / 16).max(8).saturating_mul(places) } else { chunk };
        self.chunk = chunk.min(closest);
        self
    }

    pub(super) fn threads(self) -> usize {
        self.tracks() * self.units
    }

    pub(super) fn tracks(self) -> usize {
        self.rows * self.directions * self.layers
    }

    pub(super) fn thread_slot(self, index: usize) -> ThreadSlot {
        let (units, rest) = (index % self.units, index / self.units);
        let (direction, rest) = (rest % self.directions, rest / self.directions);
        ThreadSlot { group: rest / self.layers, layer: rest % self.layers, direction, units }
    }

    /// The expected time.
    pub(super) fn expected(self, network: &Network, run_shape: RunShape) -> Duration {
        Duration::try_from_secs_f64(self.time(network, run_shape) * 1e-9).unwrap_or(Duration::MAX)
    }

    /// The expected time, in nanoseconds.
    fn time(self, network: &Network, run_shape: RunShape) -> f64 {
        let group = run_shape.dims.batch.div_ceil(self.rows);
        let places = group.min(self.block);
        let blocks = group as f64 / places as f64;
        let steps = run_shape.dims.steps as f64;
        let mut all = 0.0;
        for (at, layer) in network.layers.iter().enumerate() {
            let direction = &layer[0];
            let projection = if run_shape.projected && at == 0 {
                0.0
            } else {
                self.projection(network.level, direction, run_shape, places)
            };
            let step = projection + self.step(network.level, direction, places);
            all += step * blocks * steps * layer.len().div_ceil(self.directions) as f64;
        }
        // Of layers at once only some run one after the other, and each begins a chunk behind.
        let depth = network.layers.len() as f64;
        let in_turn = network.layers.len().div_ceil(self.layers) as f64;
        let late = 1.0 + (self.layers - 1) as f64 * self.chunk as f64 / (places as f64 * steps);
        let readout = network.readout.as_ref().map_or(0.0, |readout| {
            let rows = group * readout.steps(run_shape);
            let members = self.threads() / self.rows;
            let split = Self { units: 1, ..self };
            split.product(network.level, &readout.w, rows.div_ceil(members), readout.w.bytes())
        });
        // Each thread has to be woken.
        let start = if self.threads() > 1 { START * (1 + self.threads()) as f64 / 3.0 } else { 0.0 };
        start + all / depth * in_turn * late + readout
    }

    /// A step's share of the projection of a chunk.
    fn projection(self, level: Level, direction: &Direction, run_shape: RunShape, places: usize) -> f64 {
        let panel = &direction.w_ih;
        let rows = (self.chunk.max(places)).min(places * run_shape.dims.steps);
        let share = places as f64 / rows as f64;
        self.product(level, panel, rows, panel.bytes() / self.units) * share
    }

    fn step(self, level: Level, direction: &Direction, places: usize) -> f64 {
        let panels = [Some(&direction.w_hh), direction.candidate.as_ref(), direction.projection.as_ref()];
        let bytes: usize = panels.iter().flatten().map(|panel| panel.bytes()).sum::<usize>() / self.units;
        let rows = places as f64;
        let mut time = STEP + ROW * rows;
        for panel in panels.into_iter().flatten() {
            time += self.product(level, panel, places, bytes);
            if self.units > 1 {
                time += BARRIER * self.units as f64 / 2.0;
            }
        }
        let blocks = direction.w_hh.blocks.div_ceil(self.units);
        time + blocks as f64 * rows * Times::of(level.set()).gates(direction.cell)
    }

    /// A thread's part of a product of `rows` rows, whose weights are among `bytes` that are read again and again.
    fn product(self, level: Level, panel: &Panel, rows: usize, bytes: usize) -> f64 {
        let times = Times::of(level.set());
        let blocks = panel.blocks.div_ceil(self.units);
        let vectors = (blocks * panel.depth * panel.gates) as f64;
        let halves = if panel.is_half() { 0.5 } else { 1.0 };
        let passes = passes(level.registers(), panel.gates, rows) as f64;
        let (first, second) = (times.first, times.second * halves);
        // Blocks in the near cache serve all rows.
        let is_near = panel.bytes() / panel.blocks.max(1) * blocks.min(group(panel.gates)) <= FIRST;
        let again = if is_near { first } else { second };
        let (loads, far) = match bytes {
            bytes if bytes <= FIRST => (first * passes, 0.0),
            bytes if bytes <= SECOND => (second + again * (passes - 1.0), 0.0),
            _ => {
                let contention = 1.0 + CONTENTION * (self.threads() - 1) as f64;
                (again * passes, times.third * contention * halves)
            }
        };
        vectors * ((times.fma * rows as f64).max(loads) + far)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.threads() == 1 {
            return write!(f, "one thread");
        }
        write!(f, "{} threads:", self.threads())?;
        let parts = [
            (self.rows, "rows"),
            (self.directions, "directions"),
            (self.layers, "layers"),
            (self.units, "units"),
        ];
        let cut = parts.iter().filter(|(count, _)| *count > 1);
        for (index, (count, what)) in cut.enumerate() {
            write!(f, "{} {count} parts of the {what}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}
