//! The ways to compute the steps of a layer, and which of them a device allows.

use std::fmt;
use std::str::FromStr;

use super::{Caps, Recurrence, Request};
use crate::dims::Dims;
use crate::dtype::Precision;
use crate::error::{Error, Result};
use crate::kernels::recurrence::Sizes;
use crate::kernels::resident::Keep;
use crate::kernels::{
    BLOCK, Definition, Functions, Grouped, Recurrent, Resident, Rows, Step, StepCell, StepMatrices,
    WholeCell, matrices, resident, step,
};
use crate::model::{Cell, Forget, Layer, Reset, Update};

/// A way to compute the steps of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Each step is a dispatch, or two.
    Step,
    /// All steps of a chunk are a dispatch; a workgroup has every unit and keeps the weights in registers, or those of
    /// some blocks of k where all are too many.
    Resident,
    /// As `Resident`, with the weights read in every step.
    Streamed,
    /// As `Resident`, with the units dealt to several workgroups, which exchange h after every step.
    Grouped,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Step, Self::Resident, Self::Streamed, Self::Grouped];
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Step => "step",
            Self::Resident => "resident",
            Self::Streamed => "streamed",
            Self::Grouped => "grouped",
        })
    }
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.to_string() == name)
            .ok_or_else(|| format!("{name} is no strategy: step, resident, streamed, grouped"))
    }
}

/// Threads of a row-tiled workgroup: two warps or one wave, and within every device's limit.
const WIDTH: u32 = 64;
/// Threads that a resident workgroup of small H is filled up to, by tiles of rows.
const FILL: u32 = 64;
/// Threads that a workgroup of a grouped kernel has at the most: with as many weights as each may hold, what a core of
/// most GPUs has registers for.
const GROUP_THREADS: u32 = 256;
/// Weights, or sums, of a thread at the most: beyond, some compilers spill them.
const MOST_HELD: u32 = 192;
/// The least part of a unit's blocks that is worth keeping where the rest is loaded in every step, one in so many: with a quarter
/// of them it was nowhere the fastest.
const PART: u64 = 3;
/// Units and tiles of rows that a thread of a step may have.
const BLOCKS: [[u32; 2]; 6] = [[1, 1], [1, 2], [1, 4], [2, 1], [2, 2], [2, 4]];

/// What walks over the steps: every variant of `strategy` that `caps` allows, or why there is none.
pub(super) fn variants(
    strategy: Strategy,
    layer: &Layer,
    dims: Dims,
    rows: Rows,
    request: Request,
    caps: &Caps,
) -> Result<std::result::Result<Vec<Recurrence>, String>> {
    let precision = request.precision;
    let hidden = size("H", layer.hidden())?;
    let tiles = u32::try_from(dims.batch.div_ceil(rows.count() as usize)).unwrap_or(u32::MAX);
    if strategy == Strategy::Step {
        let state = size("P", layer.state())?;
        let blocks = blocks(layer.cell(), hidden.max(state), tiles, rows, request, caps).into_iter();
        let kernels = blocks.map(|block| steps(layer, [hidden, state], block, rows, request, caps));
        let matrices = matrix_steps(layer, [hidden, state], tiles, rows, request, caps);
        return Ok(Ok(kernels.chain(matrices).map(Recurrence::Step).collect()));
    }
    if layer.projection().is_some() {
        return Ok(Err("a projection needs h of every unit twice a step".into()));
    }
    let cell = whole_cell(layer);
    let functions = Functions::of(layer);
    if strategy == Strategy::Grouped {
        return Ok(grouped(layer, hidden, dims, rows, precision, caps));
    }
    let mut found = Vec::new();
    let mut reason = String::new();
    let mut allowed = |shape: resident::Shape| {
        let full = (FILL / shape.threads().max(1)).clamp(1, tiles);
        let shape = resident::Shape { tiles: full, ..shape };
        let pipelined = false;
        let kernel = Resident { cell, functions, hidden, precision, rows, shape, pipelined };
        let refused = refusal(&kernel, layer, hidden, shape, precision, caps);
        let is_allowed = refused.is_none();
        match refused {
            None => found.push(Recurrence::Resident(kernel)),
            Some(why) => reason = why,
        }
        is_allowed
    };
    let mut has_any = false;
    for shape in shapes(strategy, cell, hidden, precision, caps) {
        has_any |= allowed(shape);
    }
    // Where a workgroup can keep all weights, loading some of them has nothing to offer.
    if strategy == Strategy::Resident && !has_any {
        let threads = |shape: resident::Shape| shape.threads();
        parts(cell, hidden, precision, caps, threads).into_iter().find(|shape| allowed(*shape));
    }
    found.dedup();
    Ok(if found.is_empty() { Err(reason) } else { Ok(found) })
}

