// The frame of a step that computes a new h, its product by cooperative matrices: see product_matrices.wgsl.
// Workgroup (x, y, z) = WIDE hidden units × TILES tiles of ROWS batch rows × direction; units and tiles are assigned
// to its threads.

@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, P]
@group(0) @binding(7) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, P]

@compute @workgroup_size(WIDTH)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
) {
    now = index.t;
    let own = group.x * WIDE;
    let first = interleaved(group.y, (params.tiles + TILES - 1u) / TILES) * TILES;
    let dir = group.z;
    if (known(lane, has_ended(dir, first)) == 0u) {
        multiply_all(lane, subgroup, dir, first, own);
    }
    for (var i = lane; i < WIDE * TILES; i += WIDTH) {
        let u = i % WIDE;
        let of_tile = i / WIDE;
        let tile = first + of_tile;
        var h = Rows(0.0);
        if (own + u < UNITS && tile < params.tiles) {
            let unit = params.first_unit + own + u;
            let state = state_of(dir, tile) + unit;
            h = h_prev[state];
            if (!has_ended(dir, tile)) {
                enter(dir, tile, unit);
                let input = projected(dir, tile, unit, now);
                h = select(h, advance(dir, tile, unit, h, input, sums_of(of_tile, u)), running(dir, tile));
                leave(dir, tile, unit);
            }
            h_next[state] = h;
        }
        // In place of the first gate's sums, which no other thread reads.
        for (var r = 0u; r < ROWS; r++) {
            sums[(of_tile * ROWS + r) * WIDE + u] = row(h, r);
        }
    }
    workgroupBarrier();
    for (var i = lane; i < WIDE * TILES; i += WIDTH) {
        let u = i % WIDE;
        let of_tile = i / WIDE;
        if (own + u < UNITS && first + of_tile < params.tiles) {
            let h = sums_of(of_tile, u)[0];
            let neighbour = sums_of(of_tile, min(u + 1u, WIDE - 1u))[0];
            store_y(dir, first + of_tile, params.first_unit + own + u, h, neighbour);
        }
    }
}
