// The first half of a step of an LSTM with a projection, in the frame of begin.wgsl: everything up to h before it is
// projected. The projection needs h of all units, so the step takes two dispatches.

@group(0) @binding(7) var<storage, read_write> unprojected: array<Rows>;   // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 4u;
const FIRST: u32 = 0u;

fn begin(dir: u32, tile: u32, unit: u32, sum: array<Rows, GATES>) {
    unprojected[state_of(dir, tile) + unit] = lstm(dir, tile, unit, sum);
}
