// The first half of a GRU step, reset before: the candidate's product needs r ⊙ h of all units, so the step takes two
// dispatches. Gates r z n.
//
//   z = f(xw_z + R_z h)   rh = f(xw_r + R_r h) ⊙ h

@group(0) @binding(5) var<storage, read_write> rh: array<Rows>;       // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(9) var<storage, read_write> z: array<Rows>;        // [D, ⌈B/ROWS⌉, H]

const GATES: u32 = 2u;
const FIRST: u32 = 0u;
const COLUMNS: u32 = 2u;

fn begin(dir: u32, tile: u32, unit: u32, input: array<Rows, COLUMNS>, sum: array<Rows, GATES>) {
    let state = state_of(dir, tile) + unit;
    rh[state] = gate(dir, input[0] + sum[0]) * h_prev[state];
    z[state] = gate(dir, input[1] + sum[1]);
}

fn begun(state: u32) -> Rows {
    return rh[state];
}
