//! Which rows and blocks of a product are computed at once, and in which order.

use std::ops::Range;

use super::panel::Panel;

/// Rows and blocks whose sums are computed before the gates use them: tiles one below the other, each in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    /// The first row.
    pub(super) row: usize,
    pub(super) rows: usize,
    /// Rows of each tile.
    pub(super) tall: usize,
    /// The first block.
    pub(super) block: usize,
    pub(super) blocks: usize,
    /// The part of the next weights that this tile prefetches, see [`Ahead`].
    pub(super) ahead: Ahead,
}

/// The part of a panel that a tile prefetches while it computes: numbers from the first on, some in each step of k.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ahead {
    pub(super) from: usize,
    pub(super) each: usize,
}

/// The most rows of tiles one below the other.
pub(super) const MOST_ROWS: usize = 32;

/// The most vectors of sums of tiles one below the other: few enough for the L1 cache, enough to amortise the work per tile.
pub(super) const MOST_SUMS: usize = 96;

/// From so many rows on a tile computes longer than it loads.
pub(super) const MANY: usize = 3;

/// The most blocks of a tile.
const MOST_BLOCKS: usize = 8;

#[cfg(all(test, measure))]
impl Tile {
    /// All rows of a measurement, and where the weights that come next begin.
    pub(super) fn measured(rows: usize, tall: usize, block: usize, blocks: usize, from: usize) -> Self {
        Self { row: 0, rows, tall, block, blocks, ahead: Ahead { from, each: 2 } }
    }
}

/// The order in which a product takes its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Up,
    Down,
}

impl Order {
    /// The order of a step which reads `h[from]`: one step upwards, the next downwards. A step begins with the blocks that the
    /// previous one used last, which are still in cache.
    pub(super) fn of_step(from: usize) -> Self {
        if from == 0 { Self::Up } else { Self::Down }
    }

    fn ordered(self, range: Range<usize>, step: usize) -> impl Iterator<Item = usize> {
        let (count, start) = (range.len().div_ceil(step), range.start);
        (0..count).map(move |i| start + step * if self == Self::Up { i } else { count - 1 - i })
    }
}

/// Rows and blocks of the tiles of a product with `gates` gates, from many rows to one, chosen by measurement
/// (benches/pages/cpu.md) among those whose sums stay in registers, see [`needed`]. Few rows take several blocks, so that enough
/// sums are in progress to hide their latency.
const fn shapes(registers: usize, gates: usize) -> &'static [(usize, usize)] {
    match (registers, gates) {
        (32.., 1) => &[(8, 2), (4, 4), (2, 8), (1, 8)],
        (32.., 2) => &[(4, 2), (2, 4), (1, 4)],
        (32.., 3) => &[(8, 1), (4, 1), (3, 1), (2, 4), (1, 4)],
        (32.., _) => &[(6, 1), (4, 1), (3, 1), (2, 1), (1, 4)],
        (..16, 1) => &[(3, 3), (2, 4), (1, 8)],
        (..16, 2) => &[(2, 2), (1, 4)],
        (..16, 3) => &[(3, 1), (2, 1), (1, 4)],
        (..16, _) => &[(2, 1), (1, 2)],
        (_, 1) => &[(3, 4), (2, 4), (1, 8)],
        (_, 2) => &[(3, 2), (2, 2), (1, 4)],
        (_, 3) => &[(4, 1), (3, 1), (2, 2), (1, 4)],
        (_, _) => &[(3, 1), (2, 1), (1, 2)],
    }
}

/// Registers that a tile takes: its sums; the fewer of its rows' numbers and its weights, which stay while the others are loaded
/// one by one; and one for these.
pub(super) const fn needed(gates: usize, rows: usize, blocks: usize) -> usize {
    let weights = gates * blocks;
    rows * weights + if rows < weights { rows } else { weights } + 1
}

