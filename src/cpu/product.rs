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

/// The most blocks of a tile.
const MOST_BLOCKS: usize = 8;

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

/// Rows and blocks of the tiles of a product with so many gates, from many rows to one, chosen by measurement
/// (PERFORMANCE.md) among those whose sums stay in registers, see [`needed`]. Few rows take several blocks, so that enough
/// sums are under way to hide how long each takes.
const fn shapes(registers: usize, gates: usize) -> &'static [(usize, usize)] {
    match (registers, gates) {
        (32.., 1) => &[(8, 2), (4, 4), (2, 8), (1, 8)],
        (32.., 2) => &[(4, 2), (2, 4), (1, 4)],
        (32.., 3) => &[(8, 1), (4, 1), (3, 1), (2, 4), (1, 4)],
        (32.., _) => &[(6, 1), (4, 1), (3, 1), (2, 1), (1, 4)],
        (_, 1) => &[(3, 4), (2, 4), (1, 8)],
        (_, 2) => &[(3, 2), (2, 2), (1, 4)],
        (_, 3) => &[(4, 1), (3, 1), (2, 2), (1, 4)],
        (_, _) => &[(3, 1), (2, 1), (1, 2)],
    }
}

/// Registers that a tile takes: its sums; of its rows' numbers and of its weights the fewer, which stay while the others come
/// one after the other; and one for these.
pub(super) const fn needed(gates: usize, rows: usize, blocks: usize) -> usize {
    let weights = gates * blocks;
    rows * weights + if rows < weights { rows } else { weights } + 1
}

/// Blocks whose weights are used by all rows before those of the next: the largest share of a matrix that has to stay near.
const fn group(gates: usize) -> usize {
    if gates == 1 { 8 } else { 4 }
}

/// Blocks of the next tile where so many of a group are left: as many as one of `most` can have.
fn across(most: usize, left: usize) -> usize {
    match left.min(most) {
        width @ 5..MOST_BLOCKS => width.min(4),
        width => width,
    }
}

/// Whether a tile may have so many rows and blocks; the others are not compiled.
const fn is_shape(registers: usize, gates: usize, rows: usize, blocks: usize) -> bool {
    let (shapes, mut at) = (shapes(registers, gates), 0);
    while at < shapes.len() {
        assert!(
            needed(gates, shapes[at].0, shapes[at].1) <= registers,
            "a tile takes more registers than there are"
        );
        if shapes[at].0 == rows && shapes[at].1 >= blocks {
            return true;
        }
        at += 1;
    }
    false
}

