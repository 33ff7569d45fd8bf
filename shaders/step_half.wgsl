// The frame of the first half of a step that takes two dispatches. Threads and workgroups as in step.wgsl; a tile that
// has ended has nothing to begin. A cell declares begin(): what the second half needs of one unit.

@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, P]

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    now = index.t;
    let unit = group.x * WIDTH + lane;
    let tile = group.y;
    let dir = group.z;
    if (has_ended(tile)) {
        return;
    }
    let sum = recurrent_product(lane, dir, tile, unit);
    if (unit < HIDDEN) {
        begin(dir, tile, unit, projected(dir, tile, unit), sum);
    }
}
