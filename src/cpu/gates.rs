//! From sums to states: the gates of a tile of rows and blocks. Equations and names as in [`crate::model::Cell`].

use std::ops::Range;

use super::activation::{Functions, Standard, clamp};
use super::direction::Direction;
use super::product::Tile;
use super::shared::Shared;
use super::simd::{Simd, Work};
use crate::model::{Cell, Forget, Reset, Update};

/// The arrays of a walk over the steps, rows side by side in the order of its places. A row of units is padded to whole
/// vectors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrays<'a> {
    /// `[rows, P]`, in turn: what a step reads and what it writes.
    pub(super) h: [Shared<'a>; 2],
    /// `[rows, H]`.
    pub(super) c: Shared<'a>,
    /// `[rows, H]`: r ⊙ h of a GRU that resets before the product, h before the projection of an LSTM.
    pub(super) units: Shared<'a>,
    /// `[rows, H]`: z of a GRU that resets before the product.
    pub(super) z: Shared<'a>,
    /// `[rows of a chunk, I]`: x as its storage type keeps it, where that is not as it is.
    pub(super) x: Shared<'a>,
}

/// Which half of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// The first product's, which is the only one but for what follows.
    First,
    /// The candidate of a GRU that resets before the product; the projection of an LSTM.
    Second,
}

/// The gates of one tile.
pub(super) struct Gates<'a> {
    pub(super) direction: &'a Direction,
    pub(super) arrays: &'a Arrays<'a>,
    pub(super) half: Half,
    pub(super) tile: Tile,
    /// The projection with the biases, `[rows, blocks, G, lanes]`, from the step's first row and this thread's first block on.
    pub(super) xw: &'a [f32],
    /// This thread's blocks.
    pub(super) own: Range<usize>,
    /// Which of `h` the step reads.
    pub(super) from: usize,
    /// The tile's sums, `[rows, blocks, G, lanes]`, G those of the product.
    pub(super) sums: &'a [f32],
}

impl Work for Gates<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match &self.direction.functions {
            None => self.apply(simd, &Standard),
            Some(general) => self.apply(simd, general),
        }
    }
}

