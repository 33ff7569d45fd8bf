// The parameters and rows of a kernel of one step.

@group(0) @binding(0) var<uniform> params: StepParams;

// Steps of each row of a tile.
fn lengths_of(tile: u32) -> Counts {
    return min(order[tile], Counts(params.times));
}

// Batch rows of a tile.
fn rows_of(tile: u32) -> Counts {
    return order[params.tiles + tile];
}
