// The second half of a GRU step, reset before. c_n stands outside every product here, so it is part of xw_n.
//
//   n = g(xw_n + R_n rh)   h' = blend(z, h, n)

@group(0) @binding(5) var<storage, read> rh: array<Rows>;             // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(6) var<storage, read> z: array<Rows>;              // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(7) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(8) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 1u;
const FIRST: u32 = 2u;

fn vector_at(i: u32) -> Rows {
    return rh[i];
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
            let n = candidate(dir, xw[projected(dir, tile, unit) + 2u * HIDDEN] + sum[0]);
            h = select(h, kept(blend(z[state], h, n)), running(tile));
        }
    }
    if (unit < HIDDEN) {
        h_next[state] = h;
    }
    store_y(lane, dir, tile, unit, h);
}
