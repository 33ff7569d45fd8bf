// y as it is.

@group(0) @binding(4) var<storage, read_write> y: array<f32>;         // strided by params

// Stores the state `h` after the step; every thread of a workgroup calls this.
fn store_y(lane: u32, dir: u32, tile: u32, unit: u32, h: Rows) {
    if (unit >= HIDDEN) {
        return;
    }
    let values = emitted(dir, tile, h);
    for (var r = 0u; r < ROWS; r++) {
        if (tile * ROWS + r < params.batch) {
            y[y_at(dir, tile, r) + unit] = row(values, r);
        }
    }
}
