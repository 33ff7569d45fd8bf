//! How the work of a recurrent kernel is cut up, and what follows from it.

use super::product::{Product, most_gates};
use super::{BLOCK, Rows, Work};

/// Workgroups of `width` threads, each of which has one of so many units or columns and a tile of rows.
pub(super) fn grid([units, width]: [u32; 2], tile: Rows, [rows, dirs]: [u32; 2]) -> [u32; 3] {
    [units.div_ceil(width), rows.div_ceil(tile.count()), dirs]
}

/// The shape of a persistent or multi-workgroup kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Units of a workgroup.
    pub units: u32,
    /// Tiles of batch rows in a workgroup.
    pub tiles: u32,
    /// Threads of one unit and tile.
    pub split: u32,
    /// Blocks of k of a thread.
    pub parts: u32,
    /// Where a thread has its weights, except those of its last `rest` blocks.
    pub keep: Keep,
    /// Blocks of k, the last of its parts, whose weights a thread loads in every step though it keeps others.
    pub rest: u32,
}

/// Where a thread of a persistent kernel has its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// In memory, loaded in every step.
    Streamed,
    /// In registers, one in each, in f32.
    Held,
    /// In registers, two of 16 bits in each, opened in every step.
    Packed,
}

impl Keep {
    /// Registers for so many weights.
    pub fn registers(self, weights: u64) -> u64 {
        match self {
            Self::Streamed => 0,
            Self::Held => weights,
            Self::Packed => weights.div_ceil(2),
        }
    }
}

impl Shape {
    /// A tile of `hidden` units, whose `k` is assigned to threads by at most `depth`, or a block where that is less.
    pub fn new(hidden: u32, depth: u32, keep: Keep) -> Self {
        let blocks = hidden.div_ceil(BLOCK);
        let split = if hidden <= depth { 1 } else { blocks.div_ceil((depth / BLOCK).max(1)) };
        Self { units: hidden, tiles: 1, split, parts: blocks.div_ceil(split), keep, rest: 0 }
    }

    /// The same, of which a thread keeps the weights of its first `held` blocks and loads the others in every step.
    pub fn of_held(self, held: u32) -> Self {
        Self { rest: self.parts.saturating_sub(held), ..self }
    }

    /// Blocks of k, the first of its parts, whose weights a thread keeps.
    pub fn held(self) -> u32 {
        if self.keep == Keep::Streamed { 0 } else { self.parts.saturating_sub(self.rest) }
    }

    /// k whose weights a thread keeps.
    pub fn held_depth(self, hidden: u32) -> u32 {
        self.depth(hidden).min(self.held() * BLOCK)
    }

    /// Threads of a workgroup.
    pub fn threads(self) -> u32 {
        self.tiles.saturating_mul(self.split).saturating_mul(self.units)
    }

    /// k of a thread.
    pub fn depth(self, hidden: u32) -> u32 {
        if self.split == 1 { hidden } else { self.parts * BLOCK }
    }

    /// Places of a vector in workgroup memory.
    pub(super) fn stride(self, hidden: u32) -> u32 {
        if self.split == 1 { hidden } else { self.split * self.parts * BLOCK }
    }

    /// Vectors of a tile: h before and after, and where a step has two products, r ⊙ h.
    pub(super) fn vectors(self, products: usize) -> u32 {
        1 + products as u32
    }

    /// Places for the sums of `gates` gates that are passed to the owner of the unit.
    pub(super) fn shares(self, gates: u32) -> u32 {
        (self.split - 1) * self.parts * gates * self.tiles * self.units
    }

    /// Bytes of workgroup memory.
    pub(super) fn workgroup_bytes(self, hidden: u32, rows: Rows, products: &[Product]) -> u32 {
        let most = most_gates(products);
        let vectors = self.vectors(products.len()) * self.tiles * self.stride(hidden);
        (vectors + self.shares(most)) * rows.count() * 4
    }

