//! The walk of some rows and units of one direction over the steps.

use std::ops::Range;

use super::barrier::Barrier;
use super::direction::Direction;
use super::gates::{Arrays, Gates, Half};
use super::panel::{Lines, Panel};
use super::product::{Rows, Sums, multiply};
use super::shared::{Shared, Source};
use super::simd::{MOST_LANES, Simd, Work};
use super::split::share;
use super::stop::Stop;
use super::tiles::{MOST_SUMS, Order, tiles};
use crate::dtype::Storage;
use crate::error::{Error, Result};
use crate::io::{Padding, Resets, Strides};
use crate::progress::{Progress, Tally};

/// The sequences of a track, and its rows of them.
pub(super) struct Track<'a> {
    /// The batch row at each place, in the order of falling length.
    pub(super) rows: &'a [usize],
    pub(super) lengths: Option<&'a [u32]>,
    pub(super) resets: Option<Resets<'a>>,
    pub(super) steps: usize,
    pub(super) x: Source<'a>,
    /// Whether x is already projected.
    pub(super) projected: bool,
    pub(super) x_strides: Strides,
    pub(super) y: Shared<'a>,
    pub(super) y_strides: Strides,
    /// The padding of y past the end of a sequence; `None` where the padding is not read.
    pub(super) padding: Option<Padding>,
    /// The layer's states, `[B, P]` and `[B, H]`, from initial to final.
    pub(super) h: Shared<'a>,
    pub(super) c: Shared<'a>,
    pub(super) arrays: Arrays<'a>,
    /// The most rows of xw at once, except for a single step.
    pub(super) chunk: usize,
    /// What may end the run, and whether this is the thread that called.
    pub(super) stop: (&'a Stop<'a>, bool),
    /// Counts the steps of rows that are done.
    pub(super) tally: &'a Tally<&'a Progress>,
    /// The progress of the layer below, where it is not complete.
    pub(super) below: Option<&'a Barrier>,
    /// Where this layer reports its progress, where the layer above does not wait for its end.
    pub(super) above: Option<&'a Barrier>,
}

/// A thread's share of the units.
pub(super) struct Part<'a> {
    pub(super) index: usize,
    pub(super) count: usize,
    /// The barrier of the threads that share its track; `None` for a thread alone.
    pub(super) barrier: Option<&'a Barrier>,
}

impl Part<'_> {
    /// Its share of `blocks` blocks.
    pub(super) fn of(&self, blocks: usize) -> Range<usize> {
        share(blocks, self.index, self.count)
    }

    fn barrier(&self) {
        if let Some(barrier) = self.barrier {
            barrier.wait(self.count);
        }
    }
}

/// A part's share of a direction.
struct Share {
    /// Blocks of units, and of the result of a step's second product.
    blocks: Range<usize>,
    second: Range<usize>,
    units: Range<usize>,
    /// Features of h.
    features: Range<usize>,
}

/// Memory of one thread, which has cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Own {
    /// Where x of each row of a chunk begins.
    offsets: Vec<usize>,
    /// Sums of a tile.
    pub(super) sums: Lines,
    /// See [`Gates::xw`].
    xw: Lines,
    /// Steps that the thread takes before it panics: a test sets it.
    #[cfg(test)]
    pub(super) fault: Option<usize>,
}

#[cfg(test)]
impl Own {
    /// Panics once, at the step that a test has set.
    fn fail_if_due(&mut self) {
        self.fault = match self.fault.take() {
            Some(0) => panic!("a planted fault"),
            left => left.map(|left| left - 1),
        };
    }
}

impl Own {
    /// Makes room for chunks of `rows` rows, with `xw` numbers of xw.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub(super) fn make_room(&mut self, rows: usize, xw: usize) -> Result<()> {
        let bytes = rows.saturating_mul(size_of::<usize>());
        let no_memory = |_| Error::Memory { name: "rows of a run".into(), bytes };
        self.offsets.clear();
        self.offsets.try_reserve_exact(rows).map_err(no_memory)?;
        self.sums.make_room(MOST_SUMS * MOST_LANES)?;
        self.xw.make_room(xw)
    }
}

