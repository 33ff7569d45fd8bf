// The product of EACH hidden units, OWN apart, for TILES tiles of rows: for each of GATES gates from FIRST on, the sum
// over k of vector_at(k) · w[k, gate·UNITS + own], for all rows of a tile. `own`, the first unit, counts those of w.
//
// The vector passes through workgroup memory SPAN of k at a time, so every thread of a workgroup must call
// recurrent_product, also one past the last. The reduction order is that of recurrence.wgsl. Where a unit has several
// threads, each sums whole blocks of k, and the first of them add all blocks in order. The sums are those of the first OWN
// threads. Loops over gates, units and tiles have constant bounds and vanish.
//
// A cell declares GATES and FIRST, it or of_h.wgsl vector_at; `weights_*.wgsl` says how w lies;
// TILES, EACH, OWN, SPAN, STRIDE and EARLY, the sums, recurrent_product and sums_of(i, u), the sums of tile i and unit u, are
// written out by `kernels::step`.

var<workgroup> block: array<array<Rows, STRIDE>, SPAN * TILES / STRIDE>;

// Brings the vector's SPAN from `start` on.
fn fill(lane: u32, dir: u32, tile: u32, start: u32) {
    let size = min(SPAN, K - start);
    workgroupBarrier();
    for (var i = 0u; i < TILES; i++) {
        let state = vector_of(dir, min(tile + i, params.tiles - 1u)) + start;
        for (var k = lane; k < size; k += WIDTH) {
            block[(i * SPAN + k) / STRIDE][k % STRIDE] = vector_at(state + k);
        }
    }
    workgroupBarrier();
}

// The column of w of gate FIRST of a unit; of one past the last that of the last.
fn column_of(unit: u32) -> u32 {
    return FIRST * UNITS + min(unit, UNITS - 1u);
}