/// Units and tiles of rows that a thread of a step may have: no more than there are, and no more sums than it should hold.
fn blocks(cell: Cell, units: u32, tiles: u32, rows: Rows, request: Request, caps: &Caps) -> Vec<[u32; 2]> {
    let widths = units.div_ceil(width(units, caps));
    // A sum of all beside each block's own.
    let of_one = cell.gates() as u32 * rows.count() * if request.any_order { 1 } else { 2 };
    let fits = |&[each, count]: &[u32; 2]| {
        let are_there = each <= widths && count <= tiles;
        // Four tiles of one row are a tile of four, which is loaded at once.
        are_there
            && (rows == Rows::Four || count < 4)
            && (each * count == 1 || each * count * of_one <= MOST_HELD)
    };
    BLOCKS.into_iter().filter(fits).collect()
}

/// Ways to deal k to threads, from few threads with many weights to many with few.
fn shapes(
    strategy: Strategy,
    cell: WholeCell,
    hidden: u32,
    precision: Precision,
    caps: &Caps,
) -> Vec<resident::Shape> {
    let shape = |depth: u32, keep: Keep| resident::Shape::new(hidden, depth, keep);
    match strategy {
        Strategy::Resident => {
            let depth = MOST_HELD / cell.gates();
            let mut shapes = vec![shape(depth, Keep::Held), shape(32, Keep::Held)];
            if precision.weights.is_half() {
                shapes.extend([shape(2 * depth, Keep::Packed), shape(depth, Keep::Packed)]);
            }
            shapes
        }
        // As many weights as a thread can hold: the fewer threads, the more units to a workgroup.
        Strategy::Grouped => {
            let depth = MOST_HELD / cell.gates();
            let packed = precision.weights.is_half().then(|| shape(2 * depth, Keep::Packed));
            packed.into_iter().chain([shape(depth, Keep::Held)]).collect()
        }
        // As many threads to a unit as there may be, or one.
        _ => {
            let split = (caps.max_threads / hidden.max(1)).max(1);
            let depth = hidden.div_ceil(split).next_multiple_of(32);
            vec![shape(depth, Keep::Streamed), shape(hidden, Keep::Streamed)]
        }
    }
}

/// Ways to deal k to threads, with a workgroup of so many `threads`, that keep the weights of some blocks and load the others in
/// every step: from most blocks to least, of as many with the fewest threads first.
fn parts(
    cell: WholeCell,
    hidden: u32,
    precision: Precision,
    caps: &Caps,
    threads: impl Fn(resident::Shape) -> u32,
) -> Vec<resident::Shape> {
    let blocks = hidden.div_ceil(BLOCK);
    let keep = if precision.weights.is_half() { Keep::Packed } else { Keep::Held };
    let of_block = keep.registers(u64::from(cell.gates() * BLOCK));
    let mut all: Vec<(u32, resident::Shape)> = Vec::new();
    for split in 1..=blocks.min(caps.max_threads) {
        let shape = resident::Shape::new(hidden, blocks.div_ceil(split) * BLOCK, keep);
        let of_workgroup = of_block.saturating_mul(u64::from(threads(shape))).max(1);
        let most = (caps.speed.registers / of_workgroup).min(u64::from(MOST_HELD) / of_block);
        let held = u32::try_from(most).unwrap_or(u32::MAX).min(shape.parts - 1);
        // The last threads of a unit may have fewer blocks than the others.
        let of_unit = (0..shape.split).map(|s| held.min(blocks.saturating_sub(s * shape.parts))).sum();
        let is_new = all.iter().all(|(_, known)| known.split != shape.split);
        if is_new && u64::from(of_unit) * PART >= u64::from(blocks) {
            all.push((of_unit, shape.of_held(held)));
        }
    }
    // Stable, so that few threads stay before many.
    all.sort_by_key(|(held, _)| std::cmp::Reverse(*held));
    all.into_iter().map(|(_, shape)| shape).collect()
}

