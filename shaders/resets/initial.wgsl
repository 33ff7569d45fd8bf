// The states that rows are reset to: those before the run.

@group(0) @binding(15) var<storage, read> initial: array<Rows>;  // [⌈B/ROWS⌉, P] of h, then [⌈B/ROWS⌉, H] of c, of an LSTM

fn initial_of(i: u32) -> Rows {
    return initial[i];
}
