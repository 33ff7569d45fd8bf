// A GRU, reset after. Gates r z n.
//
//   r = f(xw_r + R_r h)   z = f(xw_z + R_z h)   n = g(xw_n + r ⊙ (R_n h + c_n))   h' = blend(z, h, n)

@group(0) @binding(5) var<storage, read> b_hn: array<f32>;            // [D, H], c_n

const GATES: u32 = 3u;
const FIRST: u32 = 0u;
const COLUMNS: u32 = 3u;

var<private> c_n: f32;

fn enter(dir: u32, tile: u32, unit: u32) {
    c_n = b_hn[dir * HIDDEN + unit];
}

fn advance(
    dir: u32, tile: u32, unit: u32, h: Rows, input: array<Rows, COLUMNS>, sum: array<Rows, GATES>,
) -> Rows {
    let r = gate(dir, input[0] + sum[0]);
    let z = gate(dir, input[1] + sum[1]);
    let n = candidate(dir, fma(r, sum[2] + Rows(c_n), input[2]));
    return kept(blend(z, h, n));
}

fn leave(dir: u32, tile: u32, unit: u32) {}
