// What the frames of many steps, persistent.wgsl and exchange/multi_workgroup.wgsl, share of a chunk.
//
// `vector` lies in blocks of PLACES, which are those of the reduction order: of every index into workgroup memory it is looked whether it is in
// range, and of a whole block of k at constant places once.

// Number k of the vector that begins with block `start`.
fn element(start: u32, k: u32) -> Rows {
    return vector[start + k / PLACES][k % PLACES];
}

fn set_element(start: u32, k: u32, value: Rows) {
    vector[start + k / PLACES][k % PLACES] = value;
}

// The projected input of the next step, where AHEAD says that there are registers for it: loaded before the product of the one before, so
// that nothing waits for it. A thread that does not own its unit loads it too, since compilers wait in a branch for what is loaded in it.
// Where there are no registers, it is loaded after the product, or of a cell with two before the first, whose gates the second needs.
var<private> ahead: array<Rows, COLUMNS>;

fn load_ahead(dir: u32, tile: u32, at: Place, t: u32) {
    ahead = projected(dir, tile, at.unit, min(t, params.steps - 1u));
}

// 0, which no compiler knows, since it does not know how many steps there are. What depends on it is loaded or computed in every step: before
// the first, compilers find too few registers to keep it in.
fn zero_of_step() -> u32 {
    return now >> 31u;
}

// h after step t, of a thread that owns its unit; of others nothing of use.
fn after_step(dir: u32, tile: u32, at: Place, t: u32, h: Rows) -> Rows {
    now = t;
    change();
    var input: array<Rows, COLUMNS>;
    if (AHEAD) {
        input = ahead;
        load_ahead(dir, tile, at, t + 1u);
    } else if (VECTORS > 2u) {
        input = projected(dir, tile, at.unit, t);
    }
    let sum = recurrent_sums(dir, at, h, input);
    if (!AHEAD && VECTORS == 2u) {
        input = projected(dir, tile, at.unit, t);
    }
    if (at.share == 0u) {
        return select(h, advance(dir, tile, at.unit, h, input, sum), running(dir, tile));
    }
    return h;
}

// y of the steps past `steps`, which no row of the tile has.
fn fill_rest(dir: u32, tile: u32, at: Place, steps: u32, h: Rows) {
    let neighbour = element(at.front, min(at.unit + 1u, HIDDEN - 1u));
    for (var t = steps; t < params.steps; t++) {
        now = t;
        store_y(dir, tile, at.unit, h, neighbour);
    }
}
