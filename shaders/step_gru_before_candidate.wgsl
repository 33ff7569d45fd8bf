// The second half of a GRU step, reset before, in the frame of advance.wgsl. c_n stands outside every product here,
// so it is part of xw_n.
//
//   n = g(xw_n + R_n rh)   h' = blend(z, h, n)

@group(0) @binding(5) var<storage, read> rh: array<Rows>;             // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(9) var<storage, read> z: array<Rows>;              // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 1u;
const FIRST: u32 = 2u;

fn vector_at(i: u32) -> Rows {
    return rh[i];
}

fn advance(dir: u32, tile: u32, unit: u32, h: Rows, sum: array<Rows, GATES>) -> Rows {
    let n = candidate(dir, xw[projected(dir, tile, unit) + 2u * HIDDEN] + sum[0]);
    return kept(blend(z[state_of(dir, tile) + unit], h, n));
}