impl Track<'_> {
    fn length(&self, row: usize) -> usize {
        self.lengths.map_or(self.steps, |lengths| lengths[row] as usize)
    }

    /// The number of places whose sequences have this step: the first ones.
    fn active(&self, step: usize) -> usize {
        match self.lengths {
            None => self.rows.len(),
            Some(_) => self.rows.partition_point(|&row| self.length(row) > step),
        }
    }
}

impl Direction {
    /// Walks `part` of the units of a track's rows over the steps.
    pub(super) fn walk<S: Simd>(&self, simd: S, track: &Track<'_>, part: &Part<'_>, own: &mut Own) {
        let share = self.share(part);
        self.load(track, &share);
        part.barrier();
        let longest = track.rows.first().map_or(0, |&row| track.length(row));
        let (mut step, mut from) = (0, 0);
        while step < longest {
            let (begin, (stop, is_caller)) = (step, track.stop);
            stop.check(is_caller);
            own.offsets.clear();
            while step < longest {
                let active = track.active(step);
                if step > begin && own.offsets.len() + active > track.chunk {
                    break;
                }
                let strides = track.x_strides;
                let at = |&row: &usize| row * strides.row + self.time(track, row, step) * strides.step;
                own.offsets.extend(track.rows[..active].iter().map(at));
                step += 1;
            }
            if let Some(below) = track.below {
                below.until(|steps| steps >= step);
            }
            self.project(simd, track, part, &share, own);
            let mut row = 0;
            for step in begin..step {
                #[cfg(test)]
                own.fail_if_due();
                let active = track.active(step);
                let xw = &own.xw.floats()[row * self.xw_pitch(share.blocks.len())..];
                let mut halves = Halves {
                    direction: self,
                    track,
                    active,
                    from,
                    xw,
                    own: share.blocks.clone(),
                    sums: own.sums.floats_mut(),
                };
                halves.first(simd);
                if let Some(panel) = self.second() {
                    part.barrier();
                    halves.second(simd, panel, share.second.clone());
                }
                from = 1 - from;
                row += active;
                self.emit(simd, track, &share, step, from);
                if let Some(resets) = track.resets {
                    self.reset(track, resets, &share, step + 1, from);
                }
                part.barrier();
                if let (Some(above), 0) = (track.above, part.index) {
                    above.advance();
                }
            }
            if part.index == 0 {
                track.tally.end(own.offsets.len() as u64);
            }
        }
        self.finish(simd, track, &share);
    }

    /// The matrix of the second product of a step, where there is one.
    fn second(&self) -> Option<&Panel> {
        self.candidate.as_ref().or(self.projection.as_ref())
    }

    /// This part's share of the direction.
    fn share(&self, part: &Part<'_>) -> Share {
        let blocks = part.of(self.w_hh.blocks);
        let second = self.second().map_or(0..0, |panel| part.of(panel.blocks));
        let of = |blocks: &Range<usize>, len: usize| {
            len.min(blocks.start * self.lanes)..len.min(blocks.end * self.lanes)
        };
        let units = of(&blocks, self.hidden);
        let features = if self.projection.is_some() { of(&second, self.state) } else { units.clone() };
        Share { blocks, second, units, features }
    }

    fn time(&self, track: &Track<'_>, row: usize, step: usize) -> usize {
        if self.reverse { track.length(row) - 1 - step } else { step }
    }

    /// Loads the initial states of this part's units.
    fn load(&self, track: &Track<'_>, share: &Share) {
        for (place, &row) in track.rows.iter().enumerate() {
            self.load_row(track, share, (place, row), 0);
        }
    }

    /// Loads the initial states of this part's units for the rows that are reset before `step`; `from` is the h that the step
    /// reads. No final state has been written over them yet, since the rows have this step.
    #[cold]
    fn reset(&self, track: &Track<'_>, resets: Resets<'_>, share: &Share, step: usize, from: usize) {
        for (place, &row) in track.rows[..track.active(step)].iter().enumerate() {
            if step < track.steps && resets.at(row, step) {
                self.load_row(track, share, (place, row), from);
            }
        }
    }

