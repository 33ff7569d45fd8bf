//! The shapes of kernels of many steps, and which of them a device allows.

use super::{Caps, Strategy};
use crate::dtype::Precision;
use crate::kernels::persistent::Keep;
use crate::kernels::{BLOCK, Definition, Rows, WholeCell, persistent};
use crate::model::Layer;

/// Sums of a thread at most: beyond this some compilers spill them.
pub(super) const MOST_SUMS: u32 = 192;
/// The least part of a unit's blocks that is worth keeping where the rest is loaded in every step, as one in so many:
/// with a quarter of them it was nowhere the fastest.
const PART: u64 = 3;

/// Weights in registers of a thread at most, with so many rows side by side: beyond this the compilers of this device
/// spill them.
pub(super) fn most_held(rows: Rows, caps: &Caps) -> u32 {
    let most = match rows {
        Rows::One => caps.speed.held,
        Rows::Four => caps.speed.held4,
    };
    u32::try_from(most).unwrap_or(u32::MAX)
}

/// Whether a thread may keep the weights of a block of k for every gate of its unit.
fn has_room(gates: u32, hidden: u32, keep: Keep, rows: Rows, caps: &Caps) -> bool {
    gates == 1 || keep.registers(u64::from(gates * hidden.min(BLOCK))) <= u64::from(most_held(rows, caps))
}

/// Ways to distribute k to threads, from few threads with many weights to many with few. Where a block of k of all gates
/// is more than a thread may hold, it has one gate. A block of that may still be more; then [`refusal`] says so.
pub(super) fn shapes(
    strategy: Strategy,
    cell: WholeCell,
    hidden: u32,
    rows: Rows,
    precision: Precision,
    caps: &Caps,
) -> Vec<persistent::Shape> {
    let (gates, held) = (cell.gates(), most_held(rows, caps));
    // As many k as fit for all gates, or for one.
    let shape = |held: u32, keep: Keep| match has_room(gates, hidden, keep, rows, caps) {
        true => persistent::Shape::new(hidden, held / gates, keep),
        false => persistent::Shape::new(hidden, held, keep).with_one_gate(gates),
    };
    match strategy {
        Strategy::Persistent => {
            let mut shapes = vec![shape(held, Keep::Held), shape(BLOCK, Keep::Held)];
            if precision.weights.is_half() {
                shapes.extend([shape(2 * held, Keep::Packed), shape(held, Keep::Packed)]);
            }
            shapes
        }
        // As many weights as a thread can hold: with fewer threads, a workgroup has more units.
        Strategy::MultiWorkgroup => {
            let packed = precision.weights.is_half().then(|| shape(2 * held, Keep::Packed));
            packed.into_iter().chain([shape(held, Keep::Held)]).collect()
        }
        // As many threads to a unit as allowed, or one.
        _ => {
            let split = (caps.max_threads / hidden.max(1)).max(1);
            let depth = hidden.div_ceil(split).next_multiple_of(32);
            [depth, hidden].map(|depth| persistent::Shape::new(hidden, depth, Keep::Streamed)).into()
        }
    }
}

/// Ways to distribute k to threads, with a workgroup of so many `threads`, that keep the weights of some blocks and
/// load the others in every step. Where a block of k of all gates is more than a thread may hold, it has one gate. They are
/// ordered from most blocks to least; among equals, fewest threads first.
pub(super) fn parts(
    cell: WholeCell,
    hidden: u32,
    rows: Rows,
    precision: Precision,
    caps: &Caps,
    threads: impl Fn(persistent::Shape) -> u32,
) -> Vec<persistent::Shape> {
    let blocks = hidden.div_ceil(BLOCK);
    let keep = if precision.weights.is_half() { Keep::Packed } else { Keep::Held };
    let gates = if has_room(cell.gates(), hidden, keep, Rows::Four, caps) { 1 } else { cell.gates() };
    let of_block = keep.registers(u64::from(cell.gates() / gates * BLOCK));
    // A thread that also loads weights has registers for no more than one of four rows, and for the sums and those of the block in hand.
    let sums = 2 * cell.gates() / gates * rows.count();
    let most_held = u64::from(most_held(Rows::Four, caps).min(persistent::ROOM.saturating_sub(sums)));
    let mut all: Vec<(u32, persistent::Shape)> = Vec::new();
    for split in 1..=blocks.min(caps.max_threads) {
        let shape = persistent::Shape::new(hidden, blocks.div_ceil(split) * BLOCK, keep).with_one_gate(gates);
        let of_workgroup = of_block.saturating_mul(u64::from(threads(shape))).max(1);
        let most = (caps.speed.registers / of_workgroup).min(most_held / of_block);
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

/// Why `caps` do not allow a kernel of many steps.
pub(super) fn refusal(
    kernel: &dyn Definition,
    layer: &Layer,
    hidden: u32,
    shape: persistent::Shape,
    (rows, precision): (Rows, Precision),
    caps: &Caps,
) -> Option<String> {
    let beyond = |needed: u64, limit: u64, what: &str| {
        (needed > limit).then(|| format!("needs {needed} {what}, the device has {limit}"))
    };
    let (gates, dirs) = (layer.cell().gates() as u64, layer.direction().count() as u64);
    let weights = u64::from(shape.gates_of_thread(gates as u32) * shape.held_depth(hidden));
    let registers = shape.keep.registers(weights * u64::from(kernel.threads()));
    let (of_thread, held) = (shape.keep.registers(weights), u64::from(most_held(rows, caps)));
    let depth = precision.weights.words(hidden.next_multiple_of(4) as usize) as u64;
    let bytes = dirs * gates * u64::from(hidden) * depth * 4;
    beyond(bytes, caps.max_array_bytes(), "bytes of w_hh in one binding")
        .or_else(|| beyond(kernel.storage_buffers(), u64::from(caps.max_storage_buffers), "storage buffers"))
        .or_else(|| {
            // Of more threads than a core has at once, each has fewer registers: Intel's then run in wider subgroups.
            let most = u64::from(caps.max_threads).min(caps.speed.threads);
            beyond(u64::from(kernel.threads()), most, "threads in a workgroup")
        })
        .or_else(|| {
            (of_thread > held).then(|| {
                format!("needs {of_thread} registers for the weights of a thread, the device has {held} without spilling")
            })
        })
        .or_else(|| beyond(registers, caps.speed.registers, "registers for the weights of a workgroup"))
        .or_else(|| {
            let threads = u64::from(kernel.threads());
            let of = |threads: u64| format!("registers in each of {threads} threads");
            beyond(kernel.resources().registers.into(), caps.speed.registers_of_thread(threads), &of(threads))
        })
        .or_else(|| {
            let bytes = u64::from(kernel.workgroup_bytes());
            beyond(bytes, u64::from(caps.max_workgroup_bytes), "bytes of workgroup memory")
        })
}
