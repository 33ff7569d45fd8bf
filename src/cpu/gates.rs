//! From sums to states: the gates of a tile of rows and blocks. Equations and names as in [`crate::model::Cell`].

use std::ops::Range;

use super::activation::{Functions, Standard, clamp};
use super::direction::Direction;

use super::shared::Shared;
use super::simd::{Simd, Work};
use super::tiles::Tile;
use crate::model::{Cell, Forget, Reset, Update};

/// The arrays of a walk over the steps, rows in the order of the track's places. A row of units is padded to whole vectors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrays<'a> {
    /// `[rows, P]`, double-buffered: what a step reads and what it writes.
    pub(super) h: [Shared<'a>; 2],
    /// `[rows, H]`.
    pub(super) c: Shared<'a>,
    /// `[rows, H]`: r ⊙ h of a GRU that resets before the product, h before the projection of an LSTM.
    pub(super) units: Shared<'a>,
    /// `[rows, H]`: z of a GRU that resets before the product.
    pub(super) z: Shared<'a>,
    /// `[rows of a chunk, I]`: x rounded to its storage type, where that is not f32.
    pub(super) x: Shared<'a>,
}

/// Which half of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// After the first product, which for most cells is the only one.
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

/// The first of some cells of a tile that are computed together: of a column of its blocks, or of a row of them.
#[derive(Clone, Copy)]
struct First {
    row: usize,
    block: usize,
    is_column: bool,
}

/// Calls a method for all cells of the tile, some of them together, so that one cell's latency is hidden by the others. Code for
/// a count that `SIDE_BY_SIDE` excludes is not generated: an unoptimised build would reserve stack for all its variables. Modules of
/// WebAssembly, whose size counts, compute three cells as two and one.
macro_rules! side_by_side {
    ($gates:ident.$of:ident::<$s:ty, $f:ty>($($argument:expr),*)) => {{
        let (rows, blocks) = ($gates.tile.rows, $gates.tile.blocks);
        let is_column = rows >= blocks;
        let (lines, len) = if is_column { (blocks, rows) } else { (rows, blocks) };
        for line in 0..lines {
            let mut at = 0;
            while at < len {
                let (row, block) = if is_column { (at, line) } else { (line, at) };
                let first = First { row, block, is_column };
                at += match <$f>::SIDE_BY_SIDE.min(len - at) {
                    4.. if const { <$f>::SIDE_BY_SIDE > 3 } => $gates.$of::<$s, 4>($($argument,)* first),
                    3 if const { <$f>::SIDE_BY_SIDE > 2 && !cfg!(target_arch = "wasm32") } => $gates.$of::<$s, 3>($($argument,)* first),
                    2.. if const { <$f>::SIDE_BY_SIDE > 1 } => $gates.$of::<$s, 2>($($argument,)* first),
                    _ => $gates.$of::<$s, 1>($($argument,)* first),
                };
            }
        }
    }};
}

