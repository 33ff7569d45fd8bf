//! `step_lstm_cell` and `step_project`: a step of an LSTM with a projection in two dispatches, since the projection
//! needs h of every unit.

use super::step::{INDEX, ORDER, PARAMS, W, XW, Y};
use super::{Access, Binding, Shader};

pub(super) const CELL: Shader = Shader {
    name: "step_lstm_cell",
    stores: false,
    parts: &[
        include_str!("../../shaders/shared/activation.wgsl"),
        include_str!("../../shaders/shared/functions.wgsl"),
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/projected.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/shared/no_peepholes.wgsl"),
        include_str!("../../shaders/shared/lstm.wgsl"),
        include_str!("../../shaders/step_lstm_cell.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W,
        Binding::new(5, "h_prev", Access::Read),
        Binding::new(6, "unprojected", Access::ReadWrite),
        Binding::new(7, "c", Access::ReadWrite),
        ORDER,
    ],
};

pub(super) const PEEPHOLES: Shader = Shader {
    name: "step_lstm_cell",
    stores: false,
    parts: &[
        include_str!("../../shaders/shared/activation.wgsl"),
        include_str!("../../shaders/shared/functions.wgsl"),
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/projected.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/shared/peepholes.wgsl"),
        include_str!("../../shaders/shared/lstm.wgsl"),
        include_str!("../../shaders/step_lstm_cell.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        XW,
        W,
        Binding::new(5, "h_prev", Access::Read),
        Binding::new(6, "unprojected", Access::ReadWrite),
        Binding::new(7, "c", Access::ReadWrite),
        Binding::new(8, "peepholes", Access::Read),
        ORDER,
    ],
};

pub(super) const PROJECT: Shader = Shader {
    name: "step_project",
    stores: true,
    parts: &[
        include_str!("../../shaders/shared/step.wgsl"),
        include_str!("../../shaders/shared/product.wgsl"),
        include_str!("../../shaders/step_project.wgsl"),
    ],
    bindings: &[
        PARAMS,
        INDEX,
        W,
        Y,
        Binding::new(5, "unprojected", Access::Read),
        Binding::new(6, "h_prev", Access::Read),
        Binding::new(7, "h_next", Access::ReadWrite),
        ORDER,
    ],
};
