//! How many workgroups of a kernel a core holds at once, and what bounds a kernel's time: what the cost model says of
//! a kernel beside its time.

use std::fmt;

use super::{Cost, Speed};
use crate::kernels::Definition;

/// The workgroups of a kernel that a core holds at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupancy {
    /// Workgroups; one at least.
    pub workgroups: u64,
    /// Their threads.
    pub threads: u64,
    /// What allows no more.
    pub limit: Limit,
}

/// What bounds the workgroups that a core holds at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The registers of their threads.
    Registers,
    /// Their threads.
    Threads,
    /// Their workgroup memory.
    Memory,
    /// Their number.
    Workgroups,
}

/// What bounds the time of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The operations of a core.
    Arithmetic,
    /// Bytes from memory or the last cache.
    Bandwidth,
    /// The latency of loads, of which a thread has few at a time.
    Latency,
    /// Sums of a thread that wait for each other.
    Chain,
    /// Other workgroups.
    Exchange,
    /// What a step takes beside its product: activations, its input, the barriers.
    Step,
    /// The start of a dispatch.
    Dispatch,
}

/// A predicted dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prediction {
    /// Workgroups of the dispatch.
    pub workgroups: u64,
    /// How often a core, the busiest, takes as many workgroups as it holds.
    pub waves: u64,
    /// How many it holds.
    pub occupancy: Occupancy,
    /// What takes the most of its time.
    pub bound: Bound,
    /// The time, without corrections by measurements.
    pub cost: Cost,
    /// The part of it that is latency of loads.
    pub waits: Cost,
}

impl Occupancy {
    /// Of `kernel` on a core. A workgroup that fits no core alone counts as one: whether it runs at all is not a matter
    /// of time.
    pub fn of(kernel: &dyn Definition, speed: &Speed) -> Self {
        // A subgroup has the registers of all its threads, whether or not they run.
        let threads = u64::from(kernel.threads()).next_multiple_of(speed.subgroup.max(1));
        let registers = u64::from(kernel.resources().registers).saturating_mul(threads);
        let of = |have: u64, need: u64| have / need.max(1);
        let bounds = [
            (Limit::Workgroups, speed.resident),
            (Limit::Threads, of(speed.threads, threads)),
            (Limit::Registers, of(speed.file, registers)),
            (Limit::Memory, of(speed.memory, kernel.workgroup_bytes().into())),
        ];
        let least = bounds.into_iter().min_by_key(|(_, count)| *count);
        let (limit, workgroups) = least.unwrap_or((Limit::Workgroups, 1));
        let workgroups = workgroups.max(1);
        Self { workgroups, threads: workgroups.saturating_mul(threads), limit }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registers => "registers",
            Self::Threads => "threads",
            Self::Memory => "workgroup memory",
            Self::Workgroups => "workgroups",
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arithmetic => "arithmetic",
            Self::Bandwidth => "memory bandwidth",
            Self::Latency => "memory latency",
            Self::Chain => "the latency of sums",
            Self::Exchange => "exchange",
            Self::Step => "fixed time of a step",
            Self::Dispatch => "dispatch",
        })
    }
}
