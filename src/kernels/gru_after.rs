//! A GRU, reset after: a step in one dispatch, or a whole chunk.

use super::step::{H, H_NEXT, H_PREV, INDEX, MAIL, ORDER, PARAMS, W, XW, Y};
use super::{Access, Binding, Shader};

const B_HN: Binding = Binding::new(5, "b_hn", Access::Read);
const PARTS: &[&str] =
    &[include_str!("../../shaders/shared/gru.wgsl"), include_str!("../../shaders/cells/gru_after.wgsl")];

pub(super) const STEP: Shader = Shader {
    name: "step_gru_after",
    parts: PARTS,
    bindings: &[PARAMS, INDEX, XW, W, Y, B_HN, H_PREV, H_NEXT, ORDER],
};

pub(super) const RESIDENT: Shader =
    Shader { name: "resident_gru_after", parts: PARTS, bindings: &[PARAMS, XW, W, Y, B_HN, H, ORDER] };

pub(super) const GROUPED: Shader = Shader {
    name: "grouped_gru_after",
    parts: PARTS,
    bindings: &[PARAMS, XW, W, Y, B_HN, H_PREV, H_NEXT, ORDER, MAIL],
};
