// The step of a kernel that takes one: an entry of a table, chosen by dynamic offset.

// Held against `kernels::recurrence::Index`.
struct StepIndex {
    t: u32,          // step within the chunk
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(1) var<uniform> index: StepIndex;

// Whether no row of a tile has a step to take. Barriers depend on it, so it must not read a private variable, which
// counts as different from thread to thread.
fn has_ended(dir: u32, tile: u32) -> bool {
    return first_of(dir) + index.t >= count(lengths_of(tile), 0u);
}

// Index into the vector of element 0 of a tile.
fn vector_of(dir: u32, tile: u32) -> u32 {
    return (dir * params.tiles + tile) * K;
}
