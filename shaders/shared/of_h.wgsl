// The vector of a step's product is h.

fn vector_at(i: u32) -> Rows {
    return h_prev[i];
}
