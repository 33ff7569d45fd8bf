// The vector of the product of an LSTM's projection is h before it, from the first half of the step.

@group(0) @binding(5) var<storage, read> unprojected: array<Rows>;    // [D, ⌈B/ROWS⌉, H]

fn vector_at(i: u32) -> Rows {
    return unprojected[i];
}
