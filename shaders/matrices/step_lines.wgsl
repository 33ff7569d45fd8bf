// The product of UNITS_HERE hidden units for tiles of rows by cooperative matrices: for each of GATES gates from FIRST
// on, the sum over k of vector_at(k) · w[k, gate·UNITS + own], see lines.wgsl. `own`, the first unit, counts those of w.
//
// The vector is rounded to f16: as it is stored to workgroup memory, or by the step before (kept.wgsl). Sums are f32, in
// a reduction order that the device chooses. They are stored in `sums`, a row of matrices of each subgroup at a
// time. Every thread of a workgroup must call multiply_all.

const TILES: u32 = 2u * HIGH / ROWS;              // tiles of a workgroup
const TILES_HERE: u32 = 2u * SIDE / ROWS;         // tiles whose sums are stored together
const UNITS_HERE: u32 = 2u * ACROSS * SIDE;       // units of a workgroup

var<workgroup> sums: array<f32, GATES * 2u * SIDE * UNITS_HERE>;   // [GATES, 2·SIDE rows, UNITS_HERE]

// Past UNITS the last unit, whose sums are not used.
fn b_column(own: u32, line: u32) -> u32 {
    let unit = line / WIDE * ACROSS * SIDE + line % (ACROSS * SIDE);
    return (FIRST + line % WIDE / (ACROSS * SIDE)) * UNITS + min(own + unit, UNITS - 1u);
}

// The tile of a workgroup whose sums are at place i of part `part`.
fn tile_of(part: u32, i: u32) -> u32 {
    let each = SIDE / ROWS;
    return i / each * (HIGH / ROWS) + part * each + i % each;
}

// The sums of unit u of the workgroup, for the tile at place i.
fn sums_of(i: u32, u: u32) -> array<Rows, GATES> {
    var all: array<Rows, GATES>;
    for (var g = 0u; g < GATES; g++) {
        for (var r = 0u; r < ROWS; r++) {
            all[g] = with_row(all[g], r, sums[(g * 2u * SIDE + i * ROWS + r) * UNITS_HERE + u]);
        }
    }
    return all;
}
