//! A GRU, reset after: a step in one dispatch, or a whole chunk.

use super::recurrence::{GIVEN, H, H_NEXT, H_PREV, INDEX, ORDER, PARAMS, W, XW, Y};
use super::source::wgsl;
use super::{Access, Binding, Shader};

const B_HN: Binding = Binding::new(5, "b_hn", Access::Read);
const PARTS: &[&str] = &[wgsl!("shared/gru.wgsl"), wgsl!("cells/gru_after.wgsl")];

pub(super) const STEP: Shader = Shader {
    name: "step_gru_after",
    parts: PARTS,
    bindings: &[PARAMS, INDEX, XW, W, Y, B_HN, H_PREV, H_NEXT, ORDER],
};

pub(super) const PERSISTENT: Shader =
    Shader { name: "persistent_gru_after", parts: PARTS, bindings: &[GIVEN, XW, W, Y, B_HN, H, ORDER] };
