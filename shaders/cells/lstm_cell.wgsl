// The first half of a step of an LSTM with a projection: everything up to h before it is projected. The projection
// needs h of all units, so the step takes two dispatches.

@group(0) @binding(7) var<storage, read_write> unprojected: array<Rows>;   // [D, ⌈B/ROWS⌉, H]

fn begin(dir: u32, tile: u32, unit: u32, input: array<Rows, COLUMNS>, sum: array<Rows, GATES>) {
    enter(dir, tile, unit);
    unprojected[state_of(dir, tile) + unit] = lstm(dir, tile, input, sum);
    leave(dir, tile, unit);
}

fn begun(state: u32) -> Rows {
    return unprojected[state];
}