    /// Loads the initial states of a row for this part's units, h into the array `to`.
    fn load_row(&self, track: &Track<'_>, share: &Share, (place, row): (usize, usize), to: usize) {
        let Arrays { h, c, .. } = track.arrays;
        let Share { features, units, .. } = share;
        // SAFETY: rules *tracks* and *shares*: this part's features and units of this track's rows, of which no other thread has
        // any. No step is in progress, and no other thread reads these before the track's next barrier.
        unsafe {
            h[to]
                .slice_mut(place * self.padded_state() + features.start, features.len())
                .copy_from_slice(track.h.slice(row * self.state + features.start, features.len()));
            if self.cell.has_c() {
                c.slice_mut(place * self.padded_units() + units.start, units.len())
                    .copy_from_slice(track.c.slice(row * self.hidden + units.start, units.len()));
            }
        }
    }

    /// Computes the biases and `w_ih x` of the rows of a chunk for this part's units, into its xw.
    fn project<S: Simd>(&self, simd: S, track: &Track<'_>, part: &Part<'_>, share: &Share, own: &mut Own) {
        let units = &share.blocks;
        let Own { offsets, xw, .. } = own;
        let (pitch, width) = (self.xw_pitch(units.len()), self.xw_pitch(1));
        let xw = xw.floats_mut();
        if track.projected {
            return self.add_bias(track, units, offsets, xw);
        }
        let rounds = self.activations.is_half() && matches!(track.x, Source::Caller(_));
        if rounds {
            let rows = part.of(offsets.len());
            for (row, &at) in offsets.iter().enumerate().take(rows.end).skip(rows.start) {
                // SAFETY: x is the caller's, which no thread writes; the rounded rows are this part's alone until the track's
                // barrier.
                unsafe {
                    let to = track.arrays.x.slice_mut(row * self.input, self.input);
                    let from = track.x.slice(at, self.input);
                    simd.run(Kept { storage: self.activations, from, to, is_y: false });
                }
            }
            part.barrier();
        }
        let rows = match rounds {
            true => Rows::Apart(track.arrays.x, self.input),
            false => Rows::At(track.x, offsets),
        };
        tiles(S::REGISTERS, &self.w_ih, offsets.len(), units.clone(), Order::Up, |tile| {
            let to = &mut xw[(tile.row * units.len() + tile.block - units.start) * width..];
            let sums = Sums { to, row: pitch, block: width };
            // SAFETY: rule *layers*: the layer below has come this far; for rounded rows the track's barrier has passed. Rows are
            // `input` long, as the panel is deep, and the network's panels are packed for these vectors.
            unsafe { multiply(simd, &self.w_ih, self.bias.floats(), tile, rows, sums) };
        });
    }

