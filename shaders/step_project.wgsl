// The second half of a step of an LSTM with a projection, in the frame of advance.wgsl: a unit is an element of h, so
// HIDDEN is P here and K is H.
//
//   h' = w_hr (o ⊙ h(c'))

@group(0) @binding(5) var<storage, read> unprojected: array<Rows>;    // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 1u;
const FIRST: u32 = 0u;

fn vector_at(i: u32) -> Rows {
    return unprojected[i];
}

fn advance(dir: u32, tile: u32, unit: u32, h: Rows, sum: array<Rows, GATES>) -> Rows {
    return sum[0];
}
