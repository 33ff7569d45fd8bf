// One LSTM step: recurrent product, gates, c and h fused, in the frame of advance.wgsl.

const GATES: u32 = 4u;
const FIRST: u32 = 0u;

fn vector_at(i: u32) -> Rows {
    return h_prev[i];
}

fn advance(dir: u32, tile: u32, unit: u32, h: Rows, sum: array<Rows, GATES>) -> Rows {
    return lstm(dir, tile, unit, sum);
}
