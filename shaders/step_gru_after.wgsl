// One GRU step, reset after: recurrent product, gates and state update fused. Thread = hidden unit × ROWS
// batch rows × all gates; workgroup (x, y) = units × tile of rows. Gates r z n.
//
//   r = σ(xw_r + R_r h)   z = σ(xw_z + R_z h)   n = tanh(xw_n + r ⊙ (R_n h + c_n))   h' = blend(z, h, n)

@group(0) @binding(5) var<storage, read> b_hn: array<f32>;            // [H], c_n
@group(0) @binding(6) var<storage, read> h_prev: array<Rows>;         // [⌈B/ROWS⌉, H]
@group(0) @binding(7) var<storage, read_write> h_next: array<Rows>;   // [⌈B/ROWS⌉, H]

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    let column = min(unit, HIDDEN - 1u);   // threads past H still load and take part in barriers
    let tile = group.y;
    let state = tile * HIDDEN;

    var sum_r = Rows(0.0);
    var sum_z = Rows(0.0);
    var sum_n = Rows(0.0);
    for (var k = 0u; k < HIDDEN; k += BLOCK) {
        let size = min(BLOCK, HIDDEN - k);
        workgroupBarrier();
        for (var i = lane; i < size; i += WIDTH) {
            block[i] = h_prev[state + k + i];
        }
        workgroupBarrier();
        var part_r = Rows(0.0);
        var part_z = Rows(0.0);
        var part_n = Rows(0.0);
        var w = k * 3u * HIDDEN + column;
        var i = 0u;
        for (; i + 4u <= size; i += 4u) {
            let v0 = block[i];
            part_r = fma(Rows(w_hh[w]), v0, part_r);
            part_z = fma(Rows(w_hh[w + HIDDEN]), v0, part_z);
            part_n = fma(Rows(w_hh[w + 2u * HIDDEN]), v0, part_n);
            w += 3u * HIDDEN;
            let v1 = block[i + 1u];
            part_r = fma(Rows(w_hh[w]), v1, part_r);
            part_z = fma(Rows(w_hh[w + HIDDEN]), v1, part_z);
            part_n = fma(Rows(w_hh[w + 2u * HIDDEN]), v1, part_n);
            w += 3u * HIDDEN;
            let v2 = block[i + 2u];
            part_r = fma(Rows(w_hh[w]), v2, part_r);
            part_z = fma(Rows(w_hh[w + HIDDEN]), v2, part_z);
            part_n = fma(Rows(w_hh[w + 2u * HIDDEN]), v2, part_n);
            w += 3u * HIDDEN;
            let v3 = block[i + 3u];
            part_r = fma(Rows(w_hh[w]), v3, part_r);
            part_z = fma(Rows(w_hh[w + HIDDEN]), v3, part_z);
            part_n = fma(Rows(w_hh[w + 2u * HIDDEN]), v3, part_n);
            w += 3u * HIDDEN;
        }
        for (; i < size; i++) {
            let v0 = block[i];
            part_r = fma(Rows(w_hh[w]), v0, part_r);
            part_z = fma(Rows(w_hh[w + HIDDEN]), v0, part_z);
            part_n = fma(Rows(w_hh[w + 2u * HIDDEN]), v0, part_n);
            w += 3u * HIDDEN;
        }
        sum_r += part_r;
        sum_z += part_z;
        sum_n += part_n;
    }
    if (unit >= HIDDEN) {
        return;
    }
    let a = projected(tile, unit, 3u);
    let r = sigmoid(xw[a] + sum_r);
    let z = sigmoid(xw[a + HIDDEN] + sum_z);
    let n = tanh_rational(fma(r, sum_n + Rows(b_hn[unit]), xw[a + 2u * HIDDEN]));
    let h = blend(z, h_prev[state + unit], n);
    h_next[state + unit] = h;
    store_y(tile, unit, h);
}
