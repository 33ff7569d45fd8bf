//! The kernels that reset states where steps are dispatched one by one.

use super::strategy::{size, width};
use super::{Caps, cost};
use crate::error::Result;
use crate::io::RunShape;
use crate::kernels::{ResetStates, Rows};
use crate::model::Layer;

/// The kernels that reset h and c of a layer before a step; none without resets.
pub(super) fn kernels(
    layer: &Layer,
    run_shape: RunShape,
    rows: Rows,
    caps: &Caps,
) -> Result<Vec<ResetStates>> {
    if !run_shape.resets {
        return Ok(Vec::new());
    }
    let (h, c) = (size("P", layer.state_size())?, size("H", layer.hidden())?);
    let of = |features, before| {
        let width = width(features, caps);
        ResetStates { features, before: Some(before), order: run_shape.x.into(), rows, width }
    };
    Ok([of(h, 0)].into_iter().chain(layer.cell().has_c().then(|| of(c, h))).collect())
}

/// Their time before a step of `batch` rows.
pub(super) fn cost(kernels: &[ResetStates], batch: u32, caps: &Caps) -> u64 {
    let of = |kernel: &ResetStates| cost::dispatch(kernel, batch, 1, 1, &caps.speed).femtoseconds;
    kernels.iter().fold(0u64, |sum, kernel| sum.saturating_add(of(kernel)))
}
