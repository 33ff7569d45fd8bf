//! Multi-workgroup kernels, which distribute a tile's units to several workgroups: the shapes that a device allows,
//! and the steps of a chunk.

use super::shapes::{most_held, parts, refusal, shapes};
use super::{Caps, LayerRecipe, Recurrence, Strategy};
use crate::dims::Dims;
use crate::dtype::Precision;
use crate::kernels::{
    Definition, Functions, MultiWorkgroup, Projection, Recurrent, Rows, WholeCell, persistent,
};
use crate::model::Layer;

/// Threads of a workgroup of a multi-workgroup kernel, at most. With the most weights that each thread may hold, this
/// is what a core of most GPUs has registers for.
const GROUP_THREADS: u32 = 256;
/// Polls without success of one thread, in a whole chunk, before it gives up. At a microsecond each this is well
/// under the time after which an operating system resets a device.
const SPIN_LIMIT: u32 = 1 << 16;

/// Bytes of the exchange words of one chunk of a multi-workgroup kernel. They are read soon after they were written:
/// this is what most caches hold.
pub(super) const EXCHANGE_BUDGET: u64 = 4 << 20;

/// The kernels of several workgroups that distribute a tile's units: with as many threads to a workgroup as allowed,
/// and with half and a quarter of them. Where these cannot keep all weights, the one that keeps the most.
pub(super) fn variants(
    layer: &Layer,
    hidden: u32,
    dims: Dims,
    rows: Rows,
    precision: Precision,
    caps: &Caps,
) -> Result<Vec<Recurrence>, String> {
    let Some(exchange) = caps.exchange else {
        return Err("workgroups may exchange values only where the device has passed its self-test".into());
    };
    if dims.steps == 1 {
        return Err("a single step has nothing to exchange".into());
    }
    let (cell, functions) = (WholeCell::of(layer), Functions::of(layer));
    let dirs = layer.direction().count();
    let mut found = Vec::new();
    let mut reason = "one workgroup has room for every unit".to_owned();
    // Two units may share a word of y, so they are in one workgroup. It has no more threads than a workgroup of the
    // self-test, whose kernel has as many weights a thread as any.
    let by_registers = caps.speed.registers / u64::from(most_held(rows, caps).max(1));
    let by_registers = u32::try_from(by_registers).unwrap_or(u32::MAX);
    let threads = GROUP_THREADS.min(caps.max_threads).min(by_registers);
    let most = |whole: persistent::Shape| (threads / whole.shares() / 2 * 2).max(2);
    let sizes = |whole: persistent::Shape| {
        let units = [1, 2, 4].map(|part| most(whole) / part).into_iter();
        let units = units.filter(|units| *units > 0 && units % 2 == 0 && *units < hidden);
        units.map(move |units| persistent::Shape { units, ..whole })
    };
    let mut allowed = |shape: persistent::Shape| {
        let (pipelined, fault) = (false, exchange.fault);
        let kernel = MultiWorkgroup { cell, functions, hidden, precision, rows, shape, pipelined, fault };
        let batch = u32::try_from(dims.batch).unwrap_or(u32::MAX);
        let grid = kernel.grid(batch, dirs as u32).map(u64::from);
        let all = grid[0].saturating_mul(grid[1]).saturating_mul(grid[2]);
        let memory = kernel.workgroup_bytes();
        let untested = memory > exchange.workgroup_bytes;
        let untested = untested.then(|| {
            let tested = exchange.workgroup_bytes;
            format!("needs {memory} bytes of workgroup memory, the self-test used {tested}")
        });
        let refused =
            refusal(&kernel, layer, hidden, shape, (rows, precision), caps).or(untested).or_else(|| {
                (all > u64::from(exchange.workgroups)).then(|| {
                    let side_by_side = exchange.workgroups;
                    format!("needs {all} workgroups side by side, the device is known to run {side_by_side}")
                })
            });
        let is_allowed = refused.is_none();
        match refused {
            // The spin limit and the fallback kernels are set with the recipe.
            None => found.push(Recurrence::MultiWorkgroup { kernel, spin_limit: 0, instead: Vec::new() }),
            Some(why) => reason = why,
        }
        is_allowed
    };
    let mut has_any = false;
    for shape in
        shapes(Strategy::MultiWorkgroup, cell, hidden, rows, precision, caps).into_iter().flat_map(sizes)
    {
        has_any |= allowed(shape);
    }
    // As for one workgroup with every unit: only where all weights are too many for what the device runs side by
    // side.
    if !has_any {
        let threads = |whole: persistent::Shape| most(whole).saturating_mul(whole.shares());
        let parts = parts(cell, hidden, rows, precision, caps, threads).into_iter();
        parts.flat_map(sizes).find(|shape| allowed(*shape));
    }
    found.dedup();
    if found.is_empty() { Err(reason) } else { Ok(found) }
}

/// Steps of a chunk: as many as its exchange words and the self-test allow; one at least.
pub(super) fn most_steps(kernel: MultiWorkgroup, layer: &Layer, padded: usize, caps: &Caps) -> usize {
    let by_memory = EXCHANGE_BUDGET / exchange_bytes(kernel.cell, layer, padded);
    let tested = caps.exchange.map_or(0, |exchange| exchange.steps);
    tested.min(by_memory as usize).max(1)
}

/// `kernel` over at most `steps` at a time; `instead` is its fallback.
pub(super) fn recipe(
    projection: Projection,
    kernel: MultiWorkgroup,
    instead: Vec<Recurrent>,
    steps: usize,
    caps: &Caps,
) -> LayerRecipe {
    // Where a driver bounds the iterations of a thread, half of them are for the steps.
    let by_driver = caps.max_iterations.map_or(u64::MAX, |most| kernel.most_steps(most / 2));
    let chunk = steps.min(usize::try_from(by_driver).unwrap_or(usize::MAX));
    let spin_limit = caps.max_iterations.map_or(SPIN_LIMIT, |most| (most / 2) as u32);
    let recurrence = Recurrence::MultiWorkgroup { kernel, spin_limit, instead };
    LayerRecipe { projection, recurrence, resets: Vec::new(), chunk, merge: None }
}

/// Bytes of the exchange words of one step of a layer of so many rows.
pub(super) fn exchange_bytes(cell: WholeCell, layer: &Layer, padded: usize) -> u64 {
    let words = [cell.product_count() as usize, layer.direction().count(), layer.hidden(), padded, 4];
    words.iter().fold(1u64, |bytes, &size| bytes.saturating_mul(size as u64))
}
