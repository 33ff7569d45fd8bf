// The second half of a GRU step, reset before. c_n stands outside every product here, so it is part of xw_n.
//
//   n = tanh(xw_n + R_n rh)   h' = blend(z, h, n)

@group(0) @binding(5) var<storage, read> rh: array<Rows>;             // [⌈B/ROWS⌉, H]
@group(0) @binding(6) var<storage, read> z: array<Rows>;              // [⌈B/ROWS⌉, H]
@group(0) @binding(7) var<storage, read> h_prev: array<Rows>;         // [⌈B/ROWS⌉, H]
@group(0) @binding(8) var<storage, read_write> h_next: array<Rows>;   // [⌈B/ROWS⌉, H]

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    let column = min(unit, HIDDEN - 1u);   // threads past H still load and take part in barriers
    let tile = group.y;
    let state = tile * HIDDEN;

    var sum_n = Rows(0.0);
    for (var k = 0u; k < HIDDEN; k += BLOCK) {
        let size = min(BLOCK, HIDDEN - k);
        workgroupBarrier();
        for (var i = lane; i < size; i += WIDTH) {
            block[i] = rh[state + k + i];
        }
        workgroupBarrier();
        var part_n = Rows(0.0);
        var w = k * 3u * HIDDEN + column;
        var i = 0u;
        for (; i + 4u <= size; i += 4u) {
            part_n = fma(Rows(w_hh[w + 2u * HIDDEN]), block[i], part_n);
            w += 3u * HIDDEN;
            part_n = fma(Rows(w_hh[w + 2u * HIDDEN]), block[i + 1u], part_n);
            w += 3u * HIDDEN;
            part_n = fma(Rows(w_hh[w + 2u * HIDDEN]), block[i + 2u], part_n);
            w += 3u * HIDDEN;
            part_n = fma(Rows(w_hh[w + 2u * HIDDEN]), block[i + 3u], part_n);
            w += 3u * HIDDEN;
        }
        for (; i < size; i++) {
            part_n = fma(Rows(w_hh[w + 2u * HIDDEN]), block[i], part_n);
            w += 3u * HIDDEN;
        }
        sum_n += part_n;
    }
    if (unit >= HIDDEN) {
        return;
    }
    let n = tanh_rational(xw[projected(tile, unit, 3u) + 2u * HIDDEN] + sum_n);
    let h = blend(z[state + unit], h_prev[state + unit], n);
    h_next[state + unit] = h;
    store_y(tile, unit, h);
}
