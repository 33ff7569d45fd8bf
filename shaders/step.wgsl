// The frame of a step that makes a new h. Thread = hidden unit × ROWS batch rows × all gates; workgroup
// (x, y, z) = units × tile of rows × direction.

@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, P]
@group(0) @binding(7) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, P]

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    now = index.t;
    let unit = group.x * WIDTH + lane;
    let tile = group.y;
    let dir = group.z;
    let state = state_of(dir, tile) + unit;
    var h = Rows(0.0);
    if (unit < HIDDEN) {
        h = h_prev[state];
    }
    if (!has_ended(tile)) {
        let sum = recurrent_product(lane, dir, tile, unit);
        if (unit < HIDDEN) {
            enter(dir, tile, unit);
            h = select(h, advance(dir, tile, unit, h, projected(dir, tile, unit), sum), running(tile));
            leave(dir, tile, unit);
        }
    }
    if (unit < HIDDEN) {
        h_next[state] = h;
    }
    var neighbour = Rows(0.0);
    if (PAIRS) {
        workgroupBarrier();
        block[lane] = h;
        workgroupBarrier();
        neighbour = block[min(lane + 1u, SPAN - 1u)];
    }
    if (unit < HIDDEN) {
        store_y(dir, tile, unit, h, neighbour);
    }
}
