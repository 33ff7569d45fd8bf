// The frame of a whole chunk of steps in one dispatch, where several workgroups have the units of a tile of batch rows
// between them. Workgroup (x, y, z) = OWN units × ROWS batch rows × direction; a thread has one unit, all gates
// or one, and of k PARTS blocks: SHARES threads have a unit together, SPLIT of them the same gates. After every step each workgroup has h of all units again, by
// grid_exchange.wgsl. States go from one array to another, so that a chunk can be run again from its beginning. Text of the
// products, with the numbers OWN, SHARES, SPLIT, PARTS, PLACES, STRIDE and VECTORS, is written out by `kernels::unrolled`.

@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [D, ⌈B/ROWS⌉, H]
@group(0) @binding(7) var<storage, read_write> h_next: array<Rows>;   // [D, ⌈B/ROWS⌉, H]

// h of all units before the step, and after it: even and odd steps swap. After both, r ⊙ h of a GRU that
// resets before. Past the last unit, where a share of k ends, they are 0.
var<workgroup> vector: array<array<Rows, PLACES>, VECTORS * STRIDE>;

// Where a thread is.
struct Place {
    lane: u32,
    first: u32,      // of the workgroup's units
    count: u32,      // of the workgroup's units
    place: u32,      // unit within the workgroup
    share: u32,      // share of the unit
    gate: u32,       // gate, where the share is of one
    split: u32,      // blocks of k
    unit: u32,
    owns: bool,      // whether the unit is there, and this its first share
    front: u32,      // block of vector that h before the step begins with
    reset: u32,      // block that r ⊙ h begins with
}

// Broadcasts a value of every unit to all workgroups of the tile, as the vector that begins with block `to`.
fn broadcast(at: Place, to: u32, value: Rows) {
    if (at.owns) {
        set_element(to, at.unit, value);
        write_words(at, value);
    }
    read_words(at, to);
    exchange += 1u;
    slot += HIDDEN * ROWS;
    workgroupBarrier();
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    var at: Place;
    at.lane = lane;
    at.first = group.x * OWN;
    at.count = min(OWN, HIDDEN - at.first);
    at.place = lane % OWN;
    at.share = lane / OWN;
    at.gate = at.share / SPLIT;
    // One register for both, where they are the same.
    at.split = select(at.share % SPLIT, at.share, SHARES == SPLIT);
    at.unit = at.first + min(at.place, at.count - 1u);
    at.owns = at.share == 0u && at.place < at.count;
    at.reset = 2u * STRIDE;
    let tile = group.y;
    let dir = group.z;
    keep_order(tile);
    let state = state_of(dir, tile);
    slot = exchange_params.words + state * ROWS * params.steps * (VECTORS - 1u);
    spin_limit = exchange_params.spin_limit;

    // Pipelines leave workgroup memory as they find it.
    if (lane == 0u) {
        atomicStore(&stops_from, 0xffffffffu);
        atomicStore(&through, 0u);
    }
    workgroupBarrier();
    if (lane == 0u && exchange_params.before > 0u) {
        if (atomicLoad(&exchange_buffer[exchange_params.completion - 1u]) != exchange_params.before) {
            give_up(0u);
        }
    }
    hold(dir, at);
    load_ahead(dir, tile, at, 0u);
    for (var i = lane; i < VECTORS * STRIDE * PLACES; i += WIDTH) {
        if (i < HIDDEN) {
            set_element(0u, i, h_prev[state + i]);
        } else {
            set_element(0u, i, Rows(0.0));
        }
    }
    var h = h_prev[state + at.unit];
    if (at.share == 0u) {
        enter(dir, tile, at.unit);
    }
    workgroupBarrier();
    if (has_stopped(at)) {
        spin_limit = 0u;
    }

    let steps = steps_of(dir, tile);
    var back = STRIDE;
    for (var t = 0u; t < steps; t++) {
        h = after_step(dir, tile, at, t, h);
        if (t + 1u < steps) {
            broadcast(at, back, h);
        } else {
            if (at.owns) {
                set_element(back, at.unit, h);
            }
            workgroupBarrier();
        }
        // A unit's neighbour is of this workgroup, where it matters.
        if (at.owns && !has_stopped(at)) {
            store_y(dir, tile, at.unit, h, element(back, min(at.unit + 1u, HIDDEN - 1u)));
        }
        let front = at.front;
        at.front = back;
        back = front;
    }
    if (at.owns && !has_stopped(at)) {
        h_next[state + at.unit] = h;
        leave(dir, tile, at.unit);
        fill_rest(dir, tile, at, steps, h);
    }

    atomicAdd(&through, 1u);
    workgroupBarrier();
    if (lane == 0u && atomicLoad(&through) == WIDTH && !has_stopped(at)) {
        atomicAdd(&exchange_buffer[exchange_params.completion], 1u);
    }
}
