//! Kernels whose products are by cooperative matrices, small matrices that the threads of a subgroup hold together:
//! `matmul_matrices`, and the steps of `step_matrices.wgsl` and `step_half_matrices.wgsl`. Weights and x are f16; the
//! other arrays are stored as in other kernels. Sums are f32, and the device chooses the reduction order.

mod matmul;
mod product;
mod step;

pub use matmul::{MatmulMatrices, STACKS};
pub use step::{Shape, StepMatrices};

use super::Rows;
use super::source::wgsl;
use crate::dtype::{Precision, Storage};

/// The cooperative matrices of a device: of f16, with sums in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Matrices {
    /// Rows and columns: 8 or 16.
    pub side: u32,
    /// Threads of a subgroup at most.
    pub subgroup: u32,
}

/// Subgroups of a workgroup, at least. A workgroup has so many times the threads of the largest subgroup, since a
/// driver chooses the size. Each subgroup finds its part of the work by its own number, not by the numbers of its
/// threads.
const SUBGROUPS: u32 = 4;
/// k of one pass through workgroup memory.
const DEPTH: u32 = 32;
/// f16 from a line of an operand to the next.
const PITCH: u32 = DEPTH + 8;

/// The files of a product's operands.
const LINES: [&str; 2] = [wgsl!(.."matrices/lines.wgsl"), wgsl!(.."matrices/weights_f16.wgsl")];
/// The file of rows that are not converted.
const REST: &str = wgsl!(.."matrices/rest.wgsl");

/// Bytes before the operands in workgroup memory: the alignment of a matrix's row.
const FLAG: u32 = 16;

/// How the kernels' arrays are stored.
pub const PRECISION: Precision = Precision { weights: Storage::F16, activations: Storage::F16 };

/// Rows side by side in the arrays of a step kernel.
pub const ROWS: Rows = Rows::Four;

impl Matrices {
    /// Threads of a workgroup: where subgroups are smaller than the largest, more than it needs.
    pub fn threads(self) -> u32 {
        SUBGROUPS.saturating_mul(self.subgroup)
    }

    /// The beginning of a text with matrices: directives that enable extensions have to precede everything else.
    fn head(self) -> [&'static str; 3] {
        let declared = match self.side {
            8 => wgsl!(.."matrices/matrices8.wgsl"),
            _ => wgsl!(.."matrices/matrices16.wgsl"),
        };
        [declared, wgsl!(.."matrices/known.wgsl"), wgsl!(.."matrices/octets.wgsl")]
    }
}