impl Gates<'_> {
    #[inline(always)]
    fn apply<S: Simd, F: Functions>(&self, simd: S, functions: &F) {
        match (self.direction.cell, self.half) {
            (Cell::Gru { reset: Reset::After, update }, _) => {
                side_by_side!(self.gru_after::<S, F>(simd, functions, update));
            }
            (Cell::Gru { reset: Reset::Before, .. }, Half::First) => {
                side_by_side!(self.gru_before_reset::<S, F>(simd, functions));
            }
            (Cell::Gru { reset: Reset::Before, update }, Half::Second) => {
                side_by_side!(self.gru_before::<S, F>(simd, functions, update));
            }
            (Cell::Lstm { forget }, Half::First) => {
                side_by_side!(self.lstm::<S, F>(simd, functions, forget));
            }
            (Cell::Lstm { .. }, Half::Second) => side_by_side!(self.projected::<S, F>(simd)),
            (Cell::Rnn, _) => side_by_side!(self.rnn::<S, F>(simd, functions)),
        }
    }

    /// Cells of the tile from `first` on, where the product has G = `gates`.
    ///
    /// A thread may touch these arrays by the rules of [`super::shared::Shared`]. It reads h of the step, which no thread writes
    /// before the next barrier (*steps*). It writes c, `units`, `z` and the next h of its own rows and blocks (*shares*).
    #[inline(always)]
    fn cells<S: Simd, const N: usize>(&self, first: First, gates: usize) -> [At<'_>; N] {
        // `from_fn` would not be inlined.
        let mut cells = [self.cell::<S>(first, 0, gates); N];
        for (index, cell) in cells.iter_mut().enumerate().skip(1) {
            *cell = self.cell::<S>(first, index, gates);
        }
        cells
    }

    /// The cell that is `index` after the first.
    #[inline(always)]
    fn cell<S: Simd>(&self, first: First, index: usize, gates: usize) -> At<'_> {
        let Self { direction, tile, xw, own, sums, .. } = self;
        let width = direction.cell.gates() * S::LANES;
        let (down, right) = if first.is_column { (index, 0) } else { (0, index) };
        let (row, across) = (first.row + down, first.block + right);
        let (place, block) = (tile.row + row, tile.block + across);
        // A projected state has blocks of its own, which have no xw.
        let xw = match self.half {
            Half::Second if direction.cell.has_c() => &[][..],
            _ => &xw[(place * own.len() + block - own.start) * width..][..width],
        };
        let first = block * S::LANES;
        At {
            first,
            unit: place * direction.padded_units() + first,
            state: place * direction.padded_state() + first,
            xw,
            sums: &sums[(row * tile.blocks + across) * gates * S::LANES..][..gates * S::LANES],
        }
    }

    /// h that the step reads, of the units of a block.
    #[inline(always)]
    fn old_h<S: Simd>(&self, simd: S, at: &At<'_>) -> S::Vector {
        // SAFETY: rule *steps*: no thread writes it before the track's next barrier.
        simd.read(unsafe { self.arrays.h[self.from].slice(at.state, S::LANES) })
    }

    #[inline(always)]
    fn set_h<S: Simd>(&self, simd: S, at: &At<'_>, h: S::Vector) {
        let h = clamp(simd, h, self.direction.state_clip);
        // SAFETY: rule *shares*: this cell's h of the next step is this thread's.
        simd.write(h, unsafe { self.arrays.h[1 - self.from].slice_mut(at.state, S::LANES) });
    }

    #[inline(always)]
    fn rnn<S: Simd, const N: usize>(&self, simd: S, functions: &impl Functions, first: First) -> usize {
        let cells = self.cells::<S, N>(first, 1);
        let h = functions.rnn(simd, pre(simd, &cells, 0));
        for i in 0..N {
            self.set_h(simd, &cells[i], h[i]);
        }
        N
    }

    /// h of an LSTM with a projection: the product itself.
    #[inline(always)]
    fn projected<S: Simd, const N: usize>(&self, simd: S, first: First) -> usize {
        for at in &self.cells::<S, N>(first, 1) {
            // SAFETY: rule *shares*: this cell's h of the next step is this thread's.
            let h = unsafe { self.arrays.h[1 - self.from].slice_mut(at.state, S::LANES) };
            simd.write(simd.read(at.sums), h);
        }
        N
    }

    #[inline(always)]
    fn gru_after<S: Simd, const N: usize>(
        &self,
        simd: S,
        functions: &impl Functions,
        update: Update,
        first: First,
    ) -> usize {
        let cells = self.cells::<S, N>(first, 3);
        let r = functions.gate(simd, pre(simd, &cells, 0));
        let mut n = r;
        for i in 0..N {
            n[i] = simd.fma(r[i], simd.read(cells[i].sum::<S>(2)), simd.read(cells[i].xw::<S>(2)));
        }
        let n = functions.candidate(simd, n);
        let z = functions.gate(simd, pre(simd, &cells, 1));
        for i in 0..N {
            let h = self.old_h(simd, &cells[i]);
            self.set_h(simd, &cells[i], blend(simd, update, z[i], h, n[i]));
        }
        N
    }

    #[inline(always)]
    fn gru_before_reset<S: Simd, const N: usize>(
        &self,
        simd: S,
        functions: &impl Functions,
        first: First,
    ) -> usize {
        let cells = self.cells::<S, N>(first, 2);
        let r = functions.gate(simd, pre(simd, &cells, 0));
        let z = functions.gate(simd, pre(simd, &cells, 1));
        for i in 0..N {
            // SAFETY: rule *shares*: these are this cell's, and in two different arrays.
            let (reset_h, own_z) = unsafe {
                (
                    self.arrays.units.slice_mut(cells[i].unit, S::LANES),
                    self.arrays.z.slice_mut(cells[i].unit, S::LANES),
                )
            };
            simd.write(simd.mul(r[i], self.old_h(simd, &cells[i])), reset_h);
            simd.write(z[i], own_z);
        }
        N
    }

    #[inline(always)]
    fn gru_before<S: Simd, const N: usize>(
        &self,
        simd: S,
        functions: &impl Functions,
        update: Update,
        first: First,
    ) -> usize {
        let cells = self.cells::<S, N>(first, 1);
        let mut n = [simd.splat(0.0); N];
        for i in 0..N {
            n[i] = simd.add(simd.read(cells[i].xw::<S>(2)), simd.read(cells[i].sums));
        }
        let n = functions.candidate(simd, n);
        for i in 0..N {
            // SAFETY: rule *shares*: this cell's z, which this thread wrote in the first half.
            let z = simd.read(unsafe { self.arrays.z.slice(cells[i].unit, S::LANES) });
            let h = self.old_h(simd, &cells[i]);
            self.set_h(simd, &cells[i], blend(simd, update, z, h, n[i]));
        }
        N
    }

    #[inline(always)]
    fn lstm<S: Simd, const N: usize>(
        &self,
        simd: S,
        functions: &impl Functions,
        forget: Forget,
        first: First,
    ) -> usize {
        let direction = self.direction;
        let peepholes = direction.peepholes.as_ref().map(|p| p.floats());
        let cells = self.cells::<S, N>(first, 4);
        let mut c = [simd.splat(0.0); N];
        for i in 0..N {
            // SAFETY: rule *shares*: this cell's c.
            c[i] = simd.read(unsafe { self.arrays.c.slice(cells[i].unit, S::LANES) });
        }
        let i = functions.gate(simd, peeped(simd, &cells, peepholes, 0, 0, &c));
        let f = match forget {
            Forget::Own => functions.gate(simd, peeped(simd, &cells, peepholes, 1, 1, &c)),
            Forget::Coupled => {
                let mut f = i;
                for f in &mut f {
                    *f = simd.sub(simd.splat(1.0), *f);
                }
                f
            }
        };
        let g = functions.candidate(simd, pre(simd, &cells, 2));
        for at in 0..N {
            c[at] = simd.fma(f[at], c[at], simd.mul(i[at], g[at]));
            c[at] = clamp(simd, c[at], direction.state_clip);
            // SAFETY: rule *shares*: this cell's c, of which no slice is alive.
            simd.write(c[at], unsafe { self.arrays.c.slice_mut(cells[at].unit, S::LANES) });
        }
        let o = functions.gate(simd, peeped(simd, &cells, peepholes, 2, 3, &c));
        let of_c = functions.output(simd, c);
        for at in 0..N {
            // SAFETY: rule *shares*: this cell's.
            let to = unsafe {
                if direction.projection.is_some() {
                    self.arrays.units.slice_mut(cells[at].unit, S::LANES)
                } else {
                    self.arrays.h[1 - self.from].slice_mut(cells[at].state, S::LANES)
                }
            };
            simd.write(simd.mul(o[at], of_c[at]), to);
        }
        N
    }
}

