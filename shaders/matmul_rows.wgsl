// out = w x + bias for few rows, as in a session step: thread = column × ROWS rows, workgroup (x, y, z) = columns ×
// tile of rows × direction, x in workgroup memory a block at a time.

override K: u32;           // features read
override WIDTH: u32;       // threads of a workgroup, one column each

const BLOCK: u32 = 64u;
var<workgroup> block: array<Rows, BLOCK>;

// Feature k of ROWS rows from m on.
fn load_rows(dir: u32, m: u32, k: u32) -> Rows {
    var v = Rows(0.0);
    for (var r = 0u; r < ROWS; r++) {
        let at = x_at(dir, m + r);
        if (at != NONE) {
            v = with_row(v, r, x_value(at + k));
        }
    }
    return v;
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let n = group.x * WIDTH + lane;
    let column = min(n, N - 1u);           // threads past N still load and take part in barriers
    let m = interleaved(group.y, (params.rows + ROWS - 1u) / ROWS) * ROWS;
    let dir = group.z;

    if (all_ended(dir, m, ROWS)) {
        return;
    }
    var sum = Rows(zero());
    for (var k = 0u; k < K; k += BLOCK) {
        let size = min(BLOCK, K - k);
        workgroupBarrier();
        for (var i = lane; i < size; i += WIDTH) {
            block[i] = load_rows(dir, m, k + i);
        }
        workgroupBarrier();
        var at = quad_at(dir, k, column);
        var i = 0u;
        for (; i + 4u <= size; i += 4u) {
            let four = quad(at);
            at += N;
            sum = fma(Rows(four.x), block[i], sum);
            sum = fma(Rows(four.y), block[i + 1u], sum);
            sum = fma(Rows(four.z), block[i + 2u], sum);
            sum = fma(Rows(four.w), block[i + 3u], sum);
        }
        if (i < size) {
            let rest = quad(at);
            sum = fma(Rows(rest.x), block[i], sum);
            if (i + 1u < size) {
                sum = fma(Rows(rest.y), block[i + 1u], sum);
            }
            if (i + 2u < size) {
                sum = fma(Rows(rest.z), block[i + 2u], sum);
            }
        }
    }
    for (var r = 0u; r < ROWS; r++) {
        store(dir, m + r, n, row(sum, r));
    }
}
