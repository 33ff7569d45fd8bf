//! `step_rnn`: a plain RNN step in one dispatch.

use super::step::{INDEX, LENGTHS, PARAMS, W_HH, XW, Y};
use super::{Access, Binding, Shader};

pub(super) const SHADER: Shader = Shader {
    name: "step_rnn",
    parts: &[
        include_str!("../../shaders/shared/activation.wgsl"),
        include_str!("../../shaders/shared/functions.wgsl"),
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/shared/store.wgsl"),
        include_str!("../../shaders/step_rnn.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W_HH,
        Y,
        Binding::new(5, "h_prev", Access::Read),
        Binding::new(6, "h_next", Access::ReadWrite),
        LENGTHS,
    ],
};
