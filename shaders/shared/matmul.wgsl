// What the kernels that make xw share: out = w x + bias over rows of a sequence array, or x + bias where x is w x.
//
// A row m is a step and a place in the batch: all steps of a tile of places, places fastest, then those of the next tile;
// the tile is what the reader of `out` wants. So neighbouring rows end together, and what has ended is not computed.
// `order` says which batch row stands at a place and how many steps it has.
// Each direction, the z of the workgroup, has weights of its own and takes the steps in its own order, a reverse one
// from each sequence's own end, so that out is in the order the recurrence walks. Strides place x and out, so
// batch-major and time-major arrays and the tiled array of the step kernels are read and written as they are.
//
// first_in, x_of and first_of_out, which tell layers apart, stand in sequential*.wgsl or pipelined*.wgsl.
//
// Every sum is over k in order, by fma from 0, then the bias, in every kernel but that of cooperative matrices.

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
    out_tile: u32,     // elements of out from a tile of places to the next
    tile: u32,         // places that lie side by side in out
    out_column: u32,   // elements of out from a column to the next
    order: u32,        // where in `order` the lengths lie
    order_rows: u32,   // where the batch rows lie
    skips: u32,        // whether lengths fall from place to place, and rows that have ended need no out
    first_column: u32, // the first of `columns` columns of out that w has
    columns: u32,      // columns of out and of bias
    steps: u32,        // steps of the chunk: rows / padded
    unused0: u32,
}

@group(0) @binding(0) var<uniform> params: MatmulParams;
@group(0) @binding(2) var<storage, read> bias: array<f32>;         // [D, columns]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;    // strided by params
@group(0) @binding(5) var<storage, read> order: array<u32>;        // lengths and batch rows by place

override N: u32;           // columns of w: those of out, or a slice of them where w exceeds a binding

// The 0 that sums begin with, and which no compiler knows (M is below 2³¹): recurrence.wgsl says why.
fn zero() -> f32 {
    return f32(params.rows >> 31u);
}

// Steps of the sequence at place b.
fn length_at(b: u32) -> u32 {
    return min(order[params.order + b], params.times);
}

// Where a row is.
struct Row {
    tile: u32,   // tile of places
    step: u32,   // step within the chunk
    place: u32,  // place within the tile
}

fn row_of(m: u32) -> Row {
    let group = m / params.tile;
    return Row(group / params.steps, group % params.steps, m % params.tile);
}

// The row after `row`, without a division.
fn row_after(row: Row) -> Row {
    let place = row.place + 1u;
    let is_next_step = place == params.tile;
    let step = row.step + select(0u, 1u, is_next_step);
    let is_next_tile = step == params.steps;
    return Row(row.tile + select(0u, 1u, is_next_tile), select(step, 0u, is_next_tile), select(place, 0u, is_next_step));
}

// Steps before the chunk in a direction.
fn first_of(dir: u32) -> u32 {
    return first_in(dir, params.first);
}

// Index into x of feature 0 of a row, or NONE where the row is padding or its sequence has ended.
const NONE: u32 = 0xffffffffu;
fn x_at_row(dir: u32, row: Row) -> u32 {
    let b = row.tile * params.tile + row.place;
    if (b >= params.batch) {
        return NONE;
    }
    let step = first_of(dir) + row.step;
    let length = length_at(b);
    let time = select(step, length - 1u - step, dir >= params.reverse);
    let batch_row = order[params.order_rows + b];
    return select(NONE, x_of(dir) + time * params.x_step + batch_row * params.x_row, step < length);
}

// The same of row m, which may lie past the end.
fn x_at(dir: u32, m: u32) -> u32 {
    if (m >= params.rows) {
        return NONE;
    }
    return x_at_row(dir, row_of(m));
}

// Whether every sequence of the rows m .. m + count has ended. Lengths fall from place to place, so of the first tile the
// first place tells, and of the later ones, which begin with the first step, the first place of the earliest.
fn all_ended(dir: u32, m: u32, count: u32) -> bool {
    let row = row_of(m);
    let b = row.tile * params.tile;
    let here = first_of(dir) + row.step < length_at(b);
    let next = (b + params.tile) * params.steps;
    let later = next < min(m + count, params.rows) && first_of(dir) < length_at(b + params.tile);
    return params.skips != 0u && !here && !later;
}

// Where column 0 of a row goes in out. Padding of a tile is stored too, rows past the end are not.
fn out_at_row(dir: u32, row: Row) -> u32 {
    return first_of_out() + dir * params.out_dir + row.step * params.out_step + row.tile * params.out_tile + row.place;
}

// Stores column n, as w counts them, of row m.
fn store(dir: u32, m: u32, n: u32, value: f32) {
    if (m < params.rows && n < N) {
        let column = params.first_column + n;
        out[out_at_row(dir, row_of(m)) + column * params.out_column] = value + bias[dir * params.columns + column];
    }
}
