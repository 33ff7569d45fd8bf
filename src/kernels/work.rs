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
    /// Bytes of matrices that are loaded from memory or a cache.
    pub bytes: u64,
}

/// What a kernel needs of a core beside time, as far as it bounds how many of its workgroups a core holds at once, and
/// which bytes they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// 32-bit registers of a thread, as compilers of GPUs allocate them; see `benches/records/isa-*.csv`.
    pub registers: u32,
    /// Bytes of the matrix of one direction, which all workgroups of it read.
    pub matrix: u64,
}

impl Resources {
    /// Of a thread that holds so many numbers beside those that any kernel needs.
    pub(super) const fn of(numbers: u32, matrix: u64) -> Self {
        let registers = numbers.saturating_add(Self::BASE);
        Self { registers: if registers < Self::MOST { registers } else { Self::MOST }, matrix }
    }

    /// Registers for indices and addresses.
    const BASE: u32 = 24;
    /// Registers that a thread can have, on AMD and NVIDIA.
    const MOST: u32 = 256;
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
