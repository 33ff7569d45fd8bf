//! `matmul_rows`: a thread owns one column of a tile of rows; for the few rows of a session step.

use super::{Rows, Shader, matmul};

pub(super) const SHADER: Shader = Shader {
    name: "matmul_rows",
    parts: &[
        include_str!("../../shaders/shared/matmul.wgsl"),
        include_str!("../../shaders/matmul_rows.wgsl"),
    ],
    bindings: matmul::BINDINGS,
};

/// Workgroups for `rows_total` × `n`.
pub(super) fn grid(rows_total: u32, n: u32, rows: Rows, width: u32) -> [u32; 2] {
    [n.div_ceil(width), rows_total.div_ceil(rows.count())]
}
