// The product of one hidden unit: for each of GATES gates from FIRST on, the sum over k of
// vector_at(k) · w[k, gate·HIDDEN + unit], for all rows of a tile.
//
// The vector passes through workgroup memory SPAN of k at a time, so every thread of a workgroup must call this,
// also one past the last unit. The order of sums is that of recurrence.wgsl. Loops over gates have constant bounds
// and vanish; the quads keep down the number of loop iterations, which some drivers limit.
//
// A cell declares GATES and FIRST, it or of_h.wgsl vector_at; `weights_*.wgsl` says how w lies.

const SPAN: u32 = 64u;         // whole blocks, and as many as a workgroup has threads at the most
var<workgroup> block: array<Rows, SPAN>;

fn recurrent_product(lane: u32, dir: u32, tile: u32, unit: u32) -> array<Rows, GATES> {
    let column = FIRST * HIDDEN + min(unit, HIDDEN - 1u);
    let state = vector_of(dir, tile);
    var sum: array<Rows, GATES>;
    for (var start = 0u; start < K; start += SPAN) {
        let size = min(SPAN, K - start);
        workgroupBarrier();
        for (var i = lane; i < size; i += WIDTH) {
            block[i] = vector_at(state + start + i);
        }
        workgroupBarrier();
        var at = pair_at(dir, start, column);
        var i = 0u;
        while (i < size) {
            let end = min(i + BLOCK, size);
            var part: array<Rows, GATES>;
            for (; i + 4u <= end; i += 4u) {
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
            if (i + 2u <= end) {
                let v0 = block[i];
                let v1 = block[i + 1u];
                for (var g = 0u; g < GATES; g++) {
                    let both = pair(at + g * HIDDEN);
                    part[g] = fma(Rows(both.y), v1, fma(Rows(both.x), v0, part[g]));
                }
                at = next_pair(at);
                i += 2u;
            }
            if (i < end) {
                for (var g = 0u; g < GATES; g++) {
                    part[g] = fma(Rows(half_pair(at + g * HIDDEN)), block[i], part[g]);
                }
                i += 1u;
            }
            for (var g = 0u; g < GATES; g++) {
                sum[g] += part[g];
            }
        }
    }
    return sum;
}
