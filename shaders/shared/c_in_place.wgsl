// An LSTM's c where it always lies.

@group(0) @binding(5) var<storage, read_write> c: array<Rows>;        // [D, ⌈B/ROWS⌉, H]

fn c_before(i: u32) -> Rows {
    return c[i];
}

fn keep_c(i: u32, value: Rows) {
    c[i] = value;
}
