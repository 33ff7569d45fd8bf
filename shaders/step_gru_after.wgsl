// One GRU step, reset after: recurrent product, gates and state update fused, in the frame of advance.wgsl.
// Gates r z n.
//
//   r = f(xw_r + R_r h)   z = f(xw_z + R_z h)   n = g(xw_n + r ⊙ (R_n h + c_n))   h' = blend(z, h, n)

@group(0) @binding(5) var<storage, read> b_hn: array<f32>;            // [D, H], c_n

const GATES: u32 = 3u;
const FIRST: u32 = 0u;

fn vector_at(i: u32) -> Rows {
    return h_prev[i];
}

fn advance(dir: u32, tile: u32, unit: u32, h: Rows, sum: array<Rows, GATES>) -> Rows {
    let a = projected(dir, tile, unit);
    let r = gate(dir, xw[a] + sum[0]);
    let z = gate(dir, xw[a + HIDDEN] + sum[1]);
    let n = candidate(dir, fma(r, sum[2] + Rows(b_hn[dir * HIDDEN + unit]), xw[a + 2u * HIDDEN]));
    return kept(blend(z, h, n));
}
