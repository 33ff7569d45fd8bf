// Storing a new h to the sequence output of the layer.

@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // strided by params

fn store_y(dir: u32, tile: u32, unit: u32, h: Rows) {
    let time = select(params.first + index.t, params.last - index.t, dir >= params.reverse);
    let step = time * params.y_step + dir * params.y_dir;
    for (var r = 0u; r < ROWS; r++) {
        let b = tile * ROWS + r;
        if (b < params.batch) {
            y[step + b * params.y_row + unit] = row(h, r);
        }
    }
}
