// What the frames of many steps, persistent.wgsl and exchange/multi_workgroup.wgsl, share of a chunk.

// Steps that a tile's first row, the longest, has in the chunk.
fn steps_of(dir: u32, tile: u32) -> u32 {
    let before = first_of(dir);
    return min(params.steps, max(count(lengths_of(tile), 0u), before) - before);
}

// h after step t, of a thread that has the first share of a unit's k; of others nothing of use.
fn after_step(dir: u32, tile: u32, at: Place, t: u32, h: Rows) -> Rows {
    now = t;
    var input: array<Rows, COLUMNS>;
    if (at.split == 0u) {
        input = projected(dir, tile, at.unit);
    }
    let sum = recurrent_sums(dir, at, h, input);
    if (at.split == 0u) {
        return select(h, advance(dir, tile, at.unit, h, input, sum), running(dir, tile));
    }
    return h;
}

// y of the steps past `steps`, which no row of the tile has.
fn fill_rest(dir: u32, tile: u32, at: Place, steps: u32, h: Rows) {
    let neighbour = vector[at.front + min(at.unit + 1u, HIDDEN - 1u)];
    for (var t = steps; t < params.steps; t++) {
        now = t;
        store_y(dir, tile, at.unit, h, neighbour);
    }
}
