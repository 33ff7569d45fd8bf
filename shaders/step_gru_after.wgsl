// One GRU step, reset after: recurrent product, gates and state update fused. Thread = hidden unit × ROWS
// batch rows × all gates; workgroup (x, y, z) = units × tile of rows × direction. Gates r z n.
//
//   r = f(xw_r + R_r h)   z = f(xw_z + R_z h)   n = g(xw_n + r ⊙ (R_n h + c_n))   h' = blend(z, h, n)

@group(0) @binding(5) var<storage, read> b_hn: array<f32>;            // [D, H], c_n
@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(7) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 3u;
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
            let a = projected(dir, tile, unit);
            let r = gate(dir, xw[a] + sum[0]);
            let z = gate(dir, xw[a + HIDDEN] + sum[1]);
            let n = candidate(dir, fma(r, sum[2] + Rows(b_hn[dir * HIDDEN + unit]), xw[a + 2u * HIDDEN]));
            h = select(h, kept(blend(z, h, n)), running(tile));
        }
    }
    if (unit < HIDDEN) {
        h_next[state] = h;
    }
    store_y(lane, dir, tile, unit, h);
}