/// One row and block of a tile.
#[derive(Clone, Copy)]
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

    #[inline(always)]
    fn sum<S: Simd>(&self, gate: usize) -> &[f32] {
        &self.sums[gate * S::LANES..]
    }
}

/// The pre-activation of a gate.
#[inline(always)]
fn pre<S: Simd, const N: usize>(simd: S, cells: &[At<'_>; N], gate: usize) -> [S::Vector; N] {
    let mut pre = [simd.splat(0.0); N];
    for i in 0..N {
        pre[i] = simd.add(simd.read(cells[i].xw::<S>(gate)), simd.read(cells[i].sum::<S>(gate)));
    }
    pre
}

/// [`pre`] plus c times the peephole weight of this place, where there are peepholes: `[blocks, 3, lanes]`.
#[inline(always)]
fn peeped<S: Simd, const N: usize>(
    simd: S,
    cells: &[At<'_>; N],
    peepholes: Option<&[f32]>,
    place: usize,
    gate: usize,
    c: &[S::Vector; N],
) -> [S::Vector; N] {
    let mut pre = pre(simd, cells, gate);
    if let Some(peepholes) = peepholes {
        for i in 0..N {
            let peephole = simd.read(&peepholes[cells[i].first * 3 + place * S::LANES..]);
            pre[i] = simd.fma(peephole, c[i], pre[i]);
        }
    }
    pre
}

#[inline(always)]
fn blend<S: Simd>(simd: S, update: Update, z: S::Vector, h: S::Vector, n: S::Vector) -> S::Vector {
    let rest = simd.sub(simd.splat(1.0), z);
    match update {
        Update::Keeps => simd.fma(z, h, simd.mul(rest, n)),
        Update::Takes => simd.fma(rest, h, simd.mul(z, n)),
    }
}