    /// Loop iterations of a thread beside those of its steps: clearing the vectors.
    pub(super) fn iterations(self, hidden: u32, products: usize) -> u64 {
        let places = self.vectors(products) * self.tiles * self.stride(hidden);
        u64::from(places.div_ceil(self.threads()))
    }

    /// Loop iterations of a thread in one step of a cell with `gates` gates. What a driver may unroll is counted as if
    /// it did not.
    pub(super) fn step_iterations(self, rows: Rows, gates: u32, products: usize) -> u64 {
        // A thread walks through the blocks that it loads, four k at a time; the others are written out.
        let streamed = products as u32 * (self.parts - self.held()) * (1 + BLOCK / 4);
        u64::from(1 + gates + rows.count() + products as u32 * (self.split - 1) * self.parts + streamed)
    }

    /// Threads of a unit, where there are several, in words.
    pub(super) fn shared(self) -> String {
        if self.split == 1 { String::new() } else { format!(" × {} threads", self.split) }
    }

    /// Where weights are, in words.
    pub(super) fn kept(self) -> String {
        let kept = match self.keep {
            Keep::Held => "",
            Keep::Packed => ", weights packed",
            Keep::Streamed => ", weights streamed",
        };
        let part = match self.rest {
            0 => String::new(),
            _ => format!(", {} of {} blocks held", self.held(), self.parts),
        };
        kept.to_owned() + &part
    }

    /// What a workgroup does once, and in each step of a cell with `gates` gates and `products` products.
    pub(super) fn work(self, hidden: u32, rows: Rows, gates: u32, products: u32) -> (Work, Work) {
        let (threads, products) = (u64::from(self.threads()), u64::from(products));
        let (gates, count) = (u64::from(gates), u64::from(rows.count()));
        let depth = u64::from(self.depth(hidden));
        let weights = threads * depth * gates;
        let owners = u64::from(self.tiles * self.units);
        let handed = u64::from((self.split - 1) * self.parts);
        let held = threads * u64::from(self.held_depth(hidden)) * gates;
        let once = Work { load: held, ..Work::default() };
        let barriers = products * if self.split > 1 { 2 } else { 1 };
        // Two weights are opened by an operation or two.
        let opened = if self.keep == Keep::Packed { held } else { 0 };
        let each = Work {
            load: owners * count * (gates + 1) + (weights - held),
            share: threads * depth * products * count + owners * handed * gates * count,
            barrier: threads * barriers,
            chain: depth * products,
            wait: 2 * products * u64::from(self.parts - self.held()),
            ..Work::sums(rows, weights * count + opened)
        };
        (once, each)
    }
}

/// Rows, and tiles of them where there are several.
pub(super) fn in_tiles(tiles: u32, rows: Rows) -> String {
    if tiles == 1 { rows.to_string() } else { format!("{tiles} × {rows}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_counted_as_what_is_held_and_what_is_walked_through() {
        let whole = Shape::new(166, 96, Keep::Held);
        assert_eq!((whole.split, whole.parts, whole.held(), whole.held_depth(166)), (2, 3, 3, 96));
        let part = whole.of_held(2);
        assert_eq!((part.rest, part.held(), part.held_depth(166)), (1, 2, 64));
        // Eight turns of four k and the block's own, for each block that is loaded and each product.
        assert_eq!(part.step_iterations(Rows::One, 3, 2) - whole.step_iterations(Rows::One, 3, 2), 2 * 9);
        let streamed = Shape { keep: Keep::Streamed, ..whole };
        assert_eq!((streamed.held(), streamed.held_depth(166)), (0, 0));
        assert_eq!(streamed.step_iterations(Rows::One, 3, 1) - whole.step_iterations(Rows::One, 3, 1), 27);
        // Of a thread that has a unit alone, the last block is as short as it is.
        let alone = Shape::new(70, 96, Keep::Packed);
        assert_eq!((alone.parts, alone.held_depth(70), alone.of_held(2).held_depth(70)), (3, 70, 64));
    }
}
