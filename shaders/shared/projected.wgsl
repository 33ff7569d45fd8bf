// The projected input, w_ih x with every bias that no product encloses.

@group(0) @binding(2) var<storage, read> xw: array<Rows>;      // [D, T, ⌈B/ROWS⌉, G·H]

// Columns FIRST to FIRST + COLUMNS of `unit` at step t of the chunk.
fn projected(dir: u32, tile: u32, unit: u32, t: u32) -> array<Rows, COLUMNS> {
    let columns = N / UNITS * HIDDEN;
    let at = dir * params.xw_dir + (t * params.tiles + tile) * columns + FIRST * HIDDEN + unit;
    var input: array<Rows, COLUMNS>;
    for (var g = 0u; g < COLUMNS; g++) {
        input[g] = xw[at + g * HIDDEN];
    }
    return input;
}
