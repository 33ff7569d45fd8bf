// An LSTM's c from one array to another, so that a failed chunk can be run again.

@group(0) @binding(5) var<storage, read> c_prev: array<Rows>;          // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(10) var<storage, read_write> c_next: array<Rows>;   // [D, ⌈B/ROWS⌉, H]

fn c_before(i: u32) -> Rows {
    return c_prev[i];
}

fn keep_c(i: u32, value: Rows) {
    c_next[i] = value;
}
