// Where a new h goes in the sequence output, and what goes there: shared by the storage types of y.

// Element of y of unit 0 of row r of a tile. Past its end, a sequence's steps and times are the same in either
// direction.
fn y_at(dir: u32, tile: u32, r: u32) -> u32 {
    let step = first_of(dir) + now;
    let length = count(lengths_of(tile), r);
    let time = select(step, length - 1u - step, dir >= params.reverse && step < length);
    let b = count(rows_of(tile), r);
    return time * params.y_step + b * params.y_row + dir * params.y_dir;
}

// Whether row r of a tile is there, and the step: a layer that has not begun, or is done, stores nothing.
fn has_y(dir: u32, tile: u32, r: u32) -> bool {
    return tile * ROWS + r < params.batch && first_of(dir) + now < params.times;
}

// What y is of the state `h` that a tile's rows have after the step.
fn emitted(dir: u32, tile: u32, h: Rows) -> Rows {
    let last = Mask(params.repeats != 0u && dir < params.reverse) & (lengths_of(tile) > Counts(0u));
    return select(Rows(0.0), h, running(dir, tile) | last);
}
