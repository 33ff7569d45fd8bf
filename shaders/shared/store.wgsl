// What every kernel that makes a new h shares: the sequence output it stores it to, and the lengths that say
// which rows still run.

@group(0) @binding(4) var<storage, read_write> y: array<f32>;         // strided by params
@group(0) @binding(9) var<storage, read> lengths: array<Counts>;      // [⌈B/ROWS⌉], steps of each row, at most T

// Steps of each row of a tile.
fn lengths_of(tile: u32) -> Counts {
    return min(lengths[tile], Counts(params.times));
}

// The rows of a tile that have a step to take.
fn running(tile: u32) -> Mask {
    return Counts(params.first + index.t) < lengths_of(tile);
}

fn store_y(dir: u32, tile: u32, unit: u32, h: Rows) {
    let step = params.first + index.t;
    let steps = lengths_of(tile);
    for (var r = 0u; r < ROWS; r++) {
        let b = tile * ROWS + r;
        if (b < params.batch) {
            // Past its end, a sequence's steps and times are the same in either direction.
            let length = count(steps, r);
            let ended = step >= length;
            let time = select(step, length - 1u - step, dir >= params.reverse && !ended);
            y[time * params.y_step + b * params.y_row + dir * params.y_dir + unit] = select(row(h, r), 0.0, ended);
        }
    }
}
