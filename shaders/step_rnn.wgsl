// One plain RNN step: recurrent product, activation and state update fused, in the frame of advance.wgsl.
//
//   h' = f(xw + R h)

const GATES: u32 = 1u;
const FIRST: u32 = 0u;

fn vector_at(i: u32) -> Rows {
    return h_prev[i];
}

fn advance(dir: u32, tile: u32, unit: u32, h: Rows, sum: array<Rows, GATES>) -> Rows {
    return kept(gate(dir, xw[projected(dir, tile, unit)] + sum[0]));
}
