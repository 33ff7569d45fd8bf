// What every kernel that walks a sequence shares: its parameters, the lengths, and the order of its sums.
//
// State arrays are tiled by batch rows, [D, ⌈B/ROWS⌉, …] of Rows, so that a thread loads and stores all its rows
// as one value. Rows past B are computed and never leave the state arrays. The rows stand in the order of falling
// length, so a tile whose first row has ended has ended: it keeps its state, fills y, and is done.
//
// Both directions of a layer run in one dispatch, as the z of the workgroup. A reverse one begins at each
// sequence's own last step; nothing is copied for it.
//
// The order of every recurrent sum, whatever the kernel (but for those of cooperative matrices) and the tile: k in blocks of BLOCK, each block
// summed in order by fma from 0, the blocks added in order to 0. So a session and a sequence run give the same
// bits.
//
// first_in, by how much layers lag behind each other, stands in sequential.wgsl or pipelined.wgsl; the parameters, lengths_of and rows_of
// in order.wgsl or, for kernels of many steps, order_kept.wgsl.
//
// A kernel is a frame (step.wgsl, step_half.wgsl, persistent.wgsl, exchange/multi_workgroup.wgsl) around a cell (cells/), which declares
//
//   GATES, FIRST       the gates of its product, the first of them
//   enter, leave       load and store what a unit keeps from step to step beside h, and its constants
//   advance            the new h of one unit from its projected input and its product

// Held against `kernels::recurrence::Params`.
struct StepParams {
    batch: u32,      // B
    tiles: u32,      // ⌈B/ROWS⌉
    first: u32,      // steps before the chunk
    steps: u32,      // steps of the chunk
    times: u32,      // T
    reverse: u32,    // the first direction that is reverse
    xw_dir: u32,     // Rows of xw from a direction to the next
    y_step: u32,     // elements of y from a step to the next
    y_row: u32,      // elements of y from a batch row to the next
    y_dir: u32,      // elements of y from a direction to the next
    repeats: u32,    // whether y repeats the last output of a forward direction past its end, else it is 0
    first_unit: u32, // the first of HIDDEN units that w has
}

@group(0) @binding(8) var<storage, read> order: array<Counts>;  // [2, ⌈B/ROWS⌉], steps of each row, and its batch row

override K: u32;           // length of the vector: P, or what a projection reads, H
override HIDDEN: u32;      // units the kernel computes: H, or what a projection gives, P
override UNITS: u32;       // units of w: HIDDEN, or a slice of them where w exceeds a binding
override N: u32;           // columns of w, G·UNITS
override WIDTH: u32;       // threads of a workgroup

const BLOCK: u32 = 32u;    // k of one block of the order above

var<private> now: u32;     // step within the chunk

// The 0 that blocks begin with, and which no compiler knows (B is below 2³¹). WGSL lets it reorder sums, and Mesa's takes
// a·b + c·d into the sum that it is added to, where it sees a bare product: which is what a known 0 leaves of the first fma.
fn zero() -> f32 {
    return f32(params.batch >> 31u);
}

// Index into an array of units, as c is, of unit 0 of a tile.
fn state_of(dir: u32, tile: u32) -> u32 {
    return (dir * params.tiles + tile) * HIDDEN;
}

// Steps before the chunk in a direction.
fn first_of(dir: u32) -> u32 {
    return first_in(dir, params.first);
}

// The rows of a tile that have a step to take.
fn running(dir: u32, tile: u32) -> Mask {
    return Counts(first_of(dir) + now) < lengths_of(tile);
}
