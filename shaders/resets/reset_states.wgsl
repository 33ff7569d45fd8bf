// Resets states before a step: an array of h or c, in place. Thread = unit × ROWS batch rows; workgroup (x, y) =
// units × tile of rows.

@group(0) @binding(6) var<storage, read_write> states: array<Rows>;  // [⌈B/ROWS⌉, HIDDEN]

override BEFORE: u32;      // units of `initial` before those of the array

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    if (unit < HIDDEN) {
        let at = state_of(0u, group.y) + unit;
        states[at] = begun(0u, group.y, index.t, states[at], initial_of(params.tiles * BEFORE + at));
    }
}
