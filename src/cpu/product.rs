//! The product of every step and of every projection: rows of numbers times a packed matrix.
//!
//! Each row and column has one sum, k in order from its initial value, whatever rows and blocks are computed at the same time. So
//! no result depends on the batch, on how a sequence is cut, or on the number of threads.

use super::panel::{Panel, Stored};
use super::shared::{Shared, Source};
use super::simd::{Simd, Work};
use super::tiles::{MANY, Tile, is_shape, needed};

/// The rows of a product.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// At a fixed distance from each other.
    Apart(Shared<'a>, usize),
    /// Beginning at these offsets.
    At(Source<'a>, &'a [usize]),
    /// The rows of the tile, one by one.
    Each(&'a [&'a [f32]]),
}

impl Rows<'_> {
    /// Row `index` of a tile whose first is `first`.
    ///
    /// # Safety
    /// No thread writes the row while the slice is used.
    #[inline(always)]
    unsafe fn row(&self, first: usize, index: usize, len: usize) -> &[f32] {
        // SAFETY: the caller promises that no thread writes the row; its length is checked.
        unsafe {
            match self {
                Self::Apart(from, pitch) => from.slice((first + index) * pitch, len),
                Self::At(from, offsets) => from.slice(offsets[first + index], len),
                Self::Each(rows) => &rows[index][..len],
            }
        }
    }
}

/// Where the sums of a tile go, with the distances from a row to the next and from a block to the next.
pub(super) struct Sums<'a> {
    pub(super) to: &'a mut [f32],
    pub(super) row: usize,
    pub(super) block: usize,
}

/// The products of a tile of [`tiles`]. `begin`: the initial values of the sums, `[blocks, G, lanes]`.
///
/// # Safety
/// Every row of the tile has as many numbers as the panel is deep, and no thread writes them meanwhile. The panel has been packed
/// for vectors of as many lanes as `S` has.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(
    simd: S,
    panel: &Panel,
    begin: &[f32],
    tile: Tile,
    rows: Rows<'_>,
    sums: Sums<'_>,
) {
    match panel.gates {
        1 => of_gates::<S, 1>(simd, panel, begin, tile, rows, sums),
        2 => of_gates::<S, 2>(simd, panel, begin, tile, rows, sums),
        3 => of_gates::<S, 3>(simd, panel, begin, tile, rows, sums),
        _ => of_gates::<S, 4>(simd, panel, begin, tile, rows, sums),
    }
}

#[inline(always)]
fn of_gates<S: Simd, const G: usize>(
    simd: S,
    panel: &Panel,
    begin: &[f32],
    tile: Tile,
    rows: Rows<'_>,
    sums: Sums<'_>,
) {
    macro_rules! of {
        ($($rows:literal: $($blocks:literal)*;)*) => {
            match (tile.tall, tile.blocks) {
                $($(($rows, $blocks) if const { is_shape(S::REGISTERS, G, $rows, $blocks) } => {
                    of_shape::<S, G, $rows, $blocks>(simd, panel, begin, tile, rows, sums);
                })*)*
                // `tiles` makes tiles of `shapes` alone, which its test checks.
                _ => unreachable!("not one of `shapes`"),
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
fn of_shape<S: Simd, const G: usize, const R: usize, const U: usize>(
    simd: S,
    panel: &Panel,
    begin: &[f32],
    tile: Tile,
    rows: Rows<'_>,
    sums: Sums<'_>,
) {
    let (pitch, depth) = (panel.pitch(), panel.depth);
    match panel.stored() {
        Stored::F32(panel) => {
            simd.run(Product::<F32, G, R, U> { panel, pitch, depth, begin, rows, tile, sums });
        }
        Stored::F16(panel) => {
            simd.run(Product::<F16, G, R, U> { panel, pitch, depth, begin, rows, tile, sums });
        }
        Stored::Bf16(panel) => {
            simd.run(Product::<Bf16, G, R, U> { panel, pitch, depth, begin, rows, tile, sums });
        }
    }
}

/// How a panel stores its numbers.
pub(super) trait Number {
    type Word: Copy;

    /// Whether a multiply-add can take the weights as a memory operand, without a separate load or conversion.
    const IS_PLAIN: bool;

    /// Whether numbers are in pairs of k.
    const ARE_PAIRS: bool = false;

    /// A vector of a block. `is_tight`: all registers are in use.
    ///
    /// # Safety
    /// The block has this k and gate, packed for vectors of `S`.
    unsafe fn load<S: Simd>(simd: S, block: *const Self::Word, at: At, is_tight: bool) -> S::Vector;
}

/// The position of a vector in a block of a [`Panel`].
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
    const IS_PLAIN: bool = true;
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, block: *const f32, at: At, _: bool) -> S::Vector {
        // SAFETY: the block has k and the gate, so there are `LANES` numbers.
        unsafe { simd.load(block.add((at.k * at.gates + at.gate) * S::LANES)) }
    }
}

impl Number for F16 {
    type Word = u16;
    const IS_PLAIN: bool = false;
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, block: *const u16, at: At, _: bool) -> S::Vector {
        // SAFETY: as for f32, in words of 16 bits.
        unsafe { simd.load_f16(block.add((at.k * at.gates + at.gate) * S::LANES)) }
    }
}

impl Number for Bf16 {
    type Word = u16;
    const IS_PLAIN: bool = false;
    const ARE_PAIRS: bool = true;
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, block: *const u16, at: At, is_tight: bool) -> S::Vector {
        // SAFETY: the block has k and the gate; its pairs of k are whole, the last one padded where the depth is odd.
        unsafe {
            let pairs = block.add((at.k / 2 * at.gates + at.gate) * 2 * S::LANES);
            if at.k.is_multiple_of(2) {
                simd.load_bf16_first(pairs)
            } else {
                simd.load_bf16_second(pairs, is_tight)
            }
        }
    }
}

