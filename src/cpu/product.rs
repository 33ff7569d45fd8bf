//! The product of every step and of every projection: rows of numbers with a packed matrix.
//!
//! Of each row and column there is one sum, k in order from what it begins with, whatever rows and blocks are computed
//! beside it. That is why no result depends on the batch, on how a sequence is cut, or on threads.

use std::array::from_fn;
use std::ops::Range;

use super::panel::{Panel, Stored};
use super::simd::{Simd, Work};

/// Rows and blocks that are computed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    /// The first row.
    pub(super) row: usize,
    pub(super) rows: usize,
    /// The first block.
    pub(super) block: usize,
    pub(super) blocks: usize,
    /// All rows, of which these are a part.
    of: usize,
    /// The block that comes after these, if it is one.
    next: usize,
}

/// The most vectors of sums that a tile has.
pub(super) const MOST_SUMS: usize = 24;

/// Blocks whose weights are used by all rows before those of the next: the largest share of a matrix that has to stay near.
const GROUP: usize = 4;

/// The order in which a product takes its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Up,
    Down,
}

impl Order {
    /// That of a step which reads `h[from]`: one upwards, the next downwards. What a step used last, and so is still near, the
    /// next uses first.
    pub(super) fn of_step(from: usize) -> Self {
        if from == 0 { Self::Up } else { Self::Down }
    }

    fn ordered(self, range: Range<usize>, step: usize) -> impl Iterator<Item = usize> {
        let (count, start) = (range.len().div_ceil(step), range.start);
        (0..count).map(move |i| start + step * if self == Self::Up { i } else { count - 1 - i })
    }
}

/// Calls `of` with the tiles of so many rows and these blocks. `is_wide` as [`Simd::IS_WIDE`].
#[inline(always)]
pub(super) fn tiles(
    is_wide: bool,
    gates: usize,
    rows: usize,
    blocks: Range<usize>,
    order: Order,
    mut of: impl FnMut(Tile),
) {
    for group in order.ordered(blocks.clone(), GROUP) {
        let end = blocks.end.min(group + GROUP);
        let mut row = 0;
        while row < rows {
            let (tall, across) = shape(is_wide, gates, rows - row);
            let count = (rows - row) / tall;
            for block in order.ordered(group..end, across) {
                let blocks = across.min(end - block);
                let next = if order == Order::Up { block + blocks } else { block.saturating_sub(1) };
                (0..count).for_each(|i| {
                    of(Tile { row: row + i * tall, rows: tall, block, blocks, of: rows, next });
                });
            }
            row += count * tall;
        }
    }
}

/// Rows and blocks of a tile where so many rows are left. Few rows take several blocks, so that enough sums are under way
/// to hide how long each takes.
fn shape(is_wide: bool, gates: usize, rows: usize) -> (usize, usize) {
    let tallest = match (is_wide, gates) {
        (true, 4) => 6,
        (true, _) => 8,
        (false, 4) => 3,
        (false, _) => 4,
    };
    let sums = if is_wide { MOST_SUMS } else { MOST_SUMS / 2 };
    match [tallest, 4, 2].into_iter().find(|&tall| tall <= tallest && tall <= rows) {
        Some(tall) if tall > 2 => (tall, 1),
        Some(tall) => (tall, if tall * gates * GROUP <= sums { GROUP } else { 1 }),
        None => (1, if gates * GROUP <= sums { GROUP } else { 2 }),
    }
}

/// Where the sums of a tile go: numbers from a row to the next and from a block to the next.
pub(super) struct Sums<'a> {
    pub(super) to: &'a mut [f32],
    pub(super) row: usize,
    pub(super) block: usize,
}

/// The products of a tile of [`tiles`]. `row` gives the row of a number, at least as long as the panel is deep; `begin`, what
/// sums begin with, `[blocks, G, lanes]`.
#[inline(always)]
pub(super) fn multiply<'a, S: Simd>(
    simd: S,
    panel: &Panel,
    begin: &[f32],
    tile: Tile,
    row: impl Fn(usize) -> &'a [f32],
    sums: Sums<'_>,
) {
    match panel.gates {
        1 => of_gates::<S, 1>(simd, panel, begin, tile, row, sums),
        2 => of_gates::<S, 2>(simd, panel, begin, tile, row, sums),
        3 => of_gates::<S, 3>(simd, panel, begin, tile, row, sums),
        _ => of_gates::<S, 4>(simd, panel, begin, tile, row, sums),
    }
}