    /// [`Direction::project`] for an x that is `w_ih x` already, without biases.
    fn add_bias(&self, track: &Track<'_>, units: &Range<usize>, offsets: &[usize], xw: &mut [f32]) {
        let (gates, lanes) = (self.cell.gates(), self.lanes);
        let bias = self.bias.floats();
        for (xw, at) in xw.chunks_exact_mut(self.xw_pitch(units.len()).max(1)).zip(offsets) {
            // SAFETY: a projected x is the caller's, which no thread writes.
            let x = unsafe { track.x.slice(at + self.index * gates * self.hidden, gates * self.hidden) };
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

    /// Writes h of `step`, which `from` holds, to y, and to the final states of rows that end with it.
    fn emit<S: Simd>(&self, simd: S, track: &Track<'_>, share: &Share, step: usize, from: usize) {
        let features = &share.features;
        for (place, &row) in track.rows[..track.active(step)].iter().enumerate() {
            // SAFETY: rule *shares*: this part's features of this track's rows, of which no slice is alive.
            unsafe {
                let h =
                    track.arrays.h[from].slice(place * self.padded_state() + features.start, features.len());
                self.store(simd, h, self.y(track, row, self.time(track, row, step), features));
                if step + 1 == track.length(row) {
                    let at = row * self.state + features.start;
                    track.h.slice_mut(at, features.len()).copy_from_slice(h);
                }
            }
        }
    }

    /// Writes the final c, and the padding of y past the end of each sequence.
    fn finish<S: Simd>(&self, simd: S, track: &Track<'_>, share: &Share) {
        let Share { features, units, .. } = share;
        for (place, &row) in track.rows.iter().enumerate() {
            // SAFETY: rule *shares*: this part's units and features of this track's rows.
            unsafe {
                if self.cell.has_c() {
                    let c = track.arrays.c.slice(place * self.padded_units() + units.start, units.len());
                    track.c.slice_mut(row * self.hidden + units.start, units.len()).copy_from_slice(c);
                }
                let length = track.length(row);
                let repeats = track.padding == Some(Padding::Last) && !self.reverse && length > 0;
                for time in length..if track.padding.is_some() { track.steps } else { 0 } {
                    let y = self.y(track, row, time, features);
                    if repeats {
                        let at = row * self.state + features.start;
                        self.store(simd, track.h.slice(at, features.len()), y);
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
    /// No other thread reads or writes them while the slice is used: they are this part's (rule *shares*), of a step that the
    /// layer above does not read yet (*layers*).
    unsafe fn y<'a>(
        &self,
        track: &Track<'a>,
        row: usize,
        time: usize,
        features: &Range<usize>,
    ) -> &'a mut [f32] {
        let Strides { row: rows, step, dir } = track.y_strides;
        let at = row * rows + time * step + self.index * dir;
        // SAFETY: the caller promises that they are this thread's alone.
        unsafe { track.y.slice_mut(at + features.start, features.len()) }
    }

    /// Writes h, rounded to y's storage type.
    fn store<S: Simd>(&self, simd: S, h: &[f32], y: &mut [f32]) {
        match self.activations {
            Storage::F32 => y.copy_from_slice(h),
            storage => simd.run(Kept { storage, from: h, to: y, is_y: true }),
        }
    }
}

/// Numbers rounded to a storage type.
struct Kept<'a> {
    storage: Storage,
    from: &'a [f32],
    to: &'a mut [f32],
    /// Finite numbers stay finite.
    is_y: bool,
}

impl Work for Kept<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        match self.is_y {
            true => self.storage.saturated_all(self.from, self.to),
            false => self.storage.round_all(self.from, self.to),
        }
    }
}

/// The products of one step.
struct Halves<'a> {
    direction: &'a Direction,
    track: &'a Track<'a>,
    active: usize,
    from: usize,
    xw: &'a [f32],
    /// This part's blocks of units.
    own: Range<usize>,
    sums: &'a mut [f32],
}

impl Halves<'_> {
    fn first<S: Simd>(&mut self, simd: S) {
        let h = self.track.arrays.h[self.from];
        let pitch = self.direction.padded_state();
        self.half(simd, Half::First, &self.direction.w_hh, self.own.clone(), (h, pitch));
    }

    fn second<S: Simd>(&mut self, simd: S, panel: &Panel, blocks: Range<usize>) {
        let units = self.track.arrays.units;
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
        let Self { direction, track, active, from, xw, own, sums } = self;
        let width = panel.gates * S::LANES;
        tiles(S::REGISTERS, panel, *active, blocks, Order::of_step(*from), |tile| {
            let to = Sums { to: sums, row: tile.blocks * width, block: width };
            // SAFETY: rule *steps*: no thread writes what this half reads before the next barrier. Rows are padded to the panel's
            // depth or more, and the network's panels are packed for these vectors.
            unsafe { multiply(simd, panel, direction.begin.floats(), tile, Rows::Apart(rows, pitch), to) };
            let (arrays, own) = (&track.arrays, own.clone());
            simd.run(Gates { direction, arrays, half, tile, xw, own, from: *from, sums });
        });
    }
}