/// Tiles of R rows by U blocks. It is made by [`of_shape`] alone, where the promises of [`multiply`] hold.
pub(super) struct Product<'a, N: Number, const G: usize, const R: usize, const U: usize> {
    pub(super) panel: &'a [N::Word],
    /// Numbers from a block to the next.
    pub(super) pitch: usize,
    pub(super) depth: usize,
    pub(super) begin: &'a [f32],
    pub(super) rows: Rows<'a>,
    pub(super) tile: Tile,
    pub(super) sums: Sums<'a>,
}

impl<N: Number, const G: usize, const R: usize, const U: usize> Work for Product<'_, N, G, R, U> {
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "indices of registers, that nothing else names")]
    fn run<S: Simd>(self, simd: S) {
        let Self { panel, pitch, depth, begin, rows: all, tile, sums } = self;
        // Plain loops: iterators over vectors are not inlined into the function that has the instructions.
        let mut weights = [std::ptr::null(); U];
        for u in 0..U {
            weights[u] = panel[(tile.block + u) * pitch..][..pitch].as_ptr();
        }
        let begin = &begin[tile.block * G * S::LANES..][..U * G * S::LANES];
        let mut next = panel.as_ptr().wrapping_add(tile.ahead.from);
        let each = if N::ARE_PAIRS { 2 } else { 1 };
        let mut first = 0;
        while first < tile.rows {
            let mut rows = [std::ptr::null(); R];
            for r in 0..R {
                // SAFETY: no thread writes the tile's rows meanwhile, as the caller of `multiply` promises; `row` cuts each to
                // the depth.
                rows[r] = unsafe { all.row(tile.row, first + r, depth) }.as_ptr();
            }
            let mut acc = [[[simd.splat(0.0); G]; R]; U];
            for u in 0..U {
                for g in 0..G {
                    let v = simd.read(&begin[(u * G + g) * S::LANES..]);
                    for r in 0..R {
                        acc[u][r][g] = v;
                    }
                }
            }
            for round in 0..depth / each {
                if R >= MANY {
                    simd.fetch(next.cast());
                    next = next.wrapping_add(each * tile.ahead.each);
                }
                // SAFETY: k is less than the depth, to which every row and every block has been cut; blocks hold vectors of `S`.
                unsafe {
                    add::<S, N, G, R, U>(simd, &mut acc, &rows, &weights, each * round);
                    if N::ARE_PAIRS {
                        add::<S, N, G, R, U>(simd, &mut acc, &rows, &weights, each * round + 1);
                    }
                }
            }
            if depth % each == 1 {
                // SAFETY: as above.
                unsafe { add::<S, N, G, R, U>(simd, &mut acc, &rows, &weights, depth - 1) };
            }
            for u in 0..U {
                for r in 0..R {
                    let to = &mut sums.to[(first + r) * sums.row + u * sums.block..][..G * S::LANES];
                    for g in 0..G {
                        simd.write(acc[u][r][g], &mut to[g * S::LANES..]);
                    }
                }
            }
            first += R;
        }
    }
}

