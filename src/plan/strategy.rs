//! The ways to compute the steps of a layer, and which of them a device allows.

use std::fmt;
use std::str::FromStr;

use super::shapes::{MOST_SUMS, parts, refusal, shapes};
use super::{Caps, Recurrence, Request, exchange, matrices};
use crate::error::{Error, Result};
use crate::io::RunShape;
use crate::kernels::recurrence::Sizes;
use crate::kernels::{
    BLOCK, Functions, Persistent, Recurrent, Rows, Step, StepCell, WholeCell, persistent, step,
};
use crate::model::{Cell, Layer};

/// A way to compute the steps of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Each step is a dispatch, or two.
    Step,
    /// All steps of a chunk are one dispatch. A workgroup has every unit and keeps the weights in registers, or,
    /// where all are too many, those of some blocks of k.
    Persistent,
    /// As `Persistent`, with the weights read in every step.
    Streamed,
    /// As `Persistent`, with the units distributed to several workgroups, which exchange h after every step.
    MultiWorkgroup,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Step, Self::Persistent, Self::Streamed, Self::MultiWorkgroup];
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Step => "step",
            Self::Persistent => "persistent",
            Self::Streamed => "streamed",
            Self::MultiWorkgroup => "multi_workgroup",
        })
    }
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.to_string() == name)
            .ok_or_else(|| format!("{name} is no strategy: step, persistent, streamed, multi_workgroup"))
    }
}

/// Threads of a row-tiled workgroup: two warps or one wave, within every device's limit.
const WIDTH: u32 = 64;
/// Threads of a persistent workgroup of small H, reached by several tiles of rows.
const FILL: u32 = 64;
/// Units and tiles of rows that a thread of a step may have.
const BLOCKS: [[u32; 2]; 6] = [[1, 1], [1, 2], [1, 4], [2, 1], [2, 2], [2, 4]];

/// Numbers of threads of a unit of a step, other than one.
const SPLITS: [u32; 3] = [4, 8, 16];

/// The kernels that compute the steps: every variant of `strategy` that `caps` allows, or the reason why there is
/// none.
pub(super) fn variants(
    strategy: Strategy,
    layer: &Layer,
    run_shape: RunShape,
    rows: Rows,
    request: Request,
    caps: &Caps,
) -> Result<std::result::Result<Vec<Recurrence>, String>> {
    let dims = run_shape.dims;
    let precision = request.precision;
    let hidden = size("H", layer.hidden())?;
    let tiles = u32::try_from(dims.batch.div_ceil(rows.count() as usize)).unwrap_or(u32::MAX);
    if strategy == Strategy::Step {
        let state = size("P", layer.state_size())?;
        let blocks = blocks(layer.cell(), hidden.max(state), tiles, rows, request, caps).into_iter();
        let whole = blocks.map(|block| steps(layer, [hidden, state], block, 1, rows, request, caps));
        // Where loads do not wait a unit has one thread.
        let splits = SPLITS.into_iter().filter(|_| caps.speed.latency > 0);
        let divided = splits.map(|split| steps(layer, [hidden, state], [1, 1], split, rows, request, caps));
        let fits = |kernels: &Vec<Recurrent>| {
            kernels.iter().any(is_divided) && kernels.iter().all(|kernel| caps.supports(&**kernel))
        };
        let divided = divided.filter(fits);
        let kernels = whole.chain(divided);
        let keeps = !run_shape.resets && dims.steps > 1;
        let matrices = matrices::steps(layer, [hidden, state], tiles, rows, keeps, request, caps);
        return Ok(Ok(kernels.chain(matrices).map(Recurrence::Step).collect()));
    }
    if layer.projection().is_some() {
        return Ok(Err("a projection needs h of every unit twice a step".into()));
    }
    let cell = WholeCell::of(layer);
    let functions = Functions::of(layer);
    if strategy == Strategy::MultiWorkgroup {
        if run_shape.resets {
            return Ok(Err(
                "states that are reset are not exchanged: other workgroups hold the old ones".into()
            ));
        }
        return Ok(exchange::variants(layer, hidden, dims, rows, precision, caps));
    }
    let mut found = Vec::new();
    let mut reason = String::new();
    let mut allowed = |shape: persistent::Shape| {
        let full = (FILL / shape.threads().max(1)).clamp(1, tiles);
        let shape = persistent::Shape { tiles: full, ..shape };
        let (pipelined, resets) = (false, run_shape.resets.then(|| run_shape.x.into()));
        let kernel = Persistent { cell, functions, hidden, precision, rows, shape, pipelined, resets };
        let refused = refusal(&kernel, layer, hidden, shape, (rows, precision), caps);
        let is_allowed = refused.is_none();
        match refused {
            None => found.push(Recurrence::Persistent(kernel)),
            Some(why) => reason = why,
        }
        is_allowed
    };
    let mut has_any = false;
    for shape in shapes(strategy, cell, hidden, rows, precision, caps) {
        has_any |= allowed(shape);
    }
    // Where a workgroup can keep all weights, a kernel that loads some of them gains nothing.
    if strategy == Strategy::Persistent && !has_any {
        let threads = |shape: persistent::Shape| shape.threads();
        parts(cell, hidden, rows, precision, caps, threads).into_iter().find(|shape| allowed(*shape));
    }
    found.dedup();
    Ok(if found.is_empty() { Err(reason) } else { Ok(found) })
}