#[inline(always)]
fn of_gates<'a, S: Simd, const G: usize>(
    simd: S,
    panel: &Panel,
    begin: &[f32],
    tile: Tile,
    row: impl Fn(usize) -> &'a [f32],
    sums: Sums<'_>,
) {
    // Shapes that `shape` never gives are not compiled.
    match (tile.rows, tile.blocks) {
        (8, _) if S::IS_WIDE && G < 4 => of_shape::<S, G, 8, 1>(simd, panel, begin, tile, row, sums),
        (6, _) if S::IS_WIDE && G == 4 => of_shape::<S, G, 6, 1>(simd, panel, begin, tile, row, sums),
        (4, _) if S::IS_WIDE || G < 4 => of_shape::<S, G, 4, 1>(simd, panel, begin, tile, row, sums),
        (3, _) if !S::IS_WIDE && G == 4 => of_shape::<S, G, 3, 1>(simd, panel, begin, tile, row, sums),
        (2, 1) => of_shape::<S, G, 2, 1>(simd, panel, begin, tile, row, sums),
        (2, _) if S::IS_WIDE && G < 4 || G == 1 => {
            of_shape::<S, G, 2, GROUP>(simd, panel, begin, tile, row, sums)
        }
        (1, 1) => of_shape::<S, G, 1, 1>(simd, panel, begin, tile, row, sums),
        (1, 2) => of_shape::<S, G, 1, 2>(simd, panel, begin, tile, row, sums),
        _ => of_shape::<S, G, 1, GROUP>(simd, panel, begin, tile, row, sums),
    }
}

#[inline(always)]
fn of_shape<'a, S: Simd, const G: usize, const R: usize, const U: usize>(
    simd: S,
    panel: &Panel,
    begin: &[f32],
    tile: Tile,
    row: impl Fn(usize) -> &'a [f32],
    sums: Sums<'_>,
) {
    let rows: [&[f32]; R] = from_fn(|r| row(tile.row + r));
    let (pitch, depth, first, count) = (panel.pitch(), panel.depth, tile.block, tile.blocks);
    // What all rows need next, of which this tile fetches its rows' share.
    let next = tile.next.min(panel.blocks - 1) * pitch;
    let ahead = Ahead { from: next + pitch / tile.of * tile.row, each: pitch / tile.of * R / depth.max(1) };
    match panel.stored() {
        Stored::F32(panel) => {
            simd.run(Product::<F32, G, R, U> { panel, pitch, depth, begin, rows, first, count, ahead, sums });
        }
        Stored::F16(panel) => {
            simd.run(Product::<F16, G, R, U> { panel, pitch, depth, begin, rows, first, count, ahead, sums });
        }
        Stored::Bf16(panel) => {
            simd.run(Product::<Bf16, G, R, U> {
                panel,
                pitch,
                depth,
                begin,
                rows,
                first,
                count,
                ahead,
                sums,
            });
        }
    }
}

/// How a panel stores its numbers.
trait Number {
    type Word: Copy;
    /// # Safety
    /// `from` points to as many as a vector has lanes.
    unsafe fn load<S: Simd>(simd: S, from: *const Self::Word) -> S::Vector;
}

struct F32;
struct F16;
struct Bf16;

impl Number for F32 {
    type Word = f32;
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const f32) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { simd.load(from) }
    }
}

impl Number for F16 {
    type Word = u16;
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const u16) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { simd.load_f16(from) }
    }
}

impl Number for Bf16 {
    type Word = u16;
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const u16) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { simd.load_bf16(from) }
    }
}

/// The part of a panel that a tile has brought near while it computes: numbers from the first on, so many in each step of k.
#[derive(Clone, Copy)]
struct Ahead {
    from: usize,
    each: usize,
}

