// The frame of a whole chunk of steps in one dispatch, where one workgroup has every unit of its batch rows and holds
// the weights in registers, or some of them, or none and loads the rest in every step. Workgroup (x, z) = TILES tiles of ROWS batch rows × direction; a thread has one unit and
// tile, all gates or one, and of k PARTS blocks: SHARES threads have a unit together, SPLIT of them the same gates. Text of the products, with
// the numbers TILES, SHARES, SPLIT, PARTS, PLACES, STRIDE and VECTORS, is written out by `kernels::unrolled`.

@group(0) @binding(6) var<storage, read_write> h_state: array<Rows>;  // [D, ⌈B/ROWS⌉, H]

// h of all units before the step, and after it: even and odd steps swap. After both, r ⊙ h of a GRU that
// resets before. Past the last unit, where a share of k ends, they are 0.
var<workgroup> vector: array<array<Rows, PLACES>, VECTORS * TILES * STRIDE>;

// Where a thread is.
struct Place {
    member: u32,     // tile within the workgroup
    share: u32,      // share of the unit; 0 owns it
    gate: u32,       // gate, where the share is of one
    split: u32,      // blocks of k
    unit: u32,
    place: u32,      // unit and tile within the workgroup
    front: u32,      // block of vector that h before the step begins with
    reset: u32,      // block that r ⊙ h begins with
}

// Broadcasts a value of every unit to the whole workgroup, as the vector that begins with block `to`.
fn broadcast(at: Place, to: u32, value: Rows) {
    if (at.share == 0u) {
        set_element(to, at.unit, value);
    }
    workgroupBarrier();
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    var at: Place;
    // Where there is one tile, a compiler is to know that all threads have the same, and to keep what depends on it once. It is not to know
    // so of the vector: ACO would move each number that is loaded from it to a scalar register.
    let member = lane / (HIDDEN * SHARES);
    at.member = select(member, 0u, TILES == 1u);
    at.share = lane / HIDDEN % SHARES;
    at.gate = at.share / SPLIT;
    // One register for both, where they are the same.
    at.split = select(at.share % SPLIT, at.share, SHARES == SPLIT);
    at.unit = lane % HIDDEN;
    at.place = at.member * HIDDEN + at.unit;
    at.front = member * STRIDE;
    at.reset = (2u * TILES + member) * STRIDE;
    let dir = group.z;
    let first = interleaved(group.x, (given.tiles + TILES - 1u) / TILES) * TILES;
    let tile = min(first + at.member, given.tiles - 1u);
    let owns = at.share == 0u && first + at.member < given.tiles;
    keep_order(tile);
    let state = state_of(dir, tile) + at.unit;

    hold(dir, at);
    load_ahead(dir, tile, at, 0u);
    for (var i = lane; i < VECTORS * TILES * STRIDE * PLACES; i += WIDTH) {
        set_element(0u, i, Rows(0.0));
    }
    workgroupBarrier();
    var h = h_state[state];
    if (at.share == 0u) {
        set_element(at.front, at.unit, h);
        enter(dir, tile, at.unit);
    }
    workgroupBarrier();

    // Of the workgroup's tiles the first is the longest.
    let steps = steps_of(dir, first);
    var back = at.front + TILES * STRIDE;
    for (var t = 0u; t < steps; t++) {
        h = after_step(dir, tile, at, t, h);
        broadcast(at, back, h);
        if (owns) {
            store_y(dir, tile, at.unit, h, element(back, min(at.unit + 1u, HIDDEN - 1u)));
        }
        let front = at.front;
        at.front = back;
        back = front;
    }
    if (owns) {
        h_state[state] = h;
        leave(dir, tile, at.unit);
        fill_rest(dir, tile, at, steps, h);
    }
}
