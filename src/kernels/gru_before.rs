//! A GRU, reset before. The candidate's product needs r ⊙ h of every unit: a step takes two dispatches, but where
//! workgroups hand it on within one.

use super::step::{H, H_NEXT, H_PREV, INDEX, MAIL, ORDER, PARAMS, W, XW, Y};
use super::{Access, Binding, Shader};

pub(super) const GATES: Shader = Shader {
    name: "step_gru_before_gates",
    parts: &[include_str!("../../shaders/cells/gru_before_gates.wgsl")],
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
    parts: &[
        include_str!("../../shaders/shared/gru.wgsl"),
        include_str!("../../shaders/cells/gru_before_candidate.wgsl"),
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

const PARTS: &[&str] =
    &[include_str!("../../shaders/shared/gru.wgsl"), include_str!("../../shaders/cells/gru_before.wgsl")];

pub(super) const RESIDENT: Shader =
    Shader { name: "resident_gru_before", parts: PARTS, bindings: &[PARAMS, XW, W, Y, H, ORDER] };

pub(super) const GROUPED: Shader = Shader {
    name: "grouped_gru_before",
    parts: PARTS,
    bindings: &[PARAMS, XW, W, Y, H_PREV, H_NEXT, ORDER, MAIL],
};
