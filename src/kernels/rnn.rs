//! A plain RNN: a step in one dispatch, or a whole chunk.

use super::Shader;
use super::recurrence::{GIVEN, H, H_NEXT, H_PREV, INDEX, ORDER, PARAMS, W, XW, Y};
use super::source::wgsl;

const PARTS: &[&str] = &[wgsl!("cells/rnn.wgsl")];

pub(super) const STEP: Shader =
    Shader { name: "step_rnn", parts: PARTS, bindings: &[PARAMS, INDEX, XW, W, Y, H_PREV, H_NEXT, ORDER] };

pub(super) const PERSISTENT: Shader =
    Shader { name: "persistent_rnn", parts: PARTS, bindings: &[GIVEN, XW, W, Y, H, ORDER] };
