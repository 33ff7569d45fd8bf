// The first half of a GRU step, reset before: the candidate's product needs r ⊙ h of all units, so the
// step takes two dispatches. Thread and workgroup as in step_gru_after. Gates r z n.
//
//   z = σ(xw_z + R_z h)   rh = σ(xw_r + R_r h) ⊙ h

@group(0) @binding(5) var<storage, read> h_prev: array<Rows>;         // [⌈B/ROWS⌉, H]
@group(0) @binding(6) var<storage, read_write> rh: array<Rows>;       // [⌈B/ROWS⌉, H]
@group(0) @binding(7) var<storage, read_write> z: array<Rows>;        // [⌈B/ROWS⌉, H]

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let unit = group.x * WIDTH + lane;
    let column = min(unit, HIDDEN - 1u);   // threads past H still load and take part in barriers
    let tile = group.y;
    let state = tile * HIDDEN;

    var sum_r = Rows(0.0);
    var sum_z = Rows(0.0);
    for (var k = 0u; k < HIDDEN; k += BLOCK) {
        let size = min(BLOCK, HIDDEN - k);
        workgroupBarrier();
        for (var i = lane; i < size; i += WIDTH) {
            block[i] = h_prev[state + k + i];
        }
        workgroupBarrier();
        var part_r = Rows(0.0);
        var part_z = Rows(0.0);
        var w = k * 3u * HIDDEN + column;
        var i = 0u;
        for (; i + 4u <= size; i += 4u) {
            let v0 = block[i];
            part_r = fma(Rows(w_hh[w]), v0, part_r);
            part_z = fma(Rows(w_hh[w + HIDDEN]), v0, part_z);
            w += 3u * HIDDEN;
            let v1 = block[i + 1u];
            part_r = fma(Rows(w_hh[w]), v1, part_r);
            part_z = fma(Rows(w_hh[w + HIDDEN]), v1, part_z);
            w += 3u * HIDDEN;
            let v2 = block[i + 2u];
            part_r = fma(Rows(w_hh[w]), v2, part_r);
            part_z = fma(Rows(w_hh[w + HIDDEN]), v2, part_z);
            w += 3u * HIDDEN;
            let v3 = block[i + 3u];
            part_r = fma(Rows(w_hh[w]), v3, part_r);
            part_z = fma(Rows(w_hh[w + HIDDEN]), v3, part_z);
            w += 3u * HIDDEN;
        }
        for (; i < size; i++) {
            let v0 = block[i];
            part_r = fma(Rows(w_hh[w]), v0, part_r);
            part_z = fma(Rows(w_hh[w + HIDDEN]), v0, part_z);
            w += 3u * HIDDEN;
        }
        sum_r += part_r;
        sum_z += part_z;
    }
    if (unit >= HIDDEN) {
        return;
    }
    let a = projected(tile, unit, 3u);
    rh[state + unit] = sigmoid(xw[a] + sum_r) * h_prev[state + unit];
    z[state + unit] = sigmoid(xw[a + HIDDEN] + sum_z);
}
