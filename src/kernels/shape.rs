//! How the work of a recurrent kernel is cut up, and what follows from it.

use super::product::{Product, most_gates};
use super::{BLOCK, Resources, Rows, Work};
use crate::dtype::Storage;

/// Workgroups of `width` threads, each of which has one of so many units or columns and a tile of rows.
pub(super) fn grid([units, width]: [u32; 2], tile: Rows, [rows, dirs]: [u32; 2]) -> [u32; 3] {
    [units.div_ceil(width), rows.div_ceil(tile.count()), dirs]
}

/// Registers that a thread has for weights and for what is made of them, beside those that every step takes: with more, ACO and ptxas
/// spill.
pub const ROOM: u32 = 216;

/// The shape of a persistent or multi-workgroup kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Units of a workgroup.
    pub units: u32,
    /// Tiles of batch rows in a workgroup.
    pub tiles: u32,
    /// Threads that share the k of one unit and tile.
    pub split: u32,
    /// Threads over which the gates of a unit are divided, for each share of k: 1, or one for each gate.
    pub gate_threads: u32,
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
        Self { units: hidden, tiles: 1, split, gate_threads: 1, parts: blocks.div_ceil(split), keep, rest: 0 }
    }

    /// The same, of which a thread has one of `gates` gates; of one it has all there are.
    pub fn with_one_gate(self, gates: u32) -> Self {
        Self { gate_threads: gates, ..self }
    }

    /// Whether a thread has one gate of its unit, where that has several.
    pub fn has_one_gate(self) -> bool {
        self.gate_threads > 1
    }

    /// The gates of a thread, of `gates` of its unit.
    pub fn gates_of_thread(self, gates: u32) -> u32 {
        gates / self.gate_threads.max(1)
    }

    /// `product` with as many gates as a thread has of it.
    pub(super) fn of_thread(self, product: &Product) -> Product {
        let first = product.gates.start;
        let gates = if self.has_one_gate() { first..first + 1 } else { product.gates.clone() };
        Product { gates, ..product.clone() }
    }

    /// Threads of a unit and tile.
    pub fn shares(self) -> u32 {
        self.split.saturating_mul(self.gate_threads)
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

    /// Whether a thread has registers for so many values beside the weights it keeps.
    fn has_room(self, hidden: u32, products: &[Product], values: u64) -> bool {
        let gates = gates_of(products) / u64::from(self.gate_threads.max(1));
        let weights = self.keep.registers(u64::from(self.held_depth(hidden)) * gates);
        weights + values <= u64::from(ROOM)
    }

    /// Whether a thread loads the input of the next step before the product of this one: the sums, what they are of, and that.
    pub(super) fn looks_ahead(self, hidden: u32, rows: Rows, products: &[Product]) -> bool {
        self.has_room(hidden, products, 3 * gates_of(products) * u64::from(rows.count()))
    }

    /// Whether a thread that hands its parts on has those of all held blocks first: with nothing between the blocks, a compiler loads what
    /// the next needs while one is summed.
    pub(super) fn gathers(self, hidden: u32, rows: Rows, products: &[Product]) -> bool {
        let parts = u64::from(self.held() * self.most_gates(products) * rows.count());
        self.shares() > 1 && self.has_room(hidden, products, parts)
    }

    /// Threads of a workgroup.
    pub fn threads(self) -> u32 {
        self.tiles.saturating_mul(self.shares()).saturating_mul(self.units)
    }

    /// k of a thread.
    pub fn depth(self, hidden: u32) -> u32 {
        if self.split == 1 { hidden } else { self.parts * BLOCK }
    }

    /// Blocks of a vector in workgroup memory.
    pub(super) fn stride(self) -> u32 {
        self.split * self.parts
    }

    /// k of a whole block: all there are, where one has them.
    pub(super) fn block(self, hidden: u32) -> u32 {
        if self.stride() == 1 { hidden.min(BLOCK) } else { BLOCK }
    }

    /// Places of a block of a vector, whole quads.
    pub(super) fn places(self, hidden: u32) -> u32 {
        self.block(hidden).next_multiple_of(4)
    }

    /// Places of all vectors of a workgroup.
    fn all_places(self, hidden: u32, products: usize) -> u32 {
        self.vectors(products) * self.tiles * self.stride() * self.places(hidden)
    }

    /// Vectors of a tile: h before and after, and where a step has two products, r ⊙ h.
    pub(super) fn vectors(self, products: usize) -> u32 {
        1 + products as u32
    }

    /// Gates of a thread in the largest of `products`.
    fn most_gates(self, products: &[Product]) -> u32 {
        if self.has_one_gate() { 1 } else { most_gates(products) }
    }

    /// Whether the sums that are handed on for `product` are many, and are added by a thread for each gate. Of two gates that gains
    /// nothing, by what ACO says.
    pub(super) fn divides_sums(self, product: &Product) -> bool {
        const MANY: u32 = 8;
        let gates = product.gates.len() as u32;
        let is_possible = !self.has_one_gate() && gates > 2 && self.split >= gates;
        is_possible && (self.split - 1) * self.parts >= MANY
    }

    /// Places for the sums of gates that other threads than the owner add.
    fn places_divided(self, products: &[Product]) -> u32 {
        let divided = products.iter().filter(|product| self.divides_sums(product));
        let most = divided.map(|product| product.gates.len() as u32).max().unwrap_or(1);
        (most - 1) * self.tiles * self.units
    }

    /// Sums that the owner of a unit is handed for a product of `gates` gates.
    fn handed(self, gates: u32) -> u32 {
        let own = if self.has_one_gate() { 1 } else { gates };
        (self.split * gates - own) * self.parts
    }

    /// Places for the sums of all units on their way to their owners.
    fn places_handed(self, products: &[Product]) -> u32 {
        (self.shares() - 1) * self.parts * self.most_gates(products) * self.tiles * self.units
    }

    /// Bytes of workgroup memory.
    pub(super) fn workgroup_bytes(self, hidden: u32, rows: Rows, products: &[Product]) -> u32 {
        let places = self.places_handed(products) + self.places_divided(products);
        (self.all_places(hidden, products.len()) + places) * rows.count() * 4
    }

    /// Loop iterations of a thread beside those of its steps: clearing the vectors.
    pub(super) fn iterations(self, hidden: u32, products: usize) -> u64 {
        u64::from(self.all_places(hidden, products).div_ceil(self.threads()))
    }

    /// Loop iterations of a thread in one step of a cell with `gates` gates. What a driver may unroll is counted as if
    /// it did not.
    pub(super) fn step_iterations(self, rows: Rows, gates: u32, products: usize) -> u64 {
        // A thread walks through the blocks that it loads, four k at a time; the others are written out.
        let streamed = products as u32 * (self.parts - self.held()) * (1 + BLOCK / 4);
        u64::from(1 + gates + rows.count() + products as u32 * (self.shares() - 1) * self.parts + streamed)
    }

    /// Threads of a unit, where there are several, by gate and k, in words.
    pub(super) fn shared(self) -> String {
        let gates =
            if self.has_one_gate() { format!(" × {} gates", self.gate_threads) } else { String::new() };
        if self.split == 1 { gates } else { format!("{gates} × {} threads", self.split) }
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

    /// What a kernel of this shape needs of a core, with weights stored as `weights`.
    pub(super) fn resources(self, hidden: u32, rows: Rows, gates: u32, weights: Storage) -> Resources {
        let held = self.keep.registers(u64::from(self.gates_of_thread(gates) * self.held_depth(hidden)));
        let held = u32::try_from(held).unwrap_or(u32::MAX);
        // The sums of each row, and h of each row for four k.
        let sums = 2 * rows.count() * (gates + 4);
        // Four k of each gate in hand, and as many on their way.
        let streams = self.held() < self.parts;
        let loaded = if streams { 2 * self.gates_of_thread(gates) * weights.bytes(1) as u32 } else { 0 };
        let matrix = weights.bytes(u64::from(gates) * u64::from(hidden) * u64::from(hidden));
        Resources::of(held.saturating_add(sums + loaded), matrix)
    }

    /// What a workgroup does once, and in each step of a cell with `gates` gates and `products` products.
    pub(super) fn work(
        self,
        hidden: u32,
        rows: Rows,
        gates: u32,
        products: u32,
        storage: Storage,
    ) -> (Work, Work) {
        let (threads, products) = (u64::from(self.threads()), u64::from(products));
        let (gates, count) = (u64::from(gates), u64::from(rows.count()));
        let depth = u64::from(self.depth(hidden));
        let of_thread = u64::from(self.gates_of_thread(gates as u32));
        let weights = threads * depth * of_thread;
        let owners = u64::from(self.tiles * self.units);
        let handed = u64::from(self.handed(gates as u32));
        let held = threads * u64::from(self.held_depth(hidden)) * of_thread;
        let once = Work { load: held, bytes: storage.bytes(held), ..Work::default() };
        let barriers = products * if self.shares() > 1 { 2 } else { 1 };
        // A thread that has one gate takes part in one product.
        let vectors = if self.has_one_gate() { 1 } else { products };
        // Two weights are opened by an operation or two.
        let opened = if self.keep == Keep::Packed { held } else { 0 };
        let each = Work {
            load: owners * count * (gates + 1) + (weights - held),
            bytes: storage.bytes(weights - held),
            share: threads * depth * vectors * count + owners * handed * count,
            barrier: threads * barriers,
            chain: depth * products,
            wait: 2 * products * u64::from(self.parts - self.held()),
            ..Work::sums(rows, weights * count + opened)
        };
        (once, each)
    }
}

/// Gates of all products.
fn gates_of(products: &[Product]) -> u64 {
    products.iter().map(|product| product.gates.len() as u64).sum()
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

    #[test]
    fn vectors_lie_in_blocks_of_k_and_in_a_short_one_where_it_is_all_there_is() {
        for (hidden, depth, block, places, stride) in [
            (7, 96, 7, 8, 1),
            (32, 96, 32, 32, 1),
            (70, 96, 32, 32, 3),
            (166, 96, 32, 32, 6),
            (130, 96, 32, 32, 6),
        ] {
            let shape = Shape::new(hidden, depth, Keep::Held);
            assert_eq!((shape.block(hidden), shape.places(hidden), shape.stride()), (block, places, stride));
        }
    }

    #[test]
    fn the_next_input_is_loaded_ahead_where_there_are_registers_for_it() {
        let gru = [crate::kernels::product::whole(3)];
        let held = Shape::new(64, 96, Keep::Held);
        assert!(held.looks_ahead(64, Rows::One, &gru) && !held.looks_ahead(64, Rows::Four, &gru));
        assert!(Shape { keep: Keep::Streamed, ..held }.looks_ahead(64, Rows::Four, &gru));
        assert!(Shape { keep: Keep::Packed, ..held }.looks_ahead(64, Rows::Four, &gru));
    }
}
