//! `step_rnn`: a plain RNN step in one dispatch.

use super::step::{INDEX, ORDER, PARAMS, W, XW, Y};
use super::{Access, Binding, Shader};

pub(super) const SHADER: Shader = Shader {
    name: "step_rnn",
    stores: true,
    parts: &[
        include_str!("../../shaders/shared/activation.wgsl"),
        include_str!("../../shaders/shared/functions.wgsl"),
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/projected.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/step_rnn.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W,
        Y,
        Binding::new(5, "h_prev", Access::Read),
        Binding::new(6, "h_next", Access::ReadWrite),
        ORDER,
    ],
};
