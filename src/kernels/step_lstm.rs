//! `step_lstm`: an LSTM step in one dispatch, with or without peepholes; c is updated in place.

use super::step::{INDEX, ORDER, PARAMS, W, XW, Y};
use super::{Access, Binding, Shader};

pub(super) const SHADER: Shader = Shader {
    name: "step_lstm",
    stores: true,
    parts: &[
        include_str!("../../shaders/shared/activation.wgsl"),
        include_str!("../../shaders/shared/functions.wgsl"),
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/projected.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/shared/no_peepholes.wgsl"),
        include_str!("../../shaders/shared/lstm.wgsl"),
        include_str!("../../shaders/step_lstm.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W,
        Y,
        Binding::new(5, "h_prev", Access::Read),
        Binding::new(6, "h_next", Access::ReadWrite),
        Binding::new(7, "c", Access::ReadWrite),
        ORDER,
    ],
};

pub(super) const PEEPHOLES: Shader = Shader {
    name: "step_lstm",
    stores: true,
    parts: &[
        include_str!("../../shaders/shared/activation.wgsl"),
        include_str!("../../shaders/shared/functions.wgsl"),
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/projected.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/shared/peepholes.wgsl"),
        include_str!("../../shaders/shared/lstm.wgsl"),
        include_str!("../../shaders/step_lstm.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W,
        Y,
        Binding::new(5, "h_prev", Access::Read),
        Binding::new(6, "h_next", Access::ReadWrite),
        Binding::new(7, "c", Access::ReadWrite),
        Binding::new(8, "peepholes", Access::Read),
        ORDER,
    ],
};
