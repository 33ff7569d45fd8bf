//! A plain RNN: a step in one dispatch, or a whole chunk.

use super::Shader;
use super::step::{H, H_NEXT, H_PREV, INDEX, MAIL, ORDER, PARAMS, W, XW, Y};

const PARTS: &[&str] = &[include_str!("../../shaders/cells/rnn.wgsl")];

pub(super) const STEP: Shader =
    Shader { name: "step_rnn", parts: PARTS, bindings: &[PARAMS, INDEX, XW, W, Y, H_PREV, H_NEXT, ORDER] };

pub(super) const RESIDENT: Shader =
    Shader { name: "resident_rnn", parts: PARTS, bindings: &[PARAMS, XW, W, Y, H, ORDER] };

pub(super) const GROUPED: Shader =
    Shader { name: "grouped_rnn", parts: PARTS, bindings: &[PARAMS, XW, W, Y, H_PREV, H_NEXT, ORDER, MAIL] };
