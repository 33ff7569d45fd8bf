//! A GRU, reset before. The candidate's product needs r ⊙ h of every unit. So a step takes two dispatches, except in
//! kernels of many steps, whose workgroups exchange r ⊙ h within a step.

use super::recurrence::{GIVEN, H, H_NEXT, H_PREV, INDEX, ORDER, PARAMS, W, XW, Y};
use super::source::wgsl;
use super::{Access, Binding, Shader};

pub(super) const GATES: Shader = Shader {
    name: "step_gru_before_gates",
    parts: &[wgsl!("cells/gru_before_gates.wgsl")],
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
    parts: &[wgsl!("shared/gru.wgsl"), wgsl!("cells/gru_before_candidate.wgsl")],
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

const PARTS: &[&str] = &[wgsl!("shared/gru.wgsl"), wgsl!("cells/gru_before.wgsl")];

pub(super) const PERSISTENT: Shader =
    Shader { name: "persistent_gru_before", parts: PARTS, bindings: &[GIVEN, XW, W, Y, H, ORDER] };
