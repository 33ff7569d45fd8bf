//! `step_gru_before_gates` and `step_gru_before_candidate`: a GRU step, reset before, in two dispatches, since
//! the candidate's product needs r ⊙ h of every unit.

use super::step::{INDEX, ORDER, PARAMS, W, XW, Y};
use super::{Access, Binding, Shader};

pub(super) const GATES: Shader = Shader {
    name: "step_gru_before_gates",
    stores: false,
    parts: &[
        include_str!("../../shaders/shared/activation.wgsl"),
        include_str!("../../shaders/shared/functions.wgsl"),
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/projected.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/step_gru_before_gates.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W,
        Binding::new(5, "h_prev", Access::Read),
        Binding::new(6, "rh", Access::ReadWrite),
        Binding::new(7, "z", Access::ReadWrite),
        ORDER,
    ],
};

pub(super) const CANDIDATE: Shader = Shader {
    name: "step_gru_before_candidate",
    stores: true,
    parts: &[
        include_str!("../../shaders/shared/activation.wgsl"),
        include_str!("../../shaders/shared/functions.wgsl"),
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/projected.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/shared/gru.wgsl"),
        include_str!("../../shaders/step_gru_before_candidate.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W,
        Y,
        Binding::new(5, "rh", Access::Read),
        Binding::new(6, "z", Access::Read),
        Binding::new(7, "h_prev", Access::Read),
        Binding::new(8, "h_next", Access::ReadWrite),
        ORDER,
    ],
};
