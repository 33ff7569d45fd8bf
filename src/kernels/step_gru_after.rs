//! `step_gru_after`: a GRU step, reset after, in one dispatch.

use super::step::{H_NEXT, H_PREV, INDEX, ORDER, PARAMS, W, XW, Y};
use super::{Access, Binding, Shader};

pub(super) const SHADER: Shader = Shader {
    name: "step_gru_after",
    stores: true,
    functions: true,
    parts: &[
        include_str!("../../shaders/shared/gru.wgsl"),
        include_str!("../../shaders/step_gru_after.wgsl"),
    ],
    bindings: &[PARAMS, INDEX, XW, W, Y, Binding::new(5, "b_hn", Access::Read), H_PREV, H_NEXT, ORDER],
};
