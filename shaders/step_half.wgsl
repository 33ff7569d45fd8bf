// The frame of the first half of a step that takes two dispatches. Threads and workgroups as in step.wgsl; a tile
// that has ended does nothing. A cell declares begin(), which computes one unit's input of the second half.

@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, P]

// The input of the unit in hand. With EARLY it is on its way while the product is computed.
var<private> input: array<Rows, COLUMNS>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    now = index.t;
    let own = group.x * OWN * EACH + lane % OWN;
    let first = interleaved(group.y, (params.tiles + TILES - 1u) / TILES) * TILES;
    let dir = group.z;
    if (has_ended(dir, first)) {
        return;
    }
    if (EARLY && lane < OWN && own < UNITS) {
        input = projected(dir, first, params.first_unit + own, now);
    }
    recurrent_product(lane, dir, first, own);
    for (var i = 0u; i < TILES; i++) {
        let tile = first + i;
        for (var u = 0u; u < EACH; u++) {
            let unit = params.first_unit + own + u * OWN;
            if (lane < OWN && own + u * OWN < UNITS && tile < params.tiles) {
                if (!EARLY) {
                    input = projected(dir, tile, unit, now);
                }
                begin(dir, tile, unit, input, sums_of(i, u));
            }
        }
    }
}
