// The product of EACH hidden units, WIDTH apart, for TILES tiles of rows: for each of GATES gates from FIRST on, the sum
// over k of vector_at(k) · w[k, gate·UNITS + own], for all rows of a tile. `own`, the first unit, counts those of w.
//
// The vector passes through workgroup memory SPAN of k at a time, so every thread of a workgroup must call this,
// also one past the last. The reduction order is that of recurrence.wgsl. Loops over gates, units and tiles have constant
// bounds and vanish; the quads keep down the number of loop iterations, which some drivers limit.
//
// A cell declares GATES and FIRST, it or of_h.wgsl vector_at; `weights_*.wgsl` says how w lies;
// TILES, EACH, the sums, blocks(), the inner part, and sums_of(i, u), the sums of tile i and unit u, are written out
// by `kernels::step`.

const SPAN: u32 = 64u;         // whole blocks, and as many as a workgroup has threads at the most
var<workgroup> block: array<Rows, SPAN * TILES>;

// Adds to the sums of all units and tiles from `own` and `tile` on.
fn recurrent_product(lane: u32, dir: u32, tile: u32, own: u32) {
    for (var start = 0u; start < K; start += SPAN) {
        let size = min(SPAN, K - start);
        workgroupBarrier();
        for (var i = 0u; i < TILES; i++) {
            let state = vector_of(dir, min(tile + i, params.tiles - 1u)) + start;
            for (var k = lane; k < size; k += WIDTH) {
                block[i * SPAN + k] = vector_at(state + k);
            }
        }
        workgroupBarrier();
        blocks(dir, start, size, own);
    }
}

// The column of w of gate FIRST of a unit; of one past the last that of the last.
fn column_of(unit: u32) -> u32 {
    return FIRST * UNITS + min(unit, UNITS - 1u);
}
