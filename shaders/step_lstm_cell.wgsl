// The first half of a step of an LSTM with a projection: everything up to h before it is projected. The projection
// needs h of all units, so the step takes two dispatches. Thread and workgroup as in step_gru_after.

@group(0) @binding(5) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, P]
@group(0) @binding(6) var<storage, read_write> unprojected: array<Rows>;   // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 4u;
const FIRST: u32 = 0u;

fn vector_at(i: u32) -> Rows {
    return h_prev[i];
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    let tile = group.y;
    let dir = group.z;
    if (has_ended(tile)) {
        return;
    }
    let sum = recurrent_product(lane, dir, tile, unit);
    if (unit < HIDDEN) {
        unprojected[state_of(dir, tile) + unit] = lstm(dir, tile, unit, sum);
    }
}
