//! The walk of some rows and units of one direction over the steps.

use std::ops::Range;

use super::direction::Direction;
use super::gates::{Arrays, Gates, Half};
use super::panel::{Lines, Panel};
use super::product::{MOST_SUMS, Sums, multiply, tiles};
use super::shared::Shared;
use super::simd::Simd;
use super::team::Meeting;
use crate::dtype::Storage;
use crate::io::{Fill, Strides};

/// Where sequences lie, and which rows of them a lane walks over.
pub(super) struct Lane<'a> {
    /// The batch row at each place, in the order of falling length.
    pub(super) rows: &'a [u32],
    pub(super) lengths: Option<&'a [u32]>,
    pub(super) steps: usize,
    pub(super) x: Source<'a>,
    /// Whether x is projected already.
    pub(super) projected: bool,
    pub(super) x_strides: Strides,
    pub(super) y: Shared<'a>,
    pub(super) y_strides: Strides,
    pub(super) fill: Fill,
    /// The layer's states, `[B, P]` and `[B, H]`, from initial to final.
    pub(super) h: Shared<'a>,
    pub(super) c: Shared<'a>,
    pub(super) arrays: Arrays<'a>,
    /// The most rows of xw at once, but for a single step.
    pub(super) chunk: usize,
    /// How far the layer below is, where that is not at its end.
    pub(super) below: Option<&'a Meeting>,
    /// Where this layer says how far it is, where the one above does not wait for its end.
    pub(super) above: Option<&'a Meeting>,
}

/// Where x comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Caller(&'a [f32]),
    Layer(Shared<'a>),
}

/// A thread's share of the units.
pub(super) struct Part<'a> {
    pub(super) index: usize,
    pub(super) count: usize,
    pub(super) meeting: &'a Meeting,
}

impl Part<'_> {
    /// Its share of so many blocks.
    pub(super) fn of(&self, blocks: usize) -> Range<usize> {
        blocks * self.index / self.count..blocks * (self.index + 1) / self.count
    }

    fn meet(&self) {
        self.meeting.wait(self.count);
    }
}

/// What of a direction is a part's.
struct Share {
    /// Blocks of units, and of what the second product of a step gives.
    blocks: Range<usize>,
    second: Range<usize>,
    units: Range<usize>,
    /// Of h.
    features: Range<usize>,
}

/// Memory of one thread.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Where x of each row of a chunk begins.
    offsets: Vec<usize>,
    /// Sums of a tile.
    pub(super) sums: Lines,
    /// See [`Gates::xw`].
    xw: Lines,
}

impl Source<'_> {
    /// # Safety
    /// The layer below has written it and writes it no more.
    #[inline(always)]
    unsafe fn row(&self, at: usize, len: usize) -> &[f32] {
        match self {
            Self::Caller(x) => &x[at..at + len],
            // SAFETY: the caller's.
            Self::Layer(y) => unsafe { y.slice(at, len) },
        }
    }
}

impl Lane<'_> {
    fn length(&self, row: u32) -> usize {
        self.lengths.map_or(self.steps, |lengths| lengths[row as usize] as usize)
    }

    /// The places whose sequences have this step: the first so many.
    fn active(&self, step: usize) -> usize {
        match self.lengths {
            None => self.rows.len(),
            Some(_) => self.rows.partition_point(|&row| self.length(row) > step),
        }
    }
}

impl Direction {
    /// Walks `part` of the units of a lane's rows over the steps.
    pub(super) fn walk<S: Simd>(&self, simd: S, lane: &Lane<'_>, part: &Part<'_>, own: &mut Own) {
        let share = self.share(part);
        self.load(lane, &share);
        part.meet();
        own.sums.grow(MOST_SUMS * S::LANES);
        let longest = lane.rows.first().map_or(0, |&row| lane.length(row));
        let (mut step, mut from) = (0, 0);
        while step < longest {
            let begin = step;
            own.offsets.clear();
            while step < longest {
                let active = lane.active(step);
                if step > begin && own.offsets.len() + active > lane.chunk {
                    break;
                }
                let strides = lane.x_strides;
                let at = |&row: &u32| row as usize * strides.row + self.time(lane, row, step) * strides.step;
                own.offsets.extend(lane.rows[..active].iter().map(at));
                step += 1;
            }
            if let Some(below) = lane.below {
                below.until(|steps| steps >= step);
            }
            self.project(simd, lane, part, &share, own);
            let mut row = 0;
            for step in begin..step {
                let active = lane.active(step);
                let xw = &own.xw.floats()[row * self.xw_pitch(share.blocks.len())..];
                let mut halves = Halves {
                    direction: self,
                    lane,
                    active,
                    from,
                    xw,
                    own: share.blocks.clone(),
                    sums: own.sums.floats_mut(),
                };
                halves.first(simd);
                if let Some(panel) = self.second() {
                    part.meet();
                    halves.second(simd, panel, share.second.clone());
                }
                from = 1 - from;
                row += active;
                self.emit(lane, &share, step, from);
                part.meet();
                if let (Some(above), 0) = (lane.above, part.index) {
                    above.advance();
                }
            }
        }
        self.finish(lane, &share);
    }

