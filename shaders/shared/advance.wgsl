// One step of every kernel that makes a new h. Thread = hidden unit × ROWS batch rows × all gates; workgroup
// (x, y, z) = units × tile of rows × direction. A kernel declares advance(): the new h of one unit from its product.

@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, P]
@group(0) @binding(7) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, P]

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
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
            h = select(h, advance(dir, tile, unit, h, sum), running(tile));
        }
    }
    if (unit < HIDDEN) {
        h_next[state] = h;
    }
    store_y(lane, dir, tile, unit, h);
}
