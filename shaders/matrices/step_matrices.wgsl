// The frame of a step that computes a new h, its product by cooperative matrices: see step_lines.wgsl.
// Workgroup (x, y, z) = UNITS_HERE hidden units × TILES tiles of ROWS batch rows × direction; units and tiles are
// assigned to its threads.

@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, P]
@group(0) @binding(7) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, P]

@compute @workgroup_size(WIDTH)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
) {
    now = index.t;
    let own = group.x * UNITS_HERE;
    let first = interleaved(group.y, (params.tiles + TILES - 1u) / TILES) * TILES;
    let dir = group.z;
    if (known(lane, has_ended(dir, first)) == 0u) {
        multiply_all(lane, subgroup, dir, first, own);
        return;
    }
    for (var part = 0u; part < STACK; part++) {
        finish(lane, dir, first, own, part);
        workgroupBarrier();
    }
}

fn finish(lane: u32, dir: u32, first: u32, own: u32, part: u32) {
    for (var i = lane; i < UNITS_HERE * TILES_HERE; i += WIDTH) {
        let u = i % UNITS_HERE;
        let place = i / UNITS_HERE;
        let tile = first + tile_of(part, place);
        var h = Rows(0.0);
        if (own + u < UNITS && tile < params.tiles) {
            let unit = params.first_unit + own + u;
            let state = state_of(dir, tile) + unit;
            h = h_prev[state];
            if (!has_ended(dir, tile)) {
                enter(dir, tile, unit);
                let input = projected(dir, tile, unit, now);
                h = select(h, advance(dir, tile, unit, h, input, sums_of(place, u)), running(dir, tile));
                leave(dir, tile, unit);
            }
            h_next[state] = h;
            keep(dir, tile, unit, h);
        }
        // In place of the first gate's sums, which no other thread reads.
        for (var r = 0u; r < ROWS; r++) {
            sums[(place * ROWS + r) * UNITS_HERE + u] = row(h, r);
        }
    }
    workgroupBarrier();
    for (var i = lane; i < UNITS_HERE * TILES_HERE; i += WIDTH) {
        let u = i % UNITS_HERE;
        let place = i / UNITS_HERE;
        let tile = first + tile_of(part, place);
        if (own + u < UNITS && tile < params.tiles) {
            let h = sums_of(place, u)[0];
            let neighbour = sums_of(place, min(u + 1u, UNITS_HERE - 1u))[0];
            store_y(dir, tile, params.first_unit + own + u, h, neighbour);
        }
    }
}
