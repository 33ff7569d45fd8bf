// Storing a new h to the sequence output of the layer.

@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // strided by params

fn store_y(tile: u32, unit: u32, h: Rows) {
    let step = (params.first + index.t) * params.y_step;
    for (var r = 0u; r < ROWS; r++) {
        let b = tile * ROWS + r;
        if (b < params.batch) {
            y[step + b * params.y_row + unit] = row(h, r);
        }
    }
}
