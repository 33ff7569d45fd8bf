// The states that rows begin anew with: those before the run.

@group(0) @binding(15) var<storage, read> initial: array<Rows>;  // [⌈B/ROWS⌉, P] of h, then [⌈B/ROWS⌉, H] of c where there is one

fn initial_of(i: u32) -> Rows {
    return initial[i];
}
