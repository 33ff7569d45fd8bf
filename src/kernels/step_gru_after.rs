//! `step_gru_after`: a GRU step, reset after, in one dispatch.

use super::step::{INDEX, ORDER, PARAMS, W, XW, Y};
use super::{Access, Binding, Shader};

pub(super) const SHADER: Shader = Shader {
    name: "step_gru_after",
    stores: true,
    parts: &[
        include_str!("../../shaders/shared/activation.wgsl"),
        include_str!("../../shaders/shared/functions.wgsl"),
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/projected.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/shared/gru.wgsl"),
        include_str!("../../shaders/step_gru_after.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W,
        Y,
        Binding::new(5, "b_hn", Access::Read),
        Binding::new(6, "h_prev", Access::Read),
        Binding::new(7, "h_next", Access::ReadWrite),
        ORDER,
    ],
};
