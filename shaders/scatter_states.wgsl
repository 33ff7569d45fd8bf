// Writes the states of a batch's rows to the slots of their streams, or to the caller's array. shared/streams.wgsl
// says how threads are distributed.

@group(0) @binding(3) var<storage, read_write> streams: array<f32>;   // a row's states at slot · stride
@group(0) @binding(4) var<storage, read> array0: array<Rows>;         // [D, ⌈B/R⌉, features]
@group(0) @binding(5) var<storage, read> array1: array<Rows>;
@group(0) @binding(6) var<storage, read> array2: array<Rows>;
@group(0) @binding(7) var<storage, read> array3: array<Rows>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    let features = features_of(group.z / params.dirs);
    if (unit >= features) {
        return;
    }
    let at = tile_at(group.z, group.y, features) + unit;
    var value = Rows();
    switch group.z / params.dirs {
        case 0u: { value = array0[at]; }
        case 1u: { value = array1[at]; }
        case 2u: { value = array2[at]; }
        default: { value = array3[at]; }
    }
    for (var r = 0u; r < ROWS; r++) {
        let slot = slot_at(group.y * ROWS + r, place_of(group.z));
        if (slot != NONE) {
            streams[slot + unit] = row(value, r);
        }
    }
}