/// Calls `of` with the tiles of so many rows and these blocks. `registers` as [`Simd::REGISTERS`].
#[inline(always)]
pub(super) fn tiles(
    registers: usize,
    gates: usize,
    rows: usize,
    blocks: Range<usize>,
    order: Order,
    mut of: impl FnMut(Tile),
) {
    let shapes = shapes(registers, gates);
    for group in order.ordered(blocks.clone(), group(gates)) {
        let group = group..blocks.end.min(group + self::group(gates));
        let mut row = 0;
        for &(tall, most) in shapes {
            if rows - row < tall {
                continue;
            }
            let end = row + (rows - row) / tall * tall;
            let mut left = group.clone();
            while !left.is_empty() {
                let across = across(most, left.len());
                let block = match order {
                    Order::Up => left.start,
                    Order::Down => left.end - across,
                };
                let next = match order {
                    Order::Up => block + across,
                    Order::Down => block.saturating_sub(1),
                };
                for row in (row..end).step_by(tall) {
                    of(Tile { row, rows: tall, block, blocks: across, of: rows, next });
                }
                match order {
                    Order::Up => left.start += across,
                    Order::Down => left.end = block,
                }
            }
            row = end;
        }
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
    macro_rules! of {
        ($($rows:literal: $($blocks:literal)*;)*) => {
            match (tile.rows, tile.blocks) {
                $($(($rows, $blocks) if const { is_shape(S::REGISTERS, G, $rows, $blocks) } => {
                    of_shape::<S, G, $rows, $blocks>(simd, panel, begin, tile, row, sums);
                })*)*
                _ => unreachable!("{tile:?} is none of `shapes`"),
            }
        };
    }
    of! {
        8: 1 2;
        6: 1;
        4: 1 2 3 4;
        3: 1 2 3 4;
        2: 1 2 3 4 8;
        1: 1 2 3 4 8;
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
    let (pitch, depth, first) = (panel.pitch(), panel.depth, tile.block);
    // What all rows need next, of which this tile fetches its rows' share.
    let next = tile.next.min(panel.blocks - 1) * pitch;
    let ahead = Ahead { from: next + pitch / tile.of * tile.row, each: pitch / tile.of * R / depth.max(1) };
    match panel.stored() {
        Stored::F32(panel) => {
            simd.run(Product::<F32, G, R, U> { panel, pitch, depth, begin, rows, first, ahead, sums });
        }
        Stored::F16(panel) => {
            simd.run(Product::<F16, G, R, U> { panel, pitch, depth, begin, rows, first, ahead, sums });
        }
        Stored::Bf16(panel) => {
            simd.run(Product::<Bf16, G, R, U> { panel, pitch, depth, begin, rows, first, ahead, sums });
        }
    }
}

/// How a panel stores its numbers.
pub(super) trait Number {
    type Word: Copy;

    /// A vector of a block. `is_tight`: all registers are taken.
    ///
    /// # Safety
    /// The block has k.
    unsafe fn load<S: Simd>(simd: S, block: *const Self::Word, at: At, is_tight: bool) -> S::Vector;
}

/// Where in a block of a [`Panel`] a vector is.
#[derive(Clone, Copy)]
pub(super) struct At {
    k: usize,
    gate: usize,
    gates: usize,
}

pub(super) struct F32;
pub(super) struct F16;
pub(super) struct Bf16;

impl Number for F32 {
    type Word = f32;
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, block: *const f32, at: At, _: bool) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { simd.load(block.add((at.k * at.gates + at.gate) * S::LANES)) }
    }
}

impl Number for F16 {
    type Word = u16;
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, block: *const u16, at: At, _: bool) -> S::Vector {
        // SAFETY: the caller's.
        unsafe { simd.load_f16(block.add((at.k * at.gates + at.gate) * S::LANES)) }
    }
}

impl Number for Bf16 {
    type Word = u16;
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, block: *const u16, at: At, is_tight: bool) -> S::Vector {
        // SAFETY: the caller's; a block has whole pairs.
        unsafe {
            let pairs = block.add((at.k / 2 * at.gates + at.gate) * 2 * S::LANES);
            if at.k % 2 == 0 { simd.load_bf16_first(pairs) } else { simd.load_bf16_second(pairs, is_tight) }
        }
    }
}

/// The part of a panel that a tile has brought near while it computes: numbers from the first on, so many in each step of k.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    pub(super) from: usize,
    pub(super) each: usize,
}

/// R rows by U blocks from `first` on.
pub(super) struct Product<'a, N: Number, const G: usize, const R: usize, const U: usize> {
    pub(super) panel: &'a [N::Word],
    /// Numbers from a block to the next.
    pub(super) pitch: usize,
    pub(super) depth: usize,
    pub(super) begin: &'a [f32],
    pub(super) rows: [&'a [f32]; R],
    pub(super) first: usize,
    pub(super) ahead: Ahead,
    pub(super) sums: Sums<'a>,
}

