// The second half of a GRU step, reset before. c_n stands outside every product here, so it is part of xw_n.
//
//   n = g(xw_n + R_n rh)   h' = blend(z, h, n)

@group(0) @binding(9) var<storage, read> z: array<Rows>;              // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 1u;
const FIRST: u32 = 2u;
const COLUMNS: u32 = 1u;

fn enter(dir: u32, tile: u32, unit: u32) {}

fn advance(
    dir: u32, tile: u32, unit: u32, h: Rows, input: array<Rows, COLUMNS>, sum: array<Rows, GATES>,
) -> Rows {
    let n = candidate(dir, input[0] + sum[0]);
    return kept(blend(z[state_of(dir, tile) + unit], h, n));
}

fn leave(dir: u32, tile: u32, unit: u32) {}
