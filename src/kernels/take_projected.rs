//! `take_projected`: `xw = x + bias` for an x that is `w_ih x` already; stands in for the matmul of the first layer.
//!
//! x is `[B, T, D·N]` by strides, each direction's N columns one after the other. A thread owns one column of a tile of
//! rows.

use super::{Access, Binding, Rows, Shader, matmul};
use crate::dtype::{Precision, Storage};

pub(super) const SHADER: Shader = Shader {
    name: "take_projected",
    parts: &[
        include_str!("../../shaders/shared/matmul.wgsl"),
        include_str!("../../shaders/take_projected.wgsl"),
    ],
    bindings: &[
        Binding::new(0, "params", Access::Params(size_of::<matmul::Params>() as u32)),
        Binding::new(1, "x", Access::Read),
        Binding::new(2, "bias", Access::Read),
        Binding::new(4, "out", Access::ReadWrite),
        Binding::new(5, "order", Access::Read),
    ],
};

/// Workgroups for `rows_total` × `n`.
pub(super) fn grid(rows_total: u32, n: u32, rows: Rows, width: u32) -> [u32; 2] {
    [n.div_ceil(width), rows_total.div_ceil(rows.count())]
}

/// Loop iterations of a thread: its rows.
pub(super) fn iterations(rows: Rows) -> u64 {
    u64::from(rows.count())
}

/// Words needed of x, bias, out and order, for D = `dirs`.
pub(super) fn extents(params: &matmul::Params, n: u32, activations: Storage, dirs: u32) -> [u64; 4] {
    let precision = Precision { activations, ..Precision::default() };
    let [x, bias, _, out, order] = params.extents(matmul::Sizes { k: dirs * n, n }, precision, dirs);
    [x, bias, out, order]
}
