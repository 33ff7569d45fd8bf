// Reads the states of a batch's rows from the slots of their streams, or from the caller's array; zero where a row
// has no slot. shared/streams.wgsl says how threads are distributed.

@group(0) @binding(3) var<storage, read> streams: array<f32>;         // a row's states at slot · stride
@group(0) @binding(4) var<storage, read_write> array0: array<Rows>;   // [D, ⌈B/R⌉, features]
@group(0) @binding(5) var<storage, read_write> array1: array<Rows>;
@group(0) @binding(6) var<storage, read_write> array2: array<Rows>;
@group(0) @binding(7) var<storage, read_write> array3: array<Rows>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    let features = features_of(group.z / params.dirs);
    if (unit >= features) {
        return;
    }
    var value = Rows();
    for (var r = 0u; r < ROWS; r++) {
        let slot = slot_at(group.y * ROWS + r, place_of(group.z));
        if (slot != NONE) {
            value = with_row(value, r, streams[slot + unit]);
        }
    }
    let at = tile_at(group.z, group.y, features) + unit;
    switch group.z / params.dirs {
        case 0u: { array0[at] = value; }
        case 1u: { array1[at] = value; }
        case 2u: { array2[at] = value; }
        default: { array3[at] = value; }
    }
}
