// The vector of the product of a GRU that resets before is r ⊙ h, from the first half of the step.

@group(0) @binding(5) var<storage, read> rh: array<Rows>;             // [D, ⌈B/ROWS⌉, H]

fn vector_at(i: u32) -> Rows {
    return rh[i];
}
