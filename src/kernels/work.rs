//! The work of a workgroup, in counts: the input of the cost model.

use super::Rows;

/// Counts of one workgroup: of numbers, however many go with one instruction.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Products and sums.
    pub fma: u64,
    /// Those of four rows side by side.
    pub fma4: u64,
    /// Those of cooperative matrices.
    pub matrix: u64,
    /// Numbers loaded from, and stored to, memory.
    pub load: u64,
    /// Numbers that pass through workgroup memory.
    pub share: u64,
    /// Barriers, times the threads that wait at each.
    pub barrier: u64,
    /// Sums of one thread that wait for each other.
    pub chain: u64,
    /// Loads of one thread that wait for the ones before them; loads that are issued together count once.
    pub wait: u64,
    /// Waits for other workgroups.
    pub exchange: u64,
}

impl Work {
    /// So many products and sums of rows that a thread has side by side.
    pub(super) fn sums(rows: Rows, count: u64) -> Self {
        match rows {
            Rows::One => Self { fma: count, ..Self::default() },
            Rows::Four => Self { fma4: count, ..Self::default() },
        }
    }

    /// So many loads and stores for each row of the tile of each of `width` threads.
    pub(super) fn of_loads(each: u64, width: u32, tile: Rows) -> Self {
        Self { load: each * u64::from(width) * u64::from(tile.count()), ..Self::default() }
    }
}
