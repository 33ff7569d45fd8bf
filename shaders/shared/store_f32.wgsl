// y as it is.

@group(0) @binding(4) var<storage, read_write> y: array<f32>;         // strided by params

const PAIRS: bool = false;     // whether a unit's neighbour matters

// Stores the state `h` of a unit after the step.
fn store_y(dir: u32, tile: u32, unit: u32, h: Rows, neighbour: Rows) {
    let values = emitted(dir, tile, h);
    for (var r = 0u; r < ROWS; r++) {
        if (has_y(dir, tile, r)) {
            y[y_at(dir, tile, r) + unit] = row(values, r);
        }
    }
}
