// The frame of the first half of a step that takes two dispatches, its product by cooperative matrices. Threads and
// workgroups as in step_matrices.wgsl; a tile that has ended does nothing. A cell declares begin(), which computes
// one unit's input of the second half, and begun(), which is its vector there.

@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, P]

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
    if (known(lane, has_ended(dir, first)) != 0u) {
        return;
    }
    multiply_all(lane, subgroup, dir, first, own);
}

fn finish(lane: u32, dir: u32, first: u32, own: u32, part: u32) {
    for (var i = lane; i < UNITS_HERE * TILES_HERE; i += WIDTH) {
        let u = i % UNITS_HERE;
        let place = i / UNITS_HERE;
        let tile = first + tile_of(part, place);
        if (own + u < UNITS && tile < params.tiles) {
            let unit = params.first_unit + own + u;
            begin(dir, tile, unit, projected(dir, tile, unit, now), sums_of(place, u));
            keep(dir, tile, unit, begun(state_of(dir, tile) + unit));
        }
    }
}
