// The parameters and rows of a kernel of many steps: loaded once, since what a step loads it waits for.

@group(0) @binding(0) var<uniform> given: StepParams;

var<private> params: StepParams;
var<private> own_lengths: Counts;
var<private> own_rows: Counts;

// Before all else, with the thread's tile: the only one that it asks for.
fn keep_order(tile: u32) {
    params = given;
    own_lengths = min(order[tile], Counts(given.times));
    own_rows = order[given.tiles + tile];
}

// Steps of each row of the tile.
fn lengths_of(tile: u32) -> Counts {
    return own_lengths;
}

// Batch rows of the tile.
fn rows_of(tile: u32) -> Counts {
    return own_rows;
}

// Steps that a tile's first row, the longest, has in the chunk. Barriers depend on it, so it must not read a private variable, which
// counts as different from thread to thread.
fn steps_of(dir: u32, tile: u32) -> u32 {
    let before = first_in(dir, given.first);
    let longest = min(count(order[tile], 0u), given.times);
    return min(given.steps, max(longest, before) - before);
}
