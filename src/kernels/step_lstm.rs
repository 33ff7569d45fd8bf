//! `step_lstm`: an LSTM step in one dispatch; c is updated in place.

use super::step::{INDEX, LENGTHS, PARAMS, W_HH, XW, Y};
use super::{Access, Binding, Shader};

pub(super) const SHADER: Shader = Shader {
    name: "step_lstm",
    parts: &[
        include_str!("../../shaders/shared/activation.wgsl"),
        include_str!("../../shaders/shared/functions.wgsl"),
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/shared/store.wgsl"),
        include_str!("../../shaders/step_lstm.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W_HH,
        Y,
        Binding::new(5, "h_prev", Access::Read),
        Binding::new(6, "h_next", Access::ReadWrite),
        Binding::new(7, "c", Access::ReadWrite),
        LENGTHS,
    ],
};
