// The product of EACH hidden units, WIDTH apart, for TILES tiles of rows: for each of GATES gates from FIRST on, the sum
// over k of vector_at(k) · w[k, gate·UNITS + own], for all rows of a tile. `own`, the first unit, counts those of w.
//
// The vector passes through workgroup memory SPAN of k at a time, so every thread of a workgroup must call this,
// also one past the last. The reduction order is that of recurrence.wgsl. Loops over gates, units and tiles have constant
// bounds and vanish; the quads keep down the number of loop iterations, which some drivers limit.
//
// A cell declares GATES and FIRST, it or of_h.wgsl vector_at; `weights_*.wgsl` says how w lies;
// TILES, EACH and blocks(), the inner part, are written out by `kernels::unrolled`.

const SPAN: u32 = 64u;         // whole blocks, and as many as a workgroup has threads at the most
const SUMS: u32 = GATES * EACH * TILES;
var<workgroup> block: array<Rows, SPAN * TILES>;

// Of gate g, unit u and tile i of `tile`.. the sum stands at (i · EACH + u) · GATES + g.
fn recurrent_product(lane: u32, dir: u32, tile: u32, own: u32) -> array<Rows, SUMS> {
    var columns: array<u32, EACH>;
    for (var u = 0u; u < EACH; u++) {
        columns[u] = FIRST * UNITS + min(own + u * WIDTH, UNITS - 1u);
    }
    var sum: array<Rows, SUMS>;
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
        sum = blocks(dir, start, size, columns, sum);
    }
    return sum;
}

// The sums of tile i, unit u.
fn sums_of(all: array<Rows, SUMS>, i: u32, u: u32) -> array<Rows, GATES> {
    var of_all = all;
    var sum: array<Rows, GATES>;
    for (var g = 0u; g < GATES; g++) {
        sum[g] = of_all[(i * EACH + u) * GATES + g];
    }
    return sum;
}