/// Blocks whose weights all rows use before those of the next blocks: the largest share of a matrix that has to stay in cache.
pub(super) const fn group(gates: usize) -> usize {
    if gates == 1 { 8 } else { 4 }
}

/// The number of tiles, one below the other, that `rows` rows are cut into: the weights are loaded as often.
pub(super) fn passes(registers: usize, gates: usize, rows: usize) -> usize {
    let (mut count, mut left) = (0, rows);
    for &(tall, _) in shapes(registers, gates) {
        count += left / tall;
        left %= tall;
    }
    count
}

/// Blocks of the next tile where `left` of a group are left: as many as a tile of at most `most` can have.
fn across(most: usize, left: usize) -> usize {
    match left.min(most) {
        width @ 5..MOST_BLOCKS => width.min(4),
        width => width,
    }
}

/// Whether a tile may have this shape; others are not compiled.
pub(super) const fn is_shape(registers: usize, gates: usize, rows: usize, blocks: usize) -> bool {
    let (shapes, mut at) = (shapes(registers, gates), 0);
    while at < shapes.len() {
        if shapes[at].0 == rows && shapes[at].1 >= blocks {
            return true;
        }
        at += 1;
    }
    false
}

/// Calls `of` with the tiles of these rows and these blocks of a panel. `registers` as in [`Simd::REGISTERS`].
#[inline(always)]
pub(super) fn tiles(
    registers: usize,
    panel: &Panel,
    rows: usize,
    blocks: Range<usize>,
    order: Order,
    mut of: impl FnMut(Tile),
) {
    let (shapes, most) = (shapes(registers, panel.gates), group(panel.gates));
    for group in order.ordered(blocks.clone(), most) {
        let group = group..blocks.end.min(group + most);
        let mut row = 0;
        for &(tall, most) in shapes {
            if rows - row < tall {
                continue;
            }
            let end = row + (rows - row) / tall * tall;
            // Where many rows use the same weights there is time to prefetch the next: each tile prefetches its share.
            let share = if tall < MANY { 0 } else { panel.pitch() / rows };
            let each = share * tall / panel.depth.max(1);
            let mut left = group.clone();
            while !left.is_empty() {
                let across = across(most, left.len());
                let (block, next) = match order {
                    Order::Up => (left.start, left.start + across),
                    Order::Down => (left.end - across, (left.end - across).saturating_sub(1)),
                };
                let next = next.min(panel.blocks - 1) * panel.pitch();
                let most = MOST_ROWS.min(MOST_SUMS / (across * panel.gates)) / tall * tall;
                for row in (row..end).step_by(most) {
                    let ahead = Ahead { from: next + share * row, each };
                    of(Tile { row, rows: most.min(end - row), tall, block, blocks: across, ahead });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Storage;

    #[test]
    fn tiles_cover_every_row_and_block_once_within_the_registers() {
        for registers in [14, 16, 32] {
            for gates in 1..=4 {
                for &(rows, blocks) in shapes(registers, gates) {
                    assert!(needed(gates, rows, blocks) <= registers, "{rows} x {blocks} of {gates}");
                }
                let sizes = [(1, 0..1), (1, 2..9), (2, 0..4), (23, 0..5), (64, 1..3), (7, 3..17)];
                for (order, (rows, blocks)) in
                    sizes.into_iter().flat_map(|of| [(Order::Up, of.clone()), (Order::Down, of)])
                {
                    let mut seen = vec![0; rows * blocks.end];
                    let units = 4 * blocks.end;
                    let panel = Panel::new(
                        &vec![0.0; gates * units],
                        gates * units,
                        units,
                        0..gates,
                        4,
                        Storage::F32,
                    );
                    tiles(registers, &panel, rows, blocks.clone(), order, |tile| {
                        assert!(is_shape(registers, gates, tile.tall, tile.blocks), "{tile:?}");
                        assert_eq!(tile.rows % tile.tall, 0, "{tile:?}");
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