/// Adds the products of one k to the sums.
///
/// # Safety
/// Every row and every block has k, and blocks are packed for vectors of `S` and G gates.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "indices of registers, that nothing else names")]
unsafe fn add<S: Simd, N: Number, const G: usize, const R: usize, const U: usize>(
    simd: S,
    acc: &mut [[[S::Vector; G]; R]; U],
    rows: &[*const f32; R],
    weights: &[*const N::Word; U],
    k: usize,
) {
    let is_tight = const { needed(G, R, U) >= S::REGISTERS };
    // Of rows' numbers and weights, the fewer stay in registers: see [`needed`].
    if G * U <= R {
        let mut w = [[simd.splat(0.0); G]; U];
        for u in 0..U {
            for g in 0..G {
                // SAFETY: the block has k, as the caller promises, and g < G.
                w[u][g] = unsafe { N::load(simd, weights[u], At { k, gate: g, gates: G }, is_tight) };
            }
        }
        for r in 0..R {
            // SAFETY: the row has k, as the caller promises.
            let a = simd.splat(unsafe { *rows[r].add(k) });
            for u in 0..U {
                for g in 0..G {
                    acc[u][r][g] = simd.accumulate(acc[u][r][g], a, w[u][g]);
                    simd.wait_for(acc[u][r][g]);
                }
            }
        }
    } else {
        let mut a = [simd.splat(0.0); R];
        for r in 0..R {
            // SAFETY: the row has k, as the caller promises.
            a[r] = simd.splat(unsafe { *rows[r].add(k) });
        }
        for u in 0..U {
            for g in 0..G {
                // SAFETY: the block has k, as the caller promises, and g < G.
                let w = unsafe { N::load(simd, weights[u], At { k, gate: g, gates: G }, is_tight) };
                for r in 0..R {
                    acc[u][r][g] = if R == 1 && N::IS_PLAIN {
                        simd.fma(a[r], w, acc[u][r][g])
                    } else {
                        simd.accumulate(acc[u][r][g], a[r], w)
                    };
                    simd.wait_for(acc[u][r][g]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::panel::Lines;
    use super::super::simd::{InstructionSet, Level, at_level};
    use super::super::size;
    use super::super::tiles::{Order, tiles};
    use super::*;
    use crate::dtype::Storage;

    struct All<'a> {
        panel: &'a Panel,
        begin: &'a [f32],
        x: &'a [Vec<f32>],
        y: &'a mut [f32],
    }

    impl Work for All<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            let Self { panel, begin, x, y } = self;
            let (width, rows) = (panel.gates * S::LANES, x.len());
            tiles(S::REGISTERS, panel, rows, 0..panel.blocks, Order::Up, |tile| {
                let each: Vec<&[f32]> = x[tile.row..][..tile.rows].iter().map(Vec::as_slice).collect();
                let to = &mut y[(tile.row * panel.blocks + tile.block) * width..];
                let sums = Sums { to, row: panel.blocks * width, block: width };
                // SAFETY: every row is as long as the panel is deep, and no other thread has any; the panel's lanes are the
                // set's.
                unsafe { multiply(simd, panel, begin, tile, Rows::Each(&each), sums) };
            });
        }
    }

    /// Tiles of every shape and storage type, in memory that ends with the data, so that a tool like memcheck finds reads beyond
    /// it. All numbers are whole, so that sums are exact.
    #[test]
    fn every_shape_sums_what_it_should_and_reads_no_further() {
        let mut rng = fastrand::Rng::new();
        let depths: &[usize] = size(&[1, 2, 3, 8, 17], &[1, 2, 3]);
        for set in InstructionSet::available() {
            let level = Level::of(set).unwrap();
            let lanes = level.lanes();
            let wide: &[usize] = size(&[1, 2, 3, 5, 8, 9], &[1, 3, 8]);
            let cases = (1..=4).flat_map(|gates| wide.iter().map(move |&blocks| (gates, blocks)));
            for (number, (gates, blocks)) in cases.enumerate() {
                let (depth, rows) = (depths[number % depths.len()], 1 + number % size(13, 7));
                let storage = [Storage::F32, Storage::F16, Storage::Bf16][number / 2 % 3];
                let units = blocks * lanes;
                let mut whole = |len: usize| (0..len).map(|_| rng.i8(-8..8).into()).collect::<Vec<f32>>();
                let (w, x) =
                    (whole(depth * gates * units), (0..rows).map(|_| whole(depth)).collect::<Vec<_>>());
                let begin = Lines::of(&whole(gates * units));
                let panel = Panel::new(&w, gates * units, units, 0..gates, lanes, storage);
                let mut y = vec![f32::NAN; rows * gates * units];
                at_level!(level, simd => simd.run(All { panel: &panel, begin: begin.floats(), x: &x, y: &mut y }));
                for (at, sum) in y.iter().enumerate() {
                    let (lane, gate) = (at % lanes, at / lanes % gates);
                    let (block, row) = (at / lanes / gates % blocks, at / lanes / gates / blocks);
                    let unit = block * lanes + lane;
                    let start = begin.floats()[(block * gates + gate) * lanes + lane];
                    let column = (0..depth).map(|k| w[k * gates * units + gate * units + unit]);
                    let expected = start + x[row].iter().zip(column).map(|(x, w)| x * w).sum::<f32>();
                    assert_eq!(
                        *sum, expected,
                        "{set}, {storage:?}, {gates} x {blocks}, {rows} rows, {depth} deep"
                    );
                }
            }
        }
    }
}
