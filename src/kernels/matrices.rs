//! Kernels whose products are those of cooperative matrices, small ones that the threads of a subgroup have between them:
//! `matmul_matrices`, and the steps of `step_matrices.wgsl` and `step_half_matrices.wgsl`. Weights and x are f16, what
//! is stored beside them as ever; of sums, which are f32, the device decides the order.

use std::fmt::Write;

use super::{Rows, Shader, matmul};
use crate::dtype::{Precision, Storage};

/// The cooperative matrices of a device: of f16, with sums in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Matrices {
    /// Rows and columns: 8 or 16.
    pub side: u32,
    /// Threads of a subgroup at the most.
    pub subgroup: u32,
}

/// How a step kernel of matrices is cut up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The device's.
    pub matrices: Matrices,
    /// Matrices, one above the other, that a subgroup has of each gate: each weight that it loads serves all of them.
    pub stack: u32,
}

/// Subgroups that a workgroup has at the least.
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

pub(super) const MATMUL: Shader = Shader {
    name: "matmul_matrices",
    parts: &[
        include_str!("../../shaders/shared/matmul.wgsl"),
        include_str!("../../shaders/matmul_matrices.wgsl"),
    ],
    bindings: matmul::BINDINGS,
};

impl Matrices {
    /// Threads of a workgroup: of smaller subgroups than the largest it has more than it needs.
    pub fn threads(self) -> u32 {
        SUBGROUPS.saturating_mul(self.subgroup)
    }

    /// Rows, and columns, of a workgroup of the matmul.
    pub(super) fn tile(self) -> u32 {
        4 * self.side
    }

    /// Workgroups of the matmul for `rows` × `n`.
    pub(super) fn grid(self, rows: u32, n: u32) -> [u32; 2] {
        [n.div_ceil(self.tile()), rows.div_ceil(self.tile())]
    }

    /// Bytes of workgroup memory of the matmul: a flag, where rows begin, two operands, the sums.
    pub(super) fn workgroup_bytes(self) -> u32 {
        let tile = self.tile();
        FLAG + 4 * tile + 2 * (2 * tile * PITCH) + 4 * tile * tile
    }

    /// Loop iterations of a thread of the matmul: in each pass itself, its shares of both operands, its products; at the end
    /// what it stores.
    pub(super) fn iterations(self, k: u32) -> u64 {
        let tile = self.tile();
        // Fewer threads than four subgroups there are not.
        let share = |numbers: u32| numbers.div_ceil(self.threads().max(1));
        let pass = 1 + share(tile * DEPTH) + share(tile * DEPTH / 4) + DEPTH / self.side;
        u64::from(k.div_ceil(DEPTH)) * u64::from(pass) + u64::from(share(tile) + share(tile * tile))
    }

    /// The declarations of its matrices, first of a text.
    pub(super) fn source(self) -> &'static str {
        match self.side {
            8 => include_str!("../../shaders/shared/matrices8.wgsl"),
            _ => include_str!("../../shaders/shared/matrices16.wgsl"),
        }
    }
}

impl Shape {
    /// Units of a workgroup.
    pub(super) fn units(self) -> u32 {
        2 * self.matrices.side
    }

    /// Tiles of rows of a workgroup.
    pub fn tiles(self) -> u32 {
        self.rows() / ROWS.count()
    }

    fn rows(self) -> u32 {
        2 * self.matrices.side * self.stack
    }

    /// Bytes of workgroup memory: a flag, both operands, the sums.
    pub(super) fn workgroup_bytes(self, gates: u32) -> u32 {
        let columns = gates * self.units();
        FLAG + 2 * PITCH * (self.rows() + columns) + 4 * self.rows() * columns
    }

    /// Loop iterations of a thread.
    pub(super) fn iterations(self, k: u32, gates: u32) -> u64 {
        let share = |numbers: u32| numbers.div_ceil(self.matrices.threads().max(1));
        let rows = ROWS.count();
        let pass = 1
            + share(self.tiles() * DEPTH) * (1 + rows)
            + share(gates * self.units() * DEPTH / 4)
            + DEPTH / self.matrices.side;
        // Of each unit and tile its input and its sums, h on its way; y, with that of the neighbour.
        let sums = gates * (1 + rows);
        let end = share(self.units() * self.tiles()) * (2 + gates + 3 * sums + 2 * rows);
        u64::from(k.div_ceil(DEPTH)) * u64::from(pass) + u64::from(end)
    }

    /// `multiply_all` of `shared/product_matrices.wgsl`: each matrix in a variable of its own, as sums are in
    /// [`super::unrolled`].
    pub(super) fn product(self, gates: u32) -> String {
        let mut text = format!("// Written out for its sizes.\n\nconst STACK: u32 = {}u;\n\n", self.stack);
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, gates);
        text
    }

    fn write(self, text: &mut String, gates: u32) -> std::fmt::Result {
        let all = || (0..gates).flat_map(|g| (0..self.stack).map(move |i| (g, i)));
        writeln!(text, "fn multiply_all(lane: u32, subgroup: u32, dir: u32, tile: u32, own: u32) {{")?;
        writeln!(text, "    let right = subgroup % 2u * SIDE;")?;
        writeln!(text, "    let down = subgroup / 2u % 2u * STACK * SIDE;")?;
        all().try_for_each(|(g, i)| writeln!(text, "    var c{g}_{i} = MatrixC();"))?;
        writeln!(text, "    for (var start = 0u; start < K; start += DEPTH) {{")?;
        writeln!(text, "        workgroupBarrier();")?;
        writeln!(text, "        bring(lane, dir, tile, own, start);")?;
        writeln!(text, "        workgroupBarrier();")?;
        writeln!(text, "        for (var k = 0u; k < DEPTH; k += SIDE) {{")?;
        for i in 0..self.stack {
            let at = format!("(down + {i}u * SIDE) * PITCH + k");
            writeln!(text, "            let a{i} = coopLoadT<MatrixA>(&vectors[{at}], PITCH);")?;
        }
        for g in 0..gates {
            let at = format!("({g}u * WIDE + right) * PITCH + k");
            writeln!(text, "            let b{g} = coopLoad<MatrixB>(&columns[{at}], PITCH);")?;
        }
        all().try_for_each(|(g, i)| {
            writeln!(text, "            c{g}_{i} = coopMultiplyAdd(a{i}, b{g}, c{g}_{i});")
        })?;
        writeln!(text, "        }}\n    }}")?;
        all().try_for_each(|(g, i)| {
            let at = format!("({g}u * HIGH + down + {i}u * SIDE) * WIDE + right");
            writeln!(text, "    coopStoreT(c{g}_{i}, &sums[{at}], WIDE);")
        })?;
        writeln!(text, "    workgroupBarrier();\n}}")
    }
}
