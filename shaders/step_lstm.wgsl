// One LSTM step: recurrent product, gates, c and h fused. Thread and workgroup as in step_gru_after. c is
// updated in place, since only its own thread reads it. Gates i f g o.
//
//   i, f, o = σ(xw + R h)   g = g(xw_g + R_g h)   c' = f ⊙ c + i ⊙ g   h' = o ⊙ h(c')

@group(0) @binding(5) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(6) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(7) var<storage, read_write> c: array<Rows>;        // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 4u;
const FIRST: u32 = 0u;
const PITCH: u32 = 4u;

fn vector_at(i: u32) -> Rows {
    return h_prev[i];
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    let tile = group.y;
    let dir = group.z;
    let sum = recurrent_product(lane, dir, tile, unit);
    if (unit >= HIDDEN) {
        return;
    }
    let state = state_of(dir, tile) + unit;
    let a = projected(dir, tile, unit, PITCH);
    let input_gate = gate(dir, xw[a] + sum[0]);
    let forget_gate = gate(dir, xw[a + HIDDEN] + sum[1]);
    let g = candidate(dir, xw[a + 2u * HIDDEN] + sum[2]);
    let output_gate = gate(dir, xw[a + 3u * HIDDEN] + sum[3]);
    let c_next = fma(forget_gate, c[state], input_gate * g);
    let h = output_gate * output(dir, c_next);
    c[state] = select(c[state], c_next, running(tile));
    h_next[state] = select(h_prev[state], h, running(tile));
    store_y(dir, tile, unit, h);
}
