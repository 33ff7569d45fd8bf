// Moves states between the slots of streams, or a caller's arrays, and the tiles of a batch: thread = unit × ROWS rows,
// workgroup (x, y, z) = units × tile of rows × direction of an array. One dispatch moves up to four arrays.

// Held against `kernels::streams::Params`.
struct StreamParams {
    batch: u32,      // B
    order_rows: u32, // where in `order` the batch rows lie
    first: u32,      // where in `slots` the slot of batch row 0 lies
    capacity: u32,   // the number of slots
    stride: u32,     // numbers of a slot
    features0: u32,  // units of each array, 0 where an array is not used
    features1: u32,
    features2: u32,
    features3: u32,
    offset0: u32,    // where in a slot each array's units of the first direction lie
    offset1: u32,
    offset2: u32,
    offset3: u32,
    dirs: u32,       // D
    dir_stride: u32, // from where the units of a direction lie to those of the next
    unused0: u32,
}

@group(0) @binding(0) var<uniform> params: StreamParams;
@group(0) @binding(1) var<storage, read> order: array<u32>;   // lengths and batch rows by place
@group(0) @binding(2) var<storage, read> slots: array<u32>;   // the slot of each batch row

override WIDTH: u32;   // threads of a workgroup, one unit each

const NONE: u32 = 0xffffffffu;

// Where unit 0 of an array of the row at place b lies in `streams`; NONE for padding and for rows without a slot.
fn slot_at(b: u32, offset: u32) -> u32 {
    if (b >= params.batch) {
        return NONE;
    }
    let slot = slots[params.first + order[params.order_rows + b]];
    return select(NONE, slot * params.stride + offset, slot < params.capacity);
}

// Where unit 0 of a tile's rows lies in an array.
fn tile_at(z: u32, tile: u32, features: u32) -> u32 {
    let tiles = (params.batch + ROWS - 1u) / ROWS;
    return (z % params.dirs * tiles + tile) * features;
}

// Where in a slot the units of a direction of an array lie.
fn place_of(z: u32) -> u32 {
    return offset_of(z / params.dirs) + z % params.dirs * params.dir_stride;
}

fn features_of(index: u32) -> u32 {
    let first = select(params.features1, params.features0, index == 0u);
    let second = select(params.features3, params.features2, index == 2u);
    return select(second, first, index < 2u);
}

fn offset_of(index: u32) -> u32 {
    let first = select(params.offset1, params.offset0, index == 0u);
    let second = select(params.offset3, params.offset2, index == 2u);
    return select(second, first, index < 2u);
}
