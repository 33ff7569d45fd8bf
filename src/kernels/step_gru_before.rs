//! `step_gru_before_gates` and `step_gru_before_candidate`: a GRU step, reset before, in two dispatches, since
//! the candidate's product needs r ⊙ h of every unit.

use super::step::{H_NEXT, H_PREV, INDEX, ORDER, PARAMS, W, XW, Y};
use super::{Access, Binding, Shader};

pub(super) const GATES: Shader = Shader {
    name: "step_gru_before_gates",
    stores: false,
    functions: true,
    parts: &[include_str!("../../shaders/step_gru_before_gates.wgsl")],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W,
        Binding::new(5, "rh", Access::ReadWrite),
        H_PREV,
        ORDER,
        Binding::new(9, "z", Access::ReadWrite),
    ],
};

pub(super) const CANDIDATE: Shader = Shader {
    name: "step_gru_before_candidate",
    stores: true,
    functions: true,
    parts: &[
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
        H_PREV,
        H_NEXT,
        ORDER,
        Binding::new(9, "z", Access::Read),
    ],
};
