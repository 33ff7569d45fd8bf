// The recurrent product of one hidden unit: for each of GATES gates from FIRST on, the sum over k of
// vector_at(k) · w_hh[k, gate·H + unit], for all rows of a tile.
//
// The vector passes through workgroup memory a block at a time, so every thread of a workgroup must call this,
// also one past the last unit. The order of sums is that of step.wgsl. Loops over gates have constant bounds
// and vanish; the quads keep down the number of loop iterations, which some drivers limit.
//
// A kernel declares GATES, FIRST, PITCH (the G of w_hh) and vector_at.

var<workgroup> block: array<Rows, BLOCK>;

fn recurrent_product(lane: u32, dir: u32, tile: u32, unit: u32) -> array<Rows, GATES> {
    let column = (dir * HIDDEN * PITCH + FIRST) * HIDDEN + min(unit, HIDDEN - 1u);
    let state = state_of(dir, tile);
    var sum: array<Rows, GATES>;
    for (var k = 0u; k < HIDDEN; k += BLOCK) {
        let size = min(BLOCK, HIDDEN - k);
        workgroupBarrier();
        for (var i = lane; i < size; i += WIDTH) {
            block[i] = vector_at(state + k + i);
        }
        workgroupBarrier();
        var part: array<Rows, GATES>;
        var w = k * PITCH * HIDDEN + column;
        var i = 0u;
        for (; i + 4u <= size; i += 4u) {
            for (var j = 0u; j < 4u; j++) {
                let v = block[i + j];
                for (var g = 0u; g < GATES; g++) {
                    part[g] = fma(Rows(w_hh[w + g * HIDDEN]), v, part[g]);
                }
                w += PITCH * HIDDEN;
            }
        }
        for (; i < size; i++) {
            let v = block[i];
            for (var g = 0u; g < GATES; g++) {
                part[g] = fma(Rows(w_hh[w + g * HIDDEN]), v, part[g]);
            }
            w += PITCH * HIDDEN;
        }
        for (var g = 0u; g < GATES; g++) {
            sum[g] += part[g];
        }
    }
    return sum;
}