impl Gates<'_> {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, functions: &impl Functions) {
        match (self.direction.cell, self.half) {
            (Cell::Gru { reset: Reset::After, update }, _) => self.gru_after(simd, functions, update),
            (Cell::Gru { reset: Reset::Before, .. }, Half::First) => self.gru_before_reset(simd, functions),
            (Cell::Gru { reset: Reset::Before, update }, Half::Second) => {
                self.gru_before(simd, functions, update);
            }
            (Cell::Lstm { forget }, Half::First) => self.lstm(simd, functions, forget),
            (Cell::Lstm { .. }, Half::Second) => self.projected(simd),
            (Cell::Rnn, _) => self.rnn(simd, functions),
        }
    }

    /// A row and block of the tile, whose product has G = `gates`.
    ///
    /// What a thread may touch of it without harm to another: h that the step reads; c, `units`, `z` and h that it writes,
    /// of these rows and blocks, which are the thread's own.
    #[inline(always)]
    fn at<S: Simd>(&self, row: usize, block: usize, gates: usize) -> At<'_> {
        let Self { direction, tile, xw, own, sums, .. } = self;
        let sums = &sums[(row * tile.blocks + block) * gates * S::LANES..][..gates * S::LANES];
        let (place, block) = (tile.row + row, tile.block + block);
        let first = block * S::LANES;
        let width = direction.cell.gates() * S::LANES;
        // A projected state has blocks of its own, to which no xw belongs.
        let xw = match self.half {
            Half::Second if direction.cell.has_c() => &[][..],
            _ => &xw[(place * own.len() + block - own.start) * width..][..width],
        };
        At {
            first,
            unit: place * direction.padded_units() + first,
            state: place * direction.padded_state() + first,
            xw,
            sums,
        }
    }

    /// h that the step reads, of the units of a block.
    #[inline(always)]
    fn old_h<S: Simd>(&self, simd: S, at: &At<'_>) -> S::Vector {
        // SAFETY: nobody writes it during the step.
        simd.read(unsafe { self.arrays.h[self.from].slice(at.state, S::LANES) })
    }

    #[inline(always)]
    fn set_h<S: Simd>(&self, simd: S, at: &At<'_>, h: S::Vector) {
        let h = clamp(simd, h, self.direction.state_clip);
        // SAFETY: see `at`.
        simd.write(h, unsafe { self.arrays.h[1 - self.from].slice_mut(at.state, S::LANES) });
    }

    #[inline(always)]
    fn rnn<S: Simd>(&self, simd: S, functions: &impl Functions) {
        for row in 0..self.tile.rows {
            for block in 0..self.tile.blocks {
                let at = self.at::<S>(row, block, 1);
                self.set_h(simd, &at, functions.rnn(simd, at.pre(simd, 0)));
            }
        }
    }

    /// h of an LSTM with a projection: the product itself.
    #[inline(always)]
    fn projected<S: Simd>(&self, simd: S) {
        for row in 0..self.tile.rows {
            for block in 0..self.tile.blocks {
                let at = self.at::<S>(row, block, 1);
                // SAFETY: see `at`.
                let h = unsafe { self.arrays.h[1 - self.from].slice_mut(at.state, S::LANES) };
                simd.write(simd.read(at.sums), h);
            }
        }
    }

    #[inline(always)]
    fn gru_after<S: Simd>(&self, simd: S, functions: &impl Functions, update: Update) {
        for row in 0..self.tile.rows {
            for block in 0..self.tile.blocks {
                let at = self.at::<S>(row, block, 3);
                let r = functions.gate(simd, at.pre(simd, 0));
                let z = functions.gate(simd, at.pre(simd, 1));
                let n = simd.fma(r, simd.read(at.sum::<S>(2)), simd.read(at.xw::<S>(2)));
                let n = functions.candidate(simd, n);
                self.set_h(simd, &at, blend(simd, update, z, self.old_h(simd, &at), n));
            }
        }
    }

    #[inline(always)]
    fn gru_before_reset<S: Simd>(&self, simd: S, functions: &impl Functions) {
        for row in 0..self.tile.rows {
            for block in 0..self.tile.blocks {
                let at = self.at::<S>(row, block, 2);
                let r = functions.gate(simd, at.pre(simd, 0));
                let z = functions.gate(simd, at.pre(simd, 1));
                // SAFETY: see `at`.
                let (reset_h, own_z) = unsafe {
                    (
                        self.arrays.units.slice_mut(at.unit, S::LANES),
                        self.arrays.z.slice_mut(at.unit, S::LANES),
                    )
                };
                simd.write(simd.mul(r, self.old_h(simd, &at)), reset_h);
                simd.write(z, own_z);
            }
        }
    }

    #[inline(always)]
    fn gru_before<S: Simd>(&self, simd: S, functions: &impl Functions, update: Update) {
        for row in 0..self.tile.rows {
            for block in 0..self.tile.blocks {
                let at = self.at::<S>(row, block, 1);
                let n = simd.add(simd.read(at.xw::<S>(2)), simd.read(at.sums));
                let n = functions.candidate(simd, n);
                // SAFETY: see `at`; written in the first half by this thread.
                let z = simd.read(unsafe { self.arrays.z.slice(at.unit, S::LANES) });
                self.set_h(simd, &at, blend(simd, update, z, self.old_h(simd, &at), n));
            }
        }
    }

    #[inline(always)]
    fn lstm<S: Simd>(&self, simd: S, functions: &impl Functions, forget: Forget) {
        let direction = self.direction;
        let peepholes = direction.peepholes.as_ref().map(|p| p.floats());
        for row in 0..self.tile.rows {
            for block in 0..self.tile.blocks {
                let at = self.at::<S>(row, block, 4);
                // SAFETY: see `at`.
                let own_c = unsafe { self.arrays.c.slice_mut(at.unit, S::LANES) };
                let c = simd.read(own_c);
                let i = functions.gate(simd, at.peeped(simd, peepholes, 0, 0, c));
                let f = match forget {
                    Forget::Own => functions.gate(simd, at.peeped(simd, peepholes, 1, 1, c)),
                    Forget::Coupled => simd.sub(simd.splat(1.0), i),
                };
                let g = functions.candidate(simd, at.pre(simd, 2));
                let c = simd.fma(f, c, simd.mul(i, g));
                let c = clamp(simd, c, direction.state_clip);
                simd.write(c, own_c);
                let o = functions.gate(simd, at.peeped(simd, peepholes, 2, 3, c));
                let h = simd.mul(o, functions.output(simd, c));
                // SAFETY: see `at`.
                let to = unsafe {
                    if direction.projection.is_some() {
                        self.arrays.units.slice_mut(at.unit, S::LANES)
                    } else {
                        self.arrays.h[1 - self.from].slice_mut(at.state, S::LANES)
                    }
                };
                simd.write(h, to);
            }
        }
    }
}

/// One row and block of a tile.
struct At<'a> {
    /// The first unit of the block.
    first: usize,
    /// Where its numbers begin in an array of units, and of states.
    unit: usize,
    state: usize,
    /// `[G, lanes]`.
    xw: &'a [f32],
    sums: &'a [f32],
}

impl At<'_> {
    #[inline(always)]
    fn xw<S: Simd>(&self, gate: usize) -> &[f32] {
        &self.xw[gate * S::LANES..]
    }

    /// What a gate is a function of.
    #[inline(always)]
    fn pre<S: Simd>(&self, simd: S, gate: usize) -> S::Vector {
        simd.add(simd.read(self.xw::<S>(gate)), simd.read(self.sum::<S>(gate)))
    }

    /// [`At::pre`] with c through the peephole of this place, where there are any: `[blocks, 3, lanes]`.
    #[inline(always)]
    fn peeped<S: Simd>(
        &self,
        simd: S,
        peepholes: Option<&[f32]>,
        place: usize,
        gate: usize,
        c: S::Vector,
    ) -> S::Vector {
        let pre = self.pre(simd, gate);
        match peepholes {
            Some(peepholes) => simd.fma(simd.read(&peepholes[self.first * 3 + place * S::LANES..]), c, pre),
            None => pre,
        }
    }

    #[inline(always)]
    fn sum<S: Simd>(&self, gate: usize) -> &[f32] {
        &self.sums[gate * S::LANES..]
    }
}

#[inline(always)]
fn blend<S: Simd>(simd: S, update: Update, z: S::Vector, h: S::Vector, n: S::Vector) -> S::Vector {
    let rest = simd.sub(simd.splat(1.0), z);
    match update {
        Update::Keeps => simd.fma(z, h, simd.mul(rest, n)),
        Update::Takes => simd.fma(rest, h, simd.mul(z, n)),
    }
}
