// The first half of a GRU step, reset before: the candidate's product needs r ⊙ h of all units, so the
// step takes two dispatches. Thread and workgroup as in step_gru_after. Gates r z n.
//
//   z = f(xw_z + R_z h)   rh = f(xw_r + R_r h) ⊙ h

@group(0) @binding(5) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(6) var<storage, read_write> rh: array<Rows>;       // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(7) var<storage, read_write> z: array<Rows>;        // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 2u;
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
    if (unit >= HIDDEN) {
        return;
    }
    let state = state_of(dir, tile) + unit;
    let a = projected(dir, tile, unit);
    rh[state] = gate(dir, xw[a] + sum[0]) * h_prev[state];
    z[state] = gate(dir, xw[a + HIDDEN] + sum[1]);
}
