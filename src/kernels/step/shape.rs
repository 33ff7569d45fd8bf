//! The shape of a step kernel.

use crate::kernels::{Rows, SPAN};

/// The shape of a step kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Threads of a workgroup; a power of two, since two may share a word of y.
    pub width: u32,
    /// Units of a thread, `width` apart: each number of the vector that it loads serves all of them.
    pub units: u32,
    /// Tiles of rows of a thread: each weight that it loads serves all of them.
    pub tiles: u32,
    /// Whether sums keep to the order of blocks, which every other kernel has too; else each is one chain, which takes
    /// fewer registers.
    pub in_blocks: bool,
}

impl Shape {
    /// Loop iterations of a thread.
    pub(super) fn iterations(self, k: u32, rows: Rows, gates: u32) -> u64 {
        let Self { tiles, units, .. } = self;
        // Per span: itself, the loads, two blocks, the quads.
        let span = 1 + tiles * (1 + SPAN.div_ceil(self.width)) + 2 + SPAN / 4;
        // At the end, of each tile and unit: its input, its rows.
        let end = tiles * (1 + units * (1 + gates + rows.count()));
        u64::from(k.div_ceil(SPAN)) * u64::from(span) + u64::from(end)
    }
}
