// The product of one hidden unit: for each of GATES gates from FIRST on, the sum over k of
// vector_at(k) · w[k, gate·HIDDEN + unit], for all rows of a tile.
//
// The vector passes through workgroup memory a block at a time, so every thread of a workgroup must call this,
// also one past the last unit. The order of sums is that of step.wgsl. Loops over gates have constant bounds
// and vanish; the quads keep down the number of loop iterations, which some drivers limit.
//
// A kernel declares GATES, FIRST and vector_at; `weights_*.wgsl` says how w lies.

var<workgroup> block: array<Rows, BLOCK>;

fn recurrent_product(lane: u32, dir: u32, tile: u32, unit: u32) -> array<Rows, GATES> {
    let column = FIRST * HIDDEN + min(unit, HIDDEN - 1u);
    let state = vector_of(dir, tile);
    var sum: array<Rows, GATES>;
    for (var k = 0u; k < K; k += BLOCK) {
        let size = min(BLOCK, K - k);
        workgroupBarrier();
        for (var i = lane; i < size; i += WIDTH) {
            block[i] = vector_at(state + k + i);
        }
        workgroupBarrier();
        var part: array<Rows, GATES>;
        var at = pair_at(dir, k, column);
        var i = 0u;
        for (; i + 4u <= size; i += 4u) {
            for (var j = 0u; j < 4u; j += 2u) {
                let v0 = block[i + j];
                let v1 = block[i + j + 1u];
                for (var g = 0u; g < GATES; g++) {
                    let both = pair(at + g * HIDDEN);
                    part[g] = fma(Rows(both.y), v1, fma(Rows(both.x), v0, part[g]));
                }
                at = next_pair(at);
            }
        }
        if (i + 2u <= size) {
            let v0 = block[i];
            let v1 = block[i + 1u];
            for (var g = 0u; g < GATES; g++) {
                let both = pair(at + g * HIDDEN);
                part[g] = fma(Rows(both.y), v1, fma(Rows(both.x), v0, part[g]));
            }
            at = next_pair(at);
            i += 2u;
        }
        if (i < size) {
            for (var g = 0u; g < GATES; g++) {
                part[g] = fma(Rows(half_pair(at + g * HIDDEN)), block[i], part[g]);
            }
        }
        for (var g = 0u; g < GATES; g++) {
            sum[g] += part[g];
        }
    }
    return sum;
}
