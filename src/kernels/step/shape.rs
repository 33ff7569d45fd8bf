//! The shape of a step kernel, and the counts that follow from it.

use crate::kernels::{BLOCK, Rows, SPAN, Work};

/// The shape of a step kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Threads of a workgroup; a power of two, since two may share a word of y.
    pub width: u32,
    /// Units of a thread, as many apart as a workgroup has of them: each number of the vector that it loads serves all of them.
    pub units: u32,
    /// Tiles of rows of a thread: each weight that it loads serves all of them.
    pub tiles: u32,
    /// Threads of a unit, which share its blocks of k: a power of two, and where there are several, no fewer than gates, each of one
    /// unit and one tile.
    pub split: u32,
    /// Blocks of k of a thread that pass through workgroup memory at a time.
    pub parts: u32,
    /// Whether and how many weights a thread loads before it needs them.
    pub ahead: Ahead,
    /// Whether sums keep to the order of blocks, which every other kernel has too; else each is one chain, which takes
    /// fewer registers.
    pub in_blocks: bool,
}

/// How many times four k a thread loads the weights of before it needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ahead {
    /// One, when it needs them, in a loop: the shortest text, for devices whose loads do not wait.
    None,
    /// So many, 1, 2 or 4, while it needs those of so many others.
    Quads(u32),
}

/// Registers of weights, sums and the vector of a set of quads at the most, so that compilers need no more than 128.
const REGISTERS: u32 = 120;
/// Bytes of workgroup memory that every device has.
const BYTES: u32 = 16 << 10;
/// Units of a workgroup where a unit has several threads: as many neighbours' weights as lie in one or two cache lines.
const UNITS: u32 = 16;

impl Shape {
    /// A thread of one unit and tile, which loads when it needs to.
    pub fn new(width: u32, [units, tiles]: [u32; 2], in_blocks: bool) -> Self {
        Self { width, units, tiles, split: 1, parts: SPAN / BLOCK, ahead: Ahead::None, in_blocks }
    }

    /// A workgroup of `split` threads for each of `units` units, which has `gates` products of `k` terms each.
    pub fn divided(split: u32, units: u32, k: u32, gates: u32, rows: Rows) -> Self {
        let (own, blocks) = (units.next_power_of_two().min(UNITS), k.div_ceil(BLOCK));
        let of_block = (BLOCK + gates * own) * rows.count() * 4;
        let parts = (BYTES / of_block / split).clamp(1, blocks.div_ceil(split).max(1));
        Self { split, parts, ahead: Ahead::Quads(1), ..Self::new(own * split, [1, 1], true) }
    }

    /// The same, with as many weights ahead as registers allow.
    pub fn loading_ahead(self, k: u32, gates: u32, rows: Rows, packed: bool) -> Self {
        let needed = |quads: u32| Self { ahead: Ahead::Quads(quads), ..self }.registers(gates, rows, packed);
        let fits = |quads: &u32| k >= BLOCK && needed(*quads) <= REGISTERS;
        let ahead = [4, 2, 1].into_iter().find(fits).map_or(Ahead::None, Ahead::Quads);
        Self { ahead, ..self }
    }

    /// Registers of a thread for weights, sums and the vector.
    pub(super) fn registers(self, gates: u32, rows: Rows, packed: bool) -> u32 {
        let of_tile = gates * self.units * self.tiles * rows.count();
        let sums = if self.in_blocks { 2 * of_tile } else { of_tile };
        let of_quad = gates * self.units * if packed { 2 } else { 4 };
        match self.ahead {
            Ahead::None => sums + of_quad,
            Ahead::Quads(quads) => sums + 2 * quads * of_quad + 4 * quads * rows.count(),
        }
    }

    /// Units of a workgroup, were `units` 1.
    pub fn own(self) -> u32 {
        self.width / self.split
    }

    /// k that pass through workgroup memory at a time.
    pub(super) fn span(self) -> u32 {
        BLOCK * self.split * self.parts
    }

    /// k of the vector that are known to lie one after the other: those of a turn of the innermost loop.
    pub(super) fn stride(self) -> u32 {
        match self.ahead {
            Ahead::None => 4,
            Ahead::Quads(quads) => 8 * quads,
        }
    }

