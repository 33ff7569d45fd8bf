//! Steps by cooperative matrices.

use super::{Caps, Request};
use crate::kernels::recurrence::Sizes;
use crate::kernels::{Functions, Recurrent, Rows, StepCell, StepMatrices, matrices};
use crate::model::Layer;

/// The dispatches of one step by cooperative matrices, where the device has them. A subgroup takes one to eight
/// matrices for each gate, one below the other. `keeps` is whether h does not change between steps.
pub(super) fn steps(
    layer: &Layer,
    [hidden, state]: [u32; 2],
    tiles: u32,
    rows: Rows,
    keeps: bool,
    request: Request,
    caps: &Caps,
) -> Vec<Vec<Recurrent>> {
    let Some(matrices) = request.matrices(caps).filter(|_| rows == matrices::ROWS) else { return Vec::new() };
    let keeps = keeps && caps.max_storage_buffers >= StepMatrices::STORAGE_BUFFERS;
    let functions = Functions::of(layer);
    let of = |stack: u32| {
        let shape = matrices::Shape { matrices, stack };
        let kernel = |cell| {
            let sizes = match cell {
                StepCell::Project => Sizes::all(hidden, state),
                _ => Sizes::all(state, hidden),
            };
            StepMatrices { cell, functions, sizes, shape, keeps, pipelined: false }
        };
        StepCell::of(layer).into_iter().map(kernel).collect::<Vec<StepMatrices>>()
    };
    let fits = |kernels: &Vec<Recurrent>| kernels.iter().all(|kernel| caps.supports(&**kernel));
    let is_there =
        |stack: &u32| *stack == 1 || tiles > matrices::Shape { matrices, stack: stack / 2 }.tiles();
    let in_registers = |kernels: &Vec<StepMatrices>| kernels.iter().all(StepMatrices::fits);
    let all = [1, 2, 4, 8].into_iter().filter(is_there).map(of).filter(in_registers);
    all.map(|kernels| kernels.into_iter().map(Recurrent::from).collect()).filter(fits).collect()
}
