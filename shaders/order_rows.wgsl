// The batch row at each place, by falling length: thread = a place, and the batch row of the same number.

// Checked against `kernels::order_rows::Params`.
struct OrderParams {
    batch: u32,      // B
    padded: u32,     // B rounded up to whole tiles of rows
    steps: u32,      // T
    readout: u32,    // 0: none, 1: of the last step, 2: of every step
}

@group(0) @binding(0) var<uniform> params: OrderParams;
@group(0) @binding(1) var<storage, read> lengths: array<u32>;         // [B]
@group(0) @binding(2) var<storage, read_write> order: array<u32>;     // [2 or 4, padded]: lengths and rows by place; for a readout also by row

override WIDTH: u32;       // threads of a workgroup

const SPAN: u32 = 8u;      // rows of an iteration

fn length_of(row: u32) -> u32 {
    return min(lengths[row], params.steps);
}

// Whether row `other` precedes `row`, whose length is `own`.
fn before(other: u32, row: u32, own: u32) -> u32 {
    if (other >= params.batch) {
        return 0u;
    }
    let length = length_of(other);
    return u32(length > own || (length == own && other < row));
}

// How many of SPAN rows from `first` on do. Written out, since drivers bound the iterations of a thread.
fn all_before(first: u32, row: u32, own: u32) -> u32 {
    let four = before(first, row, own) + before(first + 1u, row, own)
        + before(first + 2u, row, own) + before(first + 3u, row, own);
    return four + before(first + 4u, row, own) + before(first + 5u, row, own)
        + before(first + 6u, row, own) + before(first + 7u, row, own);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let row = group.x * WIDTH + lane;
    if (row >= params.padded) {
        return;
    }
    let is_row = row < params.batch;
    var own = 0u;
    var place = row;       // past B there is no row, and a place has length 0
    if (is_row) {
        own = length_of(row);
        place = 0u;
        for (var first = 0u; first < params.batch; first += SPAN) {
            place += all_before(first, row, own);
        }
    }
    order[place] = own;
    order[params.padded + place] = select(0u, row, is_row);
    if (params.readout != 0u) {
        order[2u * params.padded + row] = select(0u, select(own, params.steps, params.readout == 2u), is_row);
        order[3u * params.padded + row] = select(0u, row, is_row);
    }
}
