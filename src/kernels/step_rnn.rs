//! `step_rnn`: a plain RNN step in one dispatch.

use super::Shader;
use super::step::{H_NEXT, H_PREV, INDEX, ORDER, PARAMS, W, XW, Y};

pub(super) const SHADER: Shader = Shader {
    name: "step_rnn",
    stores: true,
    functions: true,
    parts: &[include_str!("../../shaders/step_rnn.wgsl")],
    bindings: &[PARAMS, INDEX, XW, W, Y, H_PREV, H_NEXT, ORDER],
};
