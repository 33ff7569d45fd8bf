// The frame of a step that computes a new h. Thread = EACH hidden units × TILES tiles of ROWS batch rows × all gates;
// workgroup (x, y, z) = units × tiles of rows × direction.

@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, P]
@group(0) @binding(7) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, P]

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    now = index.t;
    let own = group.x * WIDTH * EACH + lane;
    let first = interleaved(group.y, (params.tiles + TILES - 1u) / TILES) * TILES;
    let dir = group.z;
    if (!has_ended(dir, first)) {
        recurrent_product(lane, dir, first, own);
    }
    for (var i = 0u; i < TILES; i++) {
        let tile = first + i;
        for (var u = 0u; u < EACH; u++) {
            let unit = params.first_unit + own + u * WIDTH;
            let is_here = own + u * WIDTH < UNITS && tile < params.tiles;
            var h = Rows(0.0);
            if (is_here) {
                let state = state_of(dir, tile) + unit;
                h = h_prev[state];
                if (!has_ended(dir, tile)) {
                    enter(dir, tile, unit);
                    let input = projected(dir, tile, unit);
                    h = select(h, advance(dir, tile, unit, h, input, sums_of(i, u)), running(dir, tile));
                    leave(dir, tile, unit);
                }
                h_next[state] = h;
            }
            var neighbour = Rows(0.0);
            if (PAIRS) {
                workgroupBarrier();
                block[lane] = h;
                workgroupBarrier();
                neighbour = block[min(lane + 1u, SPAN - 1u)];
            }
            if (is_here) {
                store_y(dir, tile, unit, h, neighbour);
            }
        }
    }
}
