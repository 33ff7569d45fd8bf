// The product of WIDE hidden units for TILES tiles of rows by cooperative matrices: for each of GATES gates from
// FIRST on, the sum over k of vector_at(k) · w[k, gate·UNITS + own], stored in `sums`. `own`, the first unit, counts
// those of w.
//
// The vector is rounded to f16 when it is stored to workgroup memory, which holds it and the weights DEPTH of k at a
// time. Sums are f32, in a reduction order that the device chooses. Each of four subgroups has SIDE units and half of
// the rows; a fifth repeats the work of the first. Every thread of a workgroup must call this.
//
// STACK and multiply_all(), with a matrix of sums for each gate and SIDE rows, are written out by
// `kernels::matrices`.

const DEPTH: u32 = 32u;                  // k of one pass through workgroup memory
const PITCH: u32 = DEPTH + 8u;           // numbers from a row or column to the next, padded against bank conflicts
const WIDE: u32 = 2u * SIDE;             // units of a workgroup
const HIGH: u32 = 2u * SIDE * STACK;     // rows of a workgroup
const TILES: u32 = HIGH / ROWS;

var<workgroup> vectors: array<f16, HIGH * PITCH>;           // [HIGH, PITCH] of k
var<workgroup> columns: array<f16, GATES * WIDE * PITCH>;   // [GATES, WIDE, PITCH] of k
var<workgroup> sums: array<f32, GATES * HIGH * WIDE>;       // [GATES, HIGH, WIDE]

// Stores k from `start` on of vectors and columns to workgroup memory, from which matrices are loaded.
fn bring(lane: u32, dir: u32, tile: u32, own: u32, start: u32) {
    for (var i = lane; i < TILES * DEPTH; i += WIDTH) {
        let k = i % DEPTH;
        let of_tile = i / DEPTH;
        var v = Rows(0.0);
        if (start + k < K) {
            v = vector_at(vector_of(dir, min(tile + of_tile, params.tiles - 1u)) + start + k);
        }
        v = within_f16(v);
        for (var r = 0u; r < ROWS; r++) {
            vectors[(of_tile * ROWS + r) * PITCH + k] = f16(row(v, r));
        }
    }
    for (var i = lane; i < GATES * WIDE * DEPTH / 4u; i += WIDTH) {
        let column = i % (GATES * WIDE);
        let k = i / (GATES * WIDE) * 4u;
        let n = (FIRST + column / WIDE) * UNITS + min(own + column % WIDE, UNITS - 1u);
        let quad = four(dir, start + k, n);
        let at = column * PITCH + k;
        columns[at] = quad.x;
        columns[at + 1u] = quad.y;
        columns[at + 2u] = quad.z;
        columns[at + 3u] = quad.w;
    }
}

// The sums of unit u of the workgroup, for its tile i.
fn sums_of(i: u32, u: u32) -> array<Rows, GATES> {
    var all: array<Rows, GATES>;
    for (var g = 0u; g < GATES; g++) {
        for (var r = 0u; r < ROWS; r++) {
            all[g] = with_row(all[g], r, sums[(g * HIGH + i * ROWS + r) * WIDE + u]);
        }
    }
    return all;
}