/// The kernels of several workgroups that have a tile's units between them: with as many threads to a workgroup as there
/// may be, and with half and a quarter of them; or where they cannot keep all weights, the one that keeps the most.
fn grouped(
    layer: &Layer,
    hidden: u32,
    dims: Dims,
    rows: Rows,
    precision: Precision,
    caps: &Caps,
) -> std::result::Result<Vec<Recurrence>, String> {
    let Some(exchange) = caps.exchange else {
        return Err("workgroups may exchange values only where the device has passed its self-test".into());
    };
    if dims.steps == 1 {
        return Err("a single step has nothing to hand on".into());
    }
    let (cell, functions) = (whole_cell(layer), Functions::of(layer));
    let dirs = layer.direction().count();
    let mut found = Vec::new();
    let mut reason = "one workgroup has room for every unit".to_owned();
    // Two units may share a word of y, so they are in one workgroup. It has no more threads than those of the self-test, whose
    // kernel has as many weights a thread as any.
    let by_registers = u32::try_from(caps.speed.registers / u64::from(MOST_HELD)).unwrap_or(u32::MAX);
    let threads = GROUP_THREADS.min(caps.max_threads).min(by_registers);
    let most = |whole: resident::Shape| (threads / whole.split / 2 * 2).max(2);
    let sizes = |whole: resident::Shape| {
        let units = [1, 2, 4].map(|part| most(whole) / part).into_iter();
        let units = units.filter(|units| *units > 0 && units % 2 == 0 && *units < hidden);
        units.map(move |units| resident::Shape { units, ..whole })
    };
    let mut allowed = |shape: resident::Shape| {
        let (pipelined, fault) = (false, exchange.fault);
        let kernel = Grouped { cell, functions, hidden, precision, rows, shape, pipelined, fault };
        let batch = u32::try_from(dims.batch).unwrap_or(u32::MAX);
        let grid = kernel.grid(batch, dirs as u32).map(u64::from);
        let all = grid[0].saturating_mul(grid[1]).saturating_mul(grid[2]);
        let memory = kernel.workgroup_bytes();
        let untested = memory > exchange.workgroup_bytes;
        let untested = untested.then(|| {
            let tested = exchange.workgroup_bytes;
            format!("needs {memory} bytes of workgroup memory, the self-test had {tested}")
        });
        let refused = refusal(&kernel, layer, hidden, shape, precision, caps).or(untested).or_else(|| {
            (all > u64::from(exchange.workgroups)).then(|| {
                let side_by_side = exchange.workgroups;
                format!("needs {all} workgroups side by side, the device is known to run {side_by_side}")
            })
        });
        let is_allowed = refused.is_none();
        match refused {
            // Its patience, and what stands in for it, come with the recipe.
            None => found.push(Recurrence::Grouped { kernel, patience: 0, instead: Vec::new() }),
            Some(why) => reason = why,
        }
        is_allowed
    };
    let mut has_any = false;
    for shape in shapes(Strategy::Grouped, cell, hidden, precision, caps).into_iter().flat_map(sizes) {
        has_any |= allowed(shape);
    }
    // As where one workgroup has every unit: only where all weights are too many for what the device runs side by side.
    if !has_any {
        let threads = |whole: resident::Shape| most(whole).saturating_mul(whole.split);
        let parts = parts(cell, hidden, precision, caps, threads).into_iter();
        parts.flat_map(sizes).find(|shape| allowed(*shape));
    }
    found.dedup();
    if found.is_empty() { Err(reason) } else { Ok(found) }
}

