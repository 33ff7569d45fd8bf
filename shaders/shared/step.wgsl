// What every kernel of the fused step shares: its first bindings, and the order of its sums.
//
// State arrays are tiled by batch rows, [D, ⌈B/ROWS⌉, H] of Rows, so that a thread loads and stores all its
// rows as one value. Rows past B are computed and never leave the state arrays.
//
// Both directions of a layer run in one dispatch, as the z of the workgroup. A reverse one begins at each
// sequence's own last step; nothing is copied for it. A sequence that has ended keeps its state, and its y is 0.
//
// The order of every recurrent sum, whatever the kernel and the tile: k in blocks of BLOCK, each block
// summed in order by fma from 0, the blocks added in order. So a session and a sequence run give the same
// bits.

// Held against `kernels::step::Params`.
struct StepParams {
    batch: u32,      // B
    tiles: u32,      // ⌈B/ROWS⌉
    first: u32,      // steps before the chunk
    times: u32,      // T
    reverse: u32,    // the first direction that is reverse
    xw_dir: u32,     // Rows of xw from a direction to the next
    y_step: u32,     // elements of y from a step to the next
    y_row: u32,      // elements of y from a batch row to the next
    y_dir: u32,      // elements of y from a direction to the next
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

// Held against `kernels::step::Index`. One entry of a table, chosen by dynamic offset.
struct StepIndex {
    t: u32,          // step within the chunk
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(0) var<uniform> params: StepParams;
@group(0) @binding(1) var<uniform> index: StepIndex;
@group(0) @binding(2) var<storage, read> xw: array<Rows>;      // [D, T, ⌈B/ROWS⌉, G·H], biases included
@group(0) @binding(3) var<storage, read> w_hh: array<f32>;     // [D, H, G·H], transposed

override HIDDEN: u32;      // H
override WIDTH: u32;       // threads of a workgroup, one hidden unit each

const BLOCK: u32 = 64u;    // k of one block of the order above

// Index into xw of gate 0 of `unit`; the next gates follow at HIDDEN.
fn projected(dir: u32, tile: u32, unit: u32, gates: u32) -> u32 {
    return dir * params.xw_dir + (index.t * params.tiles + tile) * gates * HIDDEN + unit;
}

// Index into a state array of unit 0 of a tile.
fn state_of(dir: u32, tile: u32) -> u32 {
    return (dir * params.tiles + tile) * HIDDEN;
}