    /// Places for the sums of blocks of `gates` gates, on their way to where they are added.
    pub(super) fn shares(self, gates: u32) -> u32 {
        if self.split == 1 { 0 } else { self.split * self.parts * gates * self.own() }
    }

    /// Bytes of workgroup memory.
    pub(super) fn workgroup_bytes(self, gates: u32, rows: Rows) -> u32 {
        (self.span() * self.tiles + self.shares(gates)) * rows.count() * 4
    }

    /// Loop iterations of a thread.
    pub(super) fn iterations(self, k: u32, rows: Rows, gates: u32) -> u64 {
        let Self { tiles, units, split, parts, .. } = self;
        let of_block = BLOCK / self.stride();
        // Per span: itself, the loads, blocks, their turns, and those of the last, whose k are fewer; the parts that are added.
        let last = if self.ahead == Ahead::None { 0 } else { BLOCK / 4 };
        let added = if split == 1 { 0 } else { split * parts };
        let span = 1 + tiles * (1 + self.span().div_ceil(self.width)) + parts * (1 + of_block) + last + added;
        // At the end, of each tile and unit: its input, its rows.
        let end = tiles * (1 + units * (1 + gates + rows.count()));
        u64::from(k.div_ceil(self.span())) * u64::from(span) + u64::from(end)
    }

    /// What a workgroup does in a step, of a cell with `products` products of `k` terms each.
    pub(super) fn work(self, k: u32, rows: Rows, products: u32) -> Work {
        let (width, own) = (u64::from(self.width), u64::from(self.own()));
        let (gates, units, split) = (u64::from(products), u64::from(self.units), u64::from(self.split));
        let count = u64::from(rows.count() * self.tiles);
        let (blocks, k) = (u64::from(k.div_ceil(BLOCK)), u64::from(k));
        let spans = k.div_ceil(u64::from(self.span()));
        let weights = own * k * gates * units;
        let added = if split == 1 { 0 } else { blocks };
        // Two sets of weights are on their way at a time. The vector and the rest of the input come one after the other.
        let waits = match self.ahead {
            Ahead::None => blocks * u64::from(BLOCK) / 4,
            Ahead::Quads(quads) => blocks.div_ceil(split) * 4 / u64::from(quads),
        };
        Work {
            load: weights + k * count + own * units * count * (gates + 3),
            share: own * k * count + 2 * added * own * gates * count,
            barrier: width * (2 * spans + if split == 1 { 0 } else { spans + 2 }),
            chain: k.div_ceil(split) + added,
            wait: waits + 2,
            ..Work::sums(rows, weights * count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_ahead_are_as_many_as_registers_allow() {
        let of = |units, tiles, gates, rows, packed| {
            Shape::new(64, [units, tiles], true).loading_ahead(256, gates, rows, packed).ahead
        };
        assert_eq!(of(1, 1, 3, Rows::One, false), Ahead::Quads(4));
        assert_eq!(of(1, 1, 4, Rows::One, false), Ahead::Quads(2));
        assert_eq!(of(1, 1, 4, Rows::One, true), Ahead::Quads(4));
        assert_eq!(of(1, 1, 4, Rows::Four, false), Ahead::Quads(1));
        assert_eq!(of(1, 4, 4, Rows::Four, false), Ahead::None);
        let short = Shape::new(64, [1, 1], true).loading_ahead(31, 3, Rows::One, false);
        assert_eq!(short.ahead, Ahead::None);
    }

    #[test]
    fn divided_units_keep_within_the_memory_that_every_device_has() {
        for (k, gates, rows) in [(1024, 4, Rows::One), (1536, 3, Rows::Four), (100, 1, Rows::Four)] {
            for split in [4, 8] {
                let shape = Shape::divided(split, 1024, k, gates, rows);
                assert_eq!((shape.own(), shape.width), (16, 16 * split));
                assert!(shape.workgroup_bytes(gates, rows) <= 16 << 10, "{shape:?}");
                // Beyond one block a thread has only what there is.
                assert!(shape.parts == 1 || shape.span() < k + BLOCK * split, "{shape:?}");
            }
        }
        // One row of a large layer passes at once.
        assert!(Shape::divided(16, 1024, 1024, 3, Rows::One).span() >= 1024);
    }
}
