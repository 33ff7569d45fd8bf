//! Steps by cooperative matrices.

use super::{Caps, Request};
use crate::kernels::recurrence::Sizes;
use crate::kernels::{Functions, Recurrent, Rows, StepCell, StepMatrices, matrices};
use crate::model::Layer;

/// The dispatches of one step by cooperative matrices, where the device has them. A subgroup takes one or two
/// matrices for each gate, one above the other.
pub(super) fn steps(
    layer: &Layer,
    [hidden, state]: [u32; 2],
    tiles: u32,
    rows: Rows,
    request: Request,
    caps: &Caps,
) -> Vec<Vec<Recurrent>> {
    let Some(matrices) = request.matrices(caps).filter(|_| rows == matrices::ROWS) else { return Vec::new() };
    let functions = Functions::of(layer);
    let of = |stack: u32| {
        let shape = matrices::Shape { matrices, stack };
        let kernel = |cell| {
            let sizes = match cell {
                StepCell::Project => Sizes::all(hidden, state),
                _ => Sizes::all(state, hidden),
            };
            StepMatrices { cell, functions, sizes, shape, pipelined: false }.into()
        };
        StepCell::of(layer).into_iter().map(kernel).collect::<Vec<Recurrent>>()
    };
    let fits = |kernels: &Vec<Recurrent>| kernels.iter().all(|kernel| caps.supports(&**kernel));
    let is_there =
        |stack: &u32| *stack == 1 || tiles > matrices::Shape { matrices, stack: stack / 2 }.tiles();
    [1, 2].into_iter().filter(is_there).map(of).filter(fits).collect()
}
