//! An LSTM, with or without peepholes: a step in one dispatch, or a whole chunk. With a projection, which needs h of
//! every unit, a step takes two dispatches.

use super::recurrence::{GIVEN, H, H_NEXT, H_PREV, INDEX, ORDER, PARAMS, W, XW, Y};
use super::source::wgsl;
use super::{Access, Binding, Shader};

const C: Binding = Binding::new(5, "c", Access::ReadWrite);
/// The last of its kernels' bindings, so that kernels without peepholes leave it out.
const PEEPHOLES: Binding = Binding::new(12, "peepholes", Access::Read);
const PARTS: &[&str] = &[wgsl!("shared/lstm.wgsl"), wgsl!("cells/lstm.wgsl")];

pub(super) const STEP: Shader = Shader {
    name: "step_lstm",
    parts: PARTS,
    bindings: &[PARAMS, INDEX, XW, W, Y, C, H_PREV, H_NEXT, ORDER, PEEPHOLES],
};

pub(super) const PERSISTENT: Shader =
    Shader { name: "persistent_lstm", parts: PARTS, bindings: &[GIVEN, XW, W, Y, C, H, ORDER, PEEPHOLES] };

/// The step up to the h before its projection.
pub(super) const CELL: Shader = Shader {
    name: "step_lstm_cell",
    parts: &[wgsl!("shared/lstm.wgsl"), wgsl!("cells/lstm_cell.wgsl")],
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
    parts: &[wgsl!("cells/project.wgsl")],
    bindings: &[PARAMS, INDEX, W, Y, Binding::new(5, "unprojected", Access::Read), H_PREV, H_NEXT, ORDER],
};
