// One LSTM step: recurrent product, gates, c and h fused. Thread and workgroup as in step_gru_after. c is
// updated in place, since only its own thread reads it. Gates i f g o.
//
//   i, f, o = σ(xw + R h)   g = tanh(xw_g + R_g h)   c' = f ⊙ c + i ⊙ g   h' = o ⊙ tanh(c')

@group(0) @binding(5) var<storage, read> h_prev: array<Rows>;         // [⌈B/ROWS⌉, H]
@group(0) @binding(6) var<storage, read_write> h_next: array<Rows>;   // [⌈B/ROWS⌉, H]
@group(0) @binding(7) var<storage, read_write> c: array<Rows>;        // [⌈B/ROWS⌉, H]

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    let column = min(unit, HIDDEN - 1u);   // threads past H still load and take part in barriers
    let tile = group.y;
    let state = tile * HIDDEN;

    var sum_i = Rows(0.0);
    var sum_f = Rows(0.0);
    var sum_g = Rows(0.0);
    var sum_o = Rows(0.0);
    for (var k = 0u; k < HIDDEN; k += BLOCK) {
        let size = min(BLOCK, HIDDEN - k);
        workgroupBarrier();
        for (var i = lane; i < size; i += WIDTH) {
            block[i] = h_prev[state + k + i];
        }
        workgroupBarrier();
        var part_i = Rows(0.0);
        var part_f = Rows(0.0);
        var part_g = Rows(0.0);
        var part_o = Rows(0.0);
        var w = k * 4u * HIDDEN + column;
        var i = 0u;
        for (; i + 4u <= size; i += 4u) {
            let v0 = block[i];
            part_i = fma(Rows(w_hh[w]), v0, part_i);
            part_f = fma(Rows(w_hh[w + HIDDEN]), v0, part_f);
            part_g = fma(Rows(w_hh[w + 2u * HIDDEN]), v0, part_g);
            part_o = fma(Rows(w_hh[w + 3u * HIDDEN]), v0, part_o);
            w += 4u * HIDDEN;
            let v1 = block[i + 1u];
            part_i = fma(Rows(w_hh[w]), v1, part_i);
            part_f = fma(Rows(w_hh[w + HIDDEN]), v1, part_f);
            part_g = fma(Rows(w_hh[w + 2u * HIDDEN]), v1, part_g);
            part_o = fma(Rows(w_hh[w + 3u * HIDDEN]), v1, part_o);
            w += 4u * HIDDEN;
            let v2 = block[i + 2u];
            part_i = fma(Rows(w_hh[w]), v2, part_i);
            part_f = fma(Rows(w_hh[w + HIDDEN]), v2, part_f);
            part_g = fma(Rows(w_hh[w + 2u * HIDDEN]), v2, part_g);
            part_o = fma(Rows(w_hh[w + 3u * HIDDEN]), v2, part_o);
            w += 4u * HIDDEN;
            let v3 = block[i + 3u];
            part_i = fma(Rows(w_hh[w]), v3, part_i);
            part_f = fma(Rows(w_hh[w + HIDDEN]), v3, part_f);
            part_g = fma(Rows(w_hh[w + 2u * HIDDEN]), v3, part_g);
            part_o = fma(Rows(w_hh[w + 3u * HIDDEN]), v3, part_o);
            w += 4u * HIDDEN;
        }
        for (; i < size; i++) {
            let v0 = block[i];
            part_i = fma(Rows(w_hh[w]), v0, part_i);
            part_f = fma(Rows(w_hh[w + HIDDEN]), v0, part_f);
            part_g = fma(Rows(w_hh[w + 2u * HIDDEN]), v0, part_g);
            part_o = fma(Rows(w_hh[w + 3u * HIDDEN]), v0, part_o);
            w += 4u * HIDDEN;
        }
        sum_i += part_i;
        sum_f += part_f;
        sum_g += part_g;
        sum_o += part_o;
    }
    if (unit >= HIDDEN) {
        return;
    }
    let a = projected(tile, unit, 4u);
    let input_gate = sigmoid(xw[a] + sum_i);
    let forget_gate = sigmoid(xw[a + HIDDEN] + sum_f);
    let candidate = tanh_rational(xw[a + 2u * HIDDEN] + sum_g);
    let output_gate = sigmoid(xw[a + 3u * HIDDEN] + sum_o);
    let c_next = fma(forget_gate, c[state + unit], input_gate * candidate);
    let h = output_gate * tanh_rational(c_next);
    c[state + unit] = c_next;
    h_next[state + unit] = h;
    store_y(tile, unit, h);
}