    /// The matrix of the second product of a step, where there is one.
    fn second(&self) -> Option<&Panel> {
        self.candidate.as_ref().or(self.projection.as_ref())
    }

    /// What of this direction is a part's.
    fn share(&self, part: &Part<'_>) -> Share {
        let blocks = part.of(self.w_hh.blocks);
        let second = self.second().map_or(0..0, |panel| part.of(panel.blocks));
        let of =
            |blocks: &Range<usize>, len: usize| blocks.start * self.lanes..len.min(blocks.end * self.lanes);
        let units = of(&blocks, self.hidden);
        let features = if self.projection.is_some() { of(&second, self.state) } else { units.clone() };
        Share { blocks, second, units, features }
    }

    fn time(&self, lane: &Lane<'_>, row: u32, step: usize) -> usize {
        if self.reverse { lane.length(row) - 1 - step } else { step }
    }

    /// Takes the initial states, of this part's units.
    fn load(&self, lane: &Lane<'_>, share: &Share) {
        let Arrays { h, c, .. } = lane.arrays;
        let Share { features, units, .. } = share;
        for (place, &row) in lane.rows.iter().enumerate() {
            let row = row as usize;
            // SAFETY: this part's features of this lane's rows, of which no other thread has any.
            unsafe {
                h[0].slice_mut(place * self.padded_state() + features.start, features.len())
                    .copy_from_slice(lane.h.slice(row * self.state + features.start, features.len()));
                if self.cell.has_c() {
                    c.slice_mut(place * self.padded_units() + units.start, units.len())
                        .copy_from_slice(lane.c.slice(row * self.hidden + units.start, units.len()));
                }
            }
        }
    }

    /// The biases and `w_ih x` of the rows of a chunk, of this part's units, into its xw.
    fn project<S: Simd>(&self, simd: S, lane: &Lane<'_>, part: &Part<'_>, share: &Share, own: &mut Own) {
        let units = &share.blocks;
        let Own { offsets, xw, .. } = own;
        let (pitch, width) = (self.xw_pitch(units.len()), self.xw_pitch(1));
        xw.grow(offsets.len() * pitch);
        let xw = xw.floats_mut();
        if lane.projected {
            return self.take_projected(lane, units, offsets, xw);
        }
        let rounds = self.activations.is_half() && matches!(lane.x, Source::Caller(_));
        if rounds {
            let rows = part.of(offsets.len());
            for (row, &at) in offsets.iter().enumerate().take(rows.end).skip(rows.start) {
                // SAFETY: x is the caller's; of the rows, no other thread has these.
                unsafe {
                    let to = lane.arrays.x.slice_mut(row * self.input, self.input);
                    let x = lane.x.row(at, self.input);
                    to.iter_mut().zip(x).for_each(|(to, &x)| *to = self.activations.round(x));
                }
            }
            part.meet();
        }
        tiles(S::IS_WIDE, self.w_ih.gates, offsets.len(), units.clone(), |tile| {
            let to = &mut xw[(tile.row * units.len() + tile.block - units.start) * width..];
            // SAFETY: the layer below has got this far, and rows that were rounded have been met for.
            let row = |row: usize| unsafe {
                if rounds {
                    lane.arrays.x.slice(row * self.input, self.input)
                } else {
                    lane.x.row(offsets[row], self.input)
                }
            };
            let sums = Sums { to, row: pitch, block: width };
            multiply(simd, &self.w_ih, self.bias.floats(), tile, row, sums);
        });
    }

    /// [`Direction::project`] of an x that is `w_ih x` already, without biases.
    fn take_projected(&self, lane: &Lane<'_>, units: &Range<usize>, offsets: &[usize], xw: &mut [f32]) {
        let (gates, lanes) = (self.cell.gates(), self.lanes);
        let bias = self.bias.floats();
        for (xw, at) in xw.chunks_exact_mut(self.xw_pitch(units.len()).max(1)).zip(offsets) {
            // SAFETY: x is the caller's.
            let x = unsafe { lane.x.row(at + self.index * gates * self.hidden, gates * self.hidden) };
            for (at, xw) in xw.chunks_exact_mut(lanes).enumerate() {
                let (block, gate) = (units.start + at / gates, at % gates);
                let count = lanes.min(self.hidden - block * lanes);
                let x = &x[gate * self.hidden + block * lanes..][..count];
                let bias = &bias[(block * gates + gate) * lanes..];
                for ((xw, x), bias) in xw.iter_mut().zip(x).zip(bias) {
                    *xw = bias + self.activations.round(*x);
                }
                xw[count..].fill(0.0);
            }
        }
    }

