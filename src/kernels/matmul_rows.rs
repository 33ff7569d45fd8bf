//! `matmul_rows`: a thread owns one column of a tile of rows; for the few rows of a session step.

use super::{Rows, SPAN, Shader, matmul};

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

/// Loop iterations of a thread: per span itself, the loads of rows, the quads; at the end a store per row.
pub(super) fn iterations(k: u32, rows: Rows, width: u32) -> u64 {
    let span = 1 + SPAN.div_ceil(width) * (1 + rows.count()) + SPAN / 4;
    u64::from(k.div_ceil(SPAN)) * u64::from(span) + u64::from(rows.count())
}
