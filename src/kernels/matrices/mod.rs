//! Kernels whose products are those of cooperative matrices, small ones that the threads of a subgroup have between them:
//! `matmul_matrices`, and the steps of `step_matrices.wgsl` and `step_half_matrices.wgsl`. Weights and x are f16, what
//! is stored beside them as ever; of sums, which are f32, the device decides the order.

mod matmul;
mod step;

pub use matmul::MatmulMatrices;
pub use step::{Shape, StepMatrices};

use super::Rows;
use super::source::wgsl;
use crate::dtype::{Precision, Storage};

/// The cooperative matrices of a device: of f16, with sums in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Matrices {
    /// Rows and columns: 8 or 16.
    pub side: u32,
    /// Threads of a subgroup at the most.
    pub subgroup: u32,
}

/// Subgroups that a workgroup has at the least. It has so many times the threads of the largest subgroup, since a driver chooses the
/// size; each subgroup finds its part of the work by its own number, not by that of its threads.
const SUBGROUPS: u32 = 4;
/// k of one pass through workgroup memory.
const DEPTH: u32 = 32;
/// f16 from a row or column of an operand to the next.
const PITCH: u32 = DEPTH + 8;

/// Bytes of what stands before the operands in workgroup memory: as many as a matrix's row is aligned to.
const FLAG: u32 = 16;

/// How the kernels' arrays are stored.
pub const PRECISION: Precision = Precision { weights: Storage::F16, activations: Storage::F16 };

/// Rows side by side in the arrays of a step kernel.
pub const ROWS: Rows = Rows::Four;

impl Matrices {
    /// Threads of a workgroup: of smaller subgroups than the largest it has more than it needs.
    pub fn threads(self) -> u32 {
        SUBGROUPS.saturating_mul(self.subgroup)
    }

    /// What a text with matrices begins with, since what turns extensions on stands before everything else.
    fn head(self) -> [&'static str; 2] {
        let declared = match self.side {
            8 => wgsl!(.."matrices/matrices8.wgsl"),
            _ => wgsl!(.."matrices/matrices16.wgsl"),
        };
        [declared, wgsl!(.."matrices/known.wgsl")]
    }
}
