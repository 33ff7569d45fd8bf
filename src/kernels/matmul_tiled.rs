//! `matmul_tiled`: a workgroup owns 64 rows × 64 columns, a thread 8 × 8 of them.

use super::{Shader, matmul};

/// Rows, and columns, of a workgroup.
pub(super) const TILE: u32 = 64;
pub(super) const THREADS: u32 = 64;
/// Two tiles of 16 k × 17 vec4.
pub(super) const WORKGROUP_BYTES: u32 = 2 * 16 * 17 * 16;

pub(super) const SHADER: Shader = Shader {
    name: "matmul_tiled",
    parts: &[
        include_str!("../../shaders/shared/matmul.wgsl"),
        include_str!("../../shaders/matmul_tiled.wgsl"),
    ],
    bindings: matmul::BINDINGS,
};

/// Workgroups for `rows` × `n`.
pub(super) fn grid(rows: u32, n: u32) -> [u32; 2] {
    [n.div_ceil(TILE), rows.div_ceil(TILE)]
}

/// Loop iterations of a thread: per 16 k the pass itself and 16 products; 4 rows of 4 stores of 4.
pub(super) fn iterations(k: u32) -> u64 {
    u64::from(k.div_ceil(16)) * 17 + 4 + 16 * 4
}
