//! An LSTM's step, with or without peepholes; c is updated in place. `step_lstm` takes one dispatch; with a projection,
//! which needs h of every unit, it takes two, `step_lstm_cell` and `step_project`.

use super::step::{H_NEXT, H_PREV, INDEX, ORDER, PARAMS, W, XW, Y};
use super::{Access, Binding, Shader};

const C: Binding = Binding::new(5, "c", Access::ReadWrite);
/// The last of its kernels' bindings, so that they do without it where there are none.
const PEEPHOLES: Binding = Binding::new(9, "peepholes", Access::Read);

/// The whole step.
pub(super) const STEP: Shader = Shader {
    name: "step_lstm",
    stores: true,
    functions: true,
    parts: &[include_str!("../../shaders/shared/lstm.wgsl"), include_str!("../../shaders/step_lstm.wgsl")],
    bindings: &[PARAMS, INDEX, XW, W, Y, C, H_PREV, H_NEXT, ORDER, PEEPHOLES],
};

/// The step up to the h that is to be projected.
pub(super) const CELL: Shader = Shader {
    name: "step_lstm_cell",
    stores: false,
    functions: true,
    parts: &[
        include_str!("../../shaders/shared/lstm.wgsl"),
        include_str!("../../shaders/step_lstm_cell.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W,
        C,
        H_PREV,
        Binding::new(7, "unprojected", Access::ReadWrite),
        ORDER,
        PEEPHOLES,
    ],
};

pub(super) const PROJECT: Shader = Shader {
    name: "step_project",
    stores: true,
    functions: false,
    parts: &[include_str!("../../shaders/step_project.wgsl")],
    bindings: &[PARAMS, INDEX, W, Y, Binding::new(5, "unprojected", Access::Read), H_PREV, H_NEXT, ORDER],
};