/// Why `caps` do not allow a kernel of many steps.
fn refusal(
    kernel: &dyn Definition,
    layer: &Layer,
    hidden: u32,
    shape: resident::Shape,
    precision: Precision,
    caps: &Caps,
) -> Option<String> {
    let beyond = |needed: u64, limit: u64, what: &str| {
        (needed > limit).then(|| format!("needs {needed} {what}, the device has {limit}"))
    };
    let (gates, dirs) = (layer.cell().gates() as u64, layer.direction().count() as u64);
    let weights = gates * u64::from(shape.held_depth(hidden)) * u64::from(kernel.threads());
    let registers = shape.keep.registers(weights);
    let depth = precision.weights.words(hidden.next_multiple_of(4) as usize) as u64;
    let bytes = dirs * gates * u64::from(hidden) * depth * 4;
    beyond(bytes, caps.max_array_bytes(), "bytes of w_hh in one binding")
        .or_else(|| beyond(kernel.storage_buffers(), u64::from(caps.max_storage_buffers), "storage buffers"))
        .or_else(|| {
            beyond(u64::from(kernel.threads()), u64::from(caps.max_threads), "threads in a workgroup")
        })
        .or_else(|| beyond(registers, caps.speed.registers, "registers for the weights of a workgroup"))
        .or_else(|| {
            let bytes = u64::from(kernel.workgroup_bytes());
            beyond(bytes, u64::from(caps.max_workgroup_bytes), "bytes of workgroup memory")
        })
}

/// The dispatches of one step.
fn steps(
    layer: &Layer,
    [hidden, state]: [u32; 2],
    [units, tiles]: [u32; 2],
    rows: Rows,
    request: Request,
    caps: &Caps,
) -> Vec<Recurrent> {
    let Request { precision, any_order, .. } = request;
    let functions = Functions::of(layer);
    let kernel = |cell| {
        let sizes = match cell {
            StepCell::Project => Sizes::all(hidden, state),
            _ => Sizes::all(state, hidden),
        };
        let width = width(sizes.hidden, caps);
        let units = units.min(sizes.hidden.div_ceil(width));
        let shape = step::Shape { width, units, tiles, in_blocks: !any_order };
        Step { cell, functions, sizes, precision, rows, shape, pipelined: false }.into()
    };
    step_cells(layer).into_iter().map(kernel).collect()
}

/// The same by cooperative matrices, where there are: with one and with two, one above the other, for each gate of a subgroup.
fn matrix_steps(
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
        step_cells(layer).into_iter().map(kernel).collect::<Vec<Recurrent>>()
    };
    let fits = |kernels: &Vec<Recurrent>| kernels.iter().all(|kernel| caps.bears(&**kernel));
    let is_there =
        |stack: &u32| *stack == 1 || tiles > matrices::Shape { matrices, stack: stack / 2 }.tiles();
    [1, 2].into_iter().filter(is_there).map(of).filter(fits).collect()
}

/// The parts of one step.
fn step_cells(layer: &Layer) -> Vec<StepCell> {
    match layer.cell() {
        Cell::Gru { reset: Reset::After, update } => {
            vec![StepCell::GruAfter { takes: update == Update::Takes }]
        }
        Cell::Gru { reset: Reset::Before, update } => {
            let takes = update == Update::Takes;
            vec![StepCell::GruBeforeGates, StepCell::GruBeforeCandidate { takes }]
        }
        Cell::Lstm { forget } => {
            let (coupled, peepholes) = (forget == Forget::Coupled, layer.has_peepholes());
            match layer.projection() {
                None => vec![StepCell::Lstm { coupled, peepholes }],
                Some(_) => vec![StepCell::LstmCell { coupled, peepholes }, StepCell::Project],
            }
        }
        Cell::Rnn => vec![StepCell::Rnn],
    }
}

fn whole_cell(layer: &Layer) -> WholeCell {
    match layer.cell() {
        Cell::Gru { reset: Reset::After, update } => WholeCell::GruAfter { takes: update == Update::Takes },
        Cell::Gru { reset: Reset::Before, update } => WholeCell::GruBefore { takes: update == Update::Takes },
        Cell::Lstm { forget } => {
            WholeCell::Lstm { coupled: forget == Forget::Coupled, peepholes: layer.has_peepholes() }
        }
        Cell::Rnn => WholeCell::Rnn,
    }
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
