// Where states are reset within a sequence. Layers in reverse have no resets.

@group(0) @binding(14) var<storage, read> resets: array<u32>;  // [B, T], or [T, B] where TIME_MAJOR

override TIME_MAJOR: bool;

// `value`, which the rows of a tile have before step t of the chunk; in rows that are reset at this step, `anew`.
fn begun(dir: u32, tile: u32, t: u32, value: Rows, anew: Rows) -> Rows {
    let time = first_of(dir) + t;
    let lengths = lengths_of(tile);
    let rows = rows_of(tile);
    var next = value;
    for (var r = 0u; r < ROWS; r++) {
        // Entries past a sequence's end are not read; rows past B have no step.
        if (time < count(lengths, r)) {
            let b = count(rows, r);
            let at = select(b * params.times + time, time * params.batch + b, TIME_MAJOR);
            if (resets[at] != 0u) {
                next = with_row(next, r, row(anew, r));
            }
        }
    }
    return next;
}
