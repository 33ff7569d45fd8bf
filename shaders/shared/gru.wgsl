// The GRU's state update. `TAKES`: z takes the candidate, else it keeps the old state.
override TAKES: bool;

// Exact at z = 0 and z = 1.
fn blend(z: Rows, h: Rows, n: Rows) -> Rows {
    if (TAKES) {
        return fma(z, n, (Rows(1.0) - z) * h);
    }
    return fma(z, h, (Rows(1.0) - z) * n);
}