/// R rows by `count` blocks from `first` on, U of them at once: those beyond `count` repeat the last for nothing.
struct Product<'a, N: Number, const G: usize, const R: usize, const U: usize> {
    panel: &'a [N::Word],
    /// Numbers from a block to the next.
    pitch: usize,
    depth: usize,
    begin: &'a [f32],
    rows: [&'a [f32]; R],
    first: usize,
    count: usize,
    ahead: Ahead,
    sums: Sums<'a>,
}

impl<N: Number, const G: usize, const R: usize, const U: usize> Work for Product<'_, N, G, R, U> {
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "indices of registers, that nothing else names")]
    fn run<S: Simd>(self, simd: S) {
        let Self { panel, pitch, depth, begin, rows, first, count, ahead, sums } = self;
        let block = |u: usize| first + u.min(count - 1);
        // Plain loops: iterators over vectors are not inlined into the function that has the instructions.
        let mut from = [std::ptr::null(); R];
        for r in 0..R {
            from[r] = rows[r][..depth].as_ptr();
        }
        let mut weights = [std::ptr::null(); U];
        let mut acc = [[[simd.splat(0.0); G]; R]; U];
        for u in 0..U {
            weights[u] = panel[block(u) * pitch..][..depth * G * S::LANES].as_ptr();
            for g in 0..G {
                let v = simd.read(&begin[(block(u) * G + g) * S::LANES..]);
                for r in 0..R {
                    acc[u][r][g] = v;
                }
            }
        }
        let mut next = panel.as_ptr().wrapping_add(ahead.from);
        for k in 0..depth {
            // SAFETY: k is less than the depth, to which every row has been cut.
            let number = |r: usize| simd.splat(unsafe { *from[r].add(k) });
            // SAFETY: every panel has been cut to `depth · G` vectors.
            let weight =
                |u: usize, g: usize| unsafe { N::load(simd, weights[u].add((k * G + g) * S::LANES)) };
            if U == 1 {
                // Many rows: what stays in registers beside the sums are the weights, and there is time to fetch the next.
                simd.fetch(next.cast());
                next = next.wrapping_add(ahead.each);
                let mut w = [simd.splat(0.0); G];
                for g in 0..G {
                    w[g] = weight(0, g);
                }
                for r in 0..R {
                    let a = number(r);
                    for g in 0..G {
                        acc[0][r][g] = simd.fma(a, w[g], acc[0][r][g]);
                    }
                }
            } else {
                // Many blocks: the rows.
                let mut a = [simd.splat(0.0); R];
                for r in 0..R {
                    a[r] = number(r);
                }
                for u in 0..U {
                    for g in 0..G {
                        let w = weight(u, g);
                        for r in 0..R {
                            acc[u][r][g] = simd.fma(a[r], w, acc[u][r][g]);
                        }
                    }
                }
            }
        }
        for u in 0..count.min(U) {
            for r in 0..R {
                let to = &mut sums.to[r * sums.row + u * sums.block..];
                for g in 0..G {
                    simd.write(acc[u][r][g], &mut to[g * S::LANES..]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_row_and_block_once_within_the_registers() {
        for is_wide in [false, true] {
            for gates in 1..=4 {
                let sizes = [(1, 0..1), (1, 2..9), (2, 0..4), (23, 0..5), (64, 1..3)];
                for (order, (rows, blocks)) in
                    sizes.into_iter().flat_map(|of| [(Order::Up, of.clone()), (Order::Down, of)])
                {
                    let mut seen = vec![0; rows * blocks.end];
                    tiles(is_wide, gates, rows, blocks.clone(), order, |tile| {
                        let sums = tile.rows * tile.blocks * gates;
                        assert!(sums <= if is_wide { 24 } else { 12 }, "{tile:?}");
                        for row in tile.row..tile.row + tile.rows {
                            for block in tile.block..tile.block + tile.blocks {
                                seen[row * blocks.end + block] += 1;
                            }
                        }
                    });
                    for (at, &count) in seen.iter().enumerate() {
                        let expected = i32::from(blocks.contains(&(at % blocks.end)));
                        assert_eq!(count, expected, "{rows} rows, {blocks:?}");
                    }
                }
            }
        }
    }
}
