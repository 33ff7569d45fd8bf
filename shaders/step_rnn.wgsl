// One plain RNN step: recurrent product, activation and state update fused. Thread and workgroup as in
// step_gru_after.
//
//   h' = f(xw + R h)

@group(0) @binding(5) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(6) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 1u;
const FIRST: u32 = 0u;

fn vector_at(i: u32) -> Rows {
    return h_prev[i];
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    let tile = group.y;
    let dir = group.z;
    let state = state_of(dir, tile) + unit;
    var h = Rows(0.0);
    if (unit < HIDDEN) {
        h = h_prev[state];
    }
    if (!has_ended(tile)) {
        let sum = recurrent_product(lane, dir, tile, unit);
        if (unit < HIDDEN) {
            h = select(h, kept(gate(dir, xw[projected(dir, tile, unit)] + sum[0])), running(tile));
        }
    }
    if (unit < HIDDEN) {
        h_next[state] = h;
    }
    store_y(lane, dir, tile, unit, h);
}