/// Units and tiles of rows that a thread of a step may have: no more than exist, and no more sums than it should
/// hold.
fn blocks(cell: Cell, units: u32, tiles: u32, rows: Rows, request: Request, caps: &Caps) -> Vec<[u32; 2]> {
    let widths = units.div_ceil(width(units, caps));
    // Each block's own sum, and a sum of all blocks.
    let of_one = cell.gates() as u32 * rows.count() * if request.any_reduction_order { 1 } else { 2 };
    let fits = |&[each, count]: &[u32; 2]| {
        let are_there = each <= widths && count <= tiles;
        // Four tiles of one row are a tile of four, which is loaded at once.
        are_there
            && (rows == Rows::Four || count < 4)
            && (each * count == 1 || each * count * of_one <= MOST_SUMS)
    };
    BLOCKS.into_iter().filter(fits).collect()
}

fn is_divided(kernel: &Recurrent) -> bool {
    matches!(kernel, Recurrent::Step(kernel) if kernel.shape.split > 1)
}

/// The dispatches of one step, with so many threads for each unit where it has as many blocks of k.
fn steps(
    layer: &Layer,
    [hidden, state]: [u32; 2],
    [units, tiles]: [u32; 2],
    split: u32,
    rows: Rows,
    request: Request,
    caps: &Caps,
) -> Vec<Recurrent> {
    let Request { precision, any_reduction_order, .. } = request;
    let functions = Functions::of(layer);
    let kernel = |cell| {
        let sizes = match cell {
            StepCell::Project => Sizes::all(hidden, state),
            _ => Sizes::all(state, hidden),
        };
        let width = width(sizes.hidden, caps);
        let units = units.min(sizes.hidden.div_ceil(width));
        let (k, gates) = (sizes.k, cell.products());
        let shape = match split {
            2.. if split <= k.div_ceil(BLOCK) => step::Shape::divided(split, sizes.hidden, k, gates, rows),
            _ => step::Shape::new(width, [units, tiles], !any_reduction_order),
        };
        let shape = match caps.speed.latency {
            0 => shape,
            _ => shape.loading_ahead(k, gates, rows, precision.weights.is_half()),
        };
        Step { cell, functions, sizes, precision, rows, shape, pipelined: false }.into()
    };
    StepCell::of(layer).into_iter().map(kernel).collect()
}

/// Threads of a row-tiled workgroup: a power of two, since two threads may share a word, and no more than there are
/// columns, rounded up to one.
pub(super) fn width(columns: u32, caps: &Caps) -> u32 {
    let most = 1 << WIDTH.min(caps.max_threads).ilog2();
    columns.next_power_of_two().min(most)
}

/// A size as the shaders count it.
pub(super) fn size(name: &str, value: usize) -> Result<u32> {
    // Half the range, so that rounding up to a power of two or a tile cannot overflow.
    match u32::try_from(value) {
        Ok(size) if size <= u32::MAX / 2 => Ok(size),
        _ => Err(Error::Overflow { name: format!("{name} as a 32-bit size"), sizes: vec![value] }),
    }
}
