// One plain RNN step: recurrent product, activation and state update fused. Thread and workgroup as in
// step_gru_after.
//
//   h' = tanh or relu (xw + R h)

@group(0) @binding(5) var<storage, read> h_prev: array<Rows>;         // [⌈B/ROWS⌉, H]
@group(0) @binding(6) var<storage, read_write> h_next: array<Rows>;   // [⌈B/ROWS⌉, H]

override RELU: bool;       // else tanh

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    let column = min(unit, HIDDEN - 1u);   // threads past H still load and take part in barriers
    let tile = group.y;
    let state = tile * HIDDEN;

    var sum_h = Rows(0.0);
    for (var k = 0u; k < HIDDEN; k += BLOCK) {
        let size = min(BLOCK, HIDDEN - k);
        workgroupBarrier();
        for (var i = lane; i < size; i += WIDTH) {
            block[i] = h_prev[state + k + i];
        }
        workgroupBarrier();
        var part_h = Rows(0.0);
        var w = k * HIDDEN + column;
        var i = 0u;
        for (; i + 4u <= size; i += 4u) {
            part_h = fma(Rows(w_hh[w]), block[i], part_h);
            w += HIDDEN;
            part_h = fma(Rows(w_hh[w]), block[i + 1u], part_h);
            w += HIDDEN;
            part_h = fma(Rows(w_hh[w]), block[i + 2u], part_h);
            w += HIDDEN;
            part_h = fma(Rows(w_hh[w]), block[i + 3u], part_h);
            w += HIDDEN;
        }
        for (; i < size; i++) {
            part_h = fma(Rows(w_hh[w]), block[i], part_h);
            w += HIDDEN;
        }
        sum_h += part_h;
    }
    if (unit >= HIDDEN) {
        return;
    }
    let pre = xw[projected(tile, unit, 1u)] + sum_h;
    var h: Rows;
    if (RELU) {
        h = max(pre, Rows(0.0));
    } else {
        h = tanh_rational(pre);
    }
    h_next[state + unit] = h;
    store_y(tile, unit, h);
}