    /// Writes h of `step`, which `from` holds, to y, and to the final states of those that end with it.
    fn emit(&self, lane: &Lane<'_>, share: &Share, step: usize, from: usize) {
        let features = &share.features;
        for (place, &row) in lane.rows[..lane.active(step)].iter().enumerate() {
            // SAFETY: this part's features of this lane's rows.
            unsafe {
                let h =
                    lane.arrays.h[from].slice(place * self.padded_state() + features.start, features.len());
                self.store(h, self.y(lane, row, self.time(lane, row, step), features));
                if step + 1 == lane.length(row) {
                    let at = row as usize * self.state + features.start;
                    lane.h.slice_mut(at, features.len()).copy_from_slice(h);
                }
            }
        }
    }

    /// The final c, and y past the end of each sequence.
    fn finish(&self, lane: &Lane<'_>, share: &Share) {
        let Share { features, units, .. } = share;
        for (place, &row) in lane.rows.iter().enumerate() {
            // SAFETY: this part's units of this lane's rows.
            unsafe {
                if self.cell.has_c() {
                    let c = lane.arrays.c.slice(place * self.padded_units() + units.start, units.len());
                    lane.c
                        .slice_mut(row as usize * self.hidden + units.start, units.len())
                        .copy_from_slice(c);
                }
                let length = lane.length(row);
                let repeats = lane.fill == Fill::Last && !self.reverse && length > 0;
                for time in length..lane.steps {
                    let y = self.y(lane, row, time, features);
                    if repeats {
                        let at = row as usize * self.state + features.start;
                        self.store(lane.h.slice(at, features.len()), y);
                    } else {
                        y.fill(0.0);
                    }
                }
            }
        }
    }

    /// Some features of y.
    ///
    /// # Safety
    /// Nobody else reads or writes them.
    unsafe fn y<'a>(&self, lane: &Lane<'a>, row: u32, time: usize, features: &Range<usize>) -> &'a mut [f32] {
        let Strides { row: rows, step, dir } = lane.y_strides;
        let at = row as usize * rows + time * step + self.index * dir;
        // SAFETY: the caller's.
        unsafe { lane.y.slice_mut(at + features.start, features.len()) }
    }

    /// h as y's storage type keeps it.
    fn store(&self, h: &[f32], y: &mut [f32]) {
        match self.activations {
            Storage::F32 => y.copy_from_slice(h),
            storage => y.iter_mut().zip(h).for_each(|(y, &h)| *y = storage.saturated(h)),
        }
    }
}

/// The products of one step.
struct Halves<'a> {
    direction: &'a Direction,
    lane: &'a Lane<'a>,
    active: usize,
    from: usize,
    xw: &'a [f32],
    /// This part's blocks of units.
    own: Range<usize>,
    sums: &'a mut [f32],
}

impl Halves<'_> {
    fn first<S: Simd>(&mut self, simd: S) {
        let h = self.lane.arrays.h[self.from];
        let pitch = self.direction.padded_state();
        self.half(simd, Half::First, &self.direction.w_hh, self.own.clone(), (h, pitch));
    }

    fn second<S: Simd>(&mut self, simd: S, panel: &Panel, blocks: Range<usize>) {
        let units = self.lane.arrays.units;
        self.half(simd, Half::Second, panel, blocks, (units, self.direction.padded_units()));
    }

    fn half<S: Simd>(
        &mut self,
        simd: S,
        half: Half,
        panel: &Panel,
        blocks: Range<usize>,
        (rows, pitch): (Shared<'_>, usize),
    ) {
        let Self { direction, lane, active, from, xw, own, sums } = self;
        let width = panel.gates * S::LANES;
        tiles(S::IS_WIDE, panel.gates, *active, blocks, |tile| {
            // SAFETY: what this half reads, nobody writes before the next meeting.
            let row = |row: usize| unsafe { rows.slice(row * pitch, panel.depth) };
            let to = Sums { to: sums, row: tile.blocks * width, block: width };
            multiply(simd, panel, direction.begin.floats(), tile, row, to);
            let (arrays, own) = (&lane.arrays, own.clone());
            simd.run(Gates { direction, arrays, half, tile, xw, own, from: *from, sums });
        });
    }
}