impl<N: Number, const G: usize, const R: usize, const U: usize> Work for Product<'_, N, G, R, U> {
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "indices of registers, that nothing else names")]
    fn run<S: Simd>(self, simd: S) {
        let Self { panel, pitch, depth, begin, rows, first, ahead, sums } = self;
        // Plain loops: iterators over vectors are not inlined into the function that has the instructions.
        let mut from = [std::ptr::null(); R];
        for r in 0..R {
            from[r] = rows[r][..depth].as_ptr();
        }
        let mut weights = [std::ptr::null(); U];
        let mut acc = [[[simd.splat(0.0); G]; R]; U];
        for u in 0..U {
            weights[u] = panel[(first + u) * pitch..][..pitch].as_ptr();
            for g in 0..G {
                let v = simd.read(&begin[((first + u) * G + g) * S::LANES..]);
                for r in 0..R {
                    acc[u][r][g] = v;
                }
            }
        }
        let mut next = panel.as_ptr().wrapping_add(ahead.from);
        // Two k at a time, since bf16 numbers are stored in pairs of them.
        for pair in 0..depth / 2 {
            if R > 2 {
                // Many rows: there is time to fetch the next weights.
                simd.fetch(next.cast());
                next = next.wrapping_add(2 * ahead.each);
            }
            // SAFETY: k is less than the depth, to which every row and every block has been cut.
            unsafe {
                add::<S, N, G, R, U>(simd, &mut acc, &mut from, &mut weights, 2 * pair);
                add::<S, N, G, R, U>(simd, &mut acc, &mut from, &mut weights, 2 * pair + 1);
            }
        }
        if depth % 2 == 1 {
            // SAFETY: as above.
            unsafe { add::<S, N, G, R, U>(simd, &mut acc, &mut from, &mut weights, depth - 1) };
        }
        for u in 0..U {
            for r in 0..R {
                let to = &mut sums.to[r * sums.row + u * sums.block..];
                for g in 0..G {
                    simd.write(acc[u][r][g], &mut to[g * S::LANES..]);
                }
            }
        }
    }
}

/// Adds to the sums what k gives.
///
/// # Safety
/// Every row and every block has k.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "indices of registers, that nothing else names")]
unsafe fn add<S: Simd, N: Number, const G: usize, const R: usize, const U: usize>(
    simd: S,
    acc: &mut [[[S::Vector; G]; R]; U],
    rows: &mut [*const f32; R],
    weights: &mut [*const N::Word; U],
    k: usize,
) {
    let is_tight = const { needed(G, R, U) >= S::REGISTERS };
    // Of rows' numbers and weights the fewer stay, see [`needed`].
    if G * U <= R {
        let mut w = [[simd.splat(0.0); G]; U];
        for u in 0..U {
            for g in 0..G {
                // SAFETY: the caller's.
                w[u][g] = unsafe { N::load(simd, weights[u], At { k, gate: g, gates: G }, is_tight) };
            }
        }
        for r in 0..R {
            // SAFETY: the caller's.
            let a = simd.splat(unsafe { *rows[r].add(k) });
            let next = (r + 1) % R;
            for u in 0..U {
                for g in 0..G {
                    acc[u][r][g] = simd.accumulate(acc[u][r][g], a, w[u][g]);
                    rows[next] = simd.after(acc[u][r][g], rows[next]);
                }
            }
        }
        for u in 0..U {
            weights[u] = simd.after(acc[u][R - 1][G - 1], weights[u]);
        }
    } else {
        let mut a = [simd.splat(0.0); R];
        for r in 0..R {
            // SAFETY: the caller's.
            a[r] = simd.splat(unsafe { *rows[r].add(k) });
        }
        for u in 0..U {
            for g in 0..G {
                // SAFETY: the caller's.
                let w = unsafe { N::load(simd, weights[u], At { k, gate: g, gates: G }, is_tight) };
                let next = if g + 1 < G { u } else { (u + 1) % U };
                for r in 0..R {
                    acc[u][r][g] = simd.accumulate(acc[u][r][g], a[r], w);
                    weights[next] = simd.after(acc[u][r][g], weights[next]);
                }
            }
        }
        for r in 0..R {
            rows[r] = simd.after(acc[U - 1][r][G - 1], rows[r]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_row_and_block_once_within_the_registers() {
        for registers in [16, 32] {
            for gates in 1..=4 {
                let sizes = [(1, 0..1), (1, 2..9), (2, 0..4), (23, 0..5), (64, 1..3), (7, 3..17)];
                for (order, (rows, blocks)) in
                    sizes.into_iter().flat_map(|of| [(Order::Up, of.clone()), (Order::Down, of)])
                {
                    let mut seen = vec![0; rows * blocks.end];
                    tiles(registers, gates, rows, blocks.clone(), order, |tile| {
                        assert!(is_shape(registers, gates, tile.rows, tile.blocks), "{tile:?}");
                        assert!(tile.rows * tile.blocks * gates <= MOST_SUMS, "{tile:?}");
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
