// What both matmul kernels share: out = w x + bias over rows of a sequence array.
//
// A row m is a step and a batch row: t = m / padded, b = m % padded, where padded is B rounded up to the
// tile that the reader of `out` wants. Each direction, the z of the workgroup, has weights of its own and takes
// the steps in its own order, a reverse one from each sequence's own end, so that out is in the order the
// recurrence walks. Strides place x and out, so batch-major and time-major arrays and
// the tiled array of the step kernels are read and written as they are.
//
// Reduction order as in the step kernels: k in blocks of 64, each in order by fma from 0, blocks added in
// order, then the bias.

// Held against `kernels::matmul::Params`.
struct MatmulParams {
    rows: u32,         // M = steps · padded
    batch: u32,        // B
    padded: u32,       // B rounded up to a multiple of tile
    first: u32,        // steps before step 0
    times: u32,        // T
    reverse: u32,      // the first direction that is reverse
    x_step: u32,       // elements of x from a step to the next
    x_row: u32,        // elements of x from a batch row to the next
    out_dir: u32,      // elements of out from a direction to the next
    out_step: u32,     // elements of out from a step to the next
    out_tile: u32,     // elements of out from a tile of batch rows to the next
    tile: u32,         // batch rows that lie side by side in out
    out_column: u32,   // elements of out from a column to the next
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(0) var<uniform> params: MatmulParams;
@group(0) @binding(1) var<storage, read> x: array<f32>;            // strided by params
@group(0) @binding(2) var<storage, read> w: array<f32>;            // [D, K, N], transposed
@group(0) @binding(3) var<storage, read> bias: array<f32>;         // [D, N]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;    // strided by params

@group(0) @binding(5) var<storage, read> lengths: array<u32>;      // [B], steps of each row, at most T

override K: u32;           // features read
override N: u32;           // columns written

// Index into x of feature 0 of row m, or NONE where the row is padding or its sequence has ended.
const NONE: u32 = 0xffffffffu;
fn x_at(dir: u32, m: u32) -> u32 {
    let t = m / params.padded;
    let b = m % params.padded;
    if (m >= params.rows || b >= params.batch) {
        return NONE;
    }
    let step = params.first + t;
    let length = min(lengths[b], params.times);
    let time = select(step, length - 1u - step, dir >= params.reverse);
    return select(NONE, time * params.x_step + b * params.x_row, step < length);
}

// Stores column n of row m; padding of a tile is stored too, rows past the end are not.
fn store(dir: u32, m: u32, n: u32, value: f32) {
    if (m < params.rows && n < N) {
        let b = m % params.padded;
        let at = dir * params.out_dir + (m / params.padded) * params.out_step
            + (b / params.tile) * params.out_tile + n * params.out_column + b % params.tile;
        out[at] = value + bias[dir * N + n];
    }
}
