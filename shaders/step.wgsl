// The frame of a step that computes a new h. Thread = EACH hidden units × TILES tiles of ROWS batch rows × all gates, or a
// part of the k of one unit; workgroup (x, y, z) = units × tiles of rows × direction.

@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, P]
@group(0) @binding(7) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, P]

// What the unit in hand needs beside its product. With EARLY it is on its way while the product is computed.
var<private> h_before: Rows;
var<private> input: array<Rows, COLUMNS>;

fn bring(dir: u32, tile: u32, unit: u32) {
    h_before = h_prev[state_of(dir, tile) + unit];
    enter(dir, tile, unit);
    input = projected(dir, tile, unit, now);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    now = index.t;
    let own = group.x * OWN * EACH + lane % OWN;
    let first = interleaved(group.y, (params.tiles + TILES - 1u) / TILES) * TILES;
    let dir = group.z;
    if (!has_ended(dir, first)) {
        if (EARLY && lane < OWN && own < UNITS) {
            bring(dir, first, params.first_unit + own);
        }
        recurrent_product(lane, dir, first, own);
    }
    for (var i = 0u; i < TILES; i++) {
        let tile = first + i;
        for (var u = 0u; u < EACH; u++) {
            let unit = params.first_unit + own + u * OWN;
            let is_here = lane < OWN && own + u * OWN < UNITS && tile < params.tiles;
            var h = Rows(0.0);
            if (is_here) {
                let state = state_of(dir, tile) + unit;
                if (has_ended(dir, tile)) {
                    h = h_prev[state];
                } else {
                    if (!EARLY) {
                        bring(dir, tile, unit);
                    }
                    let after = advance(dir, tile, unit, h_before, input, sums_of(i, u));
                    h = select(h_before, after, running(dir, tile));
                    leave(dir, tile, unit);
                }
                h_next[state] = h;
            }
            var neighbour = Rows(0.0);
            if (PAIRS) {
                workgroupBarrier();
                block[lane / STRIDE][lane % STRIDE] = h;
                workgroupBarrier();
                let next = min(lane + 1u, SPAN - 1u);
                neighbour = block[next / STRIDE][next % STRIDE];
            }
            if (is_here) {
                store_y(dir, tile, unit, h, neighbour);
            }
        }
    }
}
