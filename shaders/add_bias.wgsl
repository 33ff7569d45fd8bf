// out = x + bias, where x is w_ih x already, [B, T, D·N] by strides: thread = column × ROWS rows, workgroup (x, y, z)
// = columns × tile of rows × direction. Rows without x get the bias alone, as from a matmul.

override WIDTH: u32;       // threads of a workgroup, one column each

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let n = group.x * WIDTH + lane;
    let m = interleaved(group.y, (params.rows + ROWS - 1u) / ROWS) * ROWS;
    let dir = group.z;

    if (n >= N || all_ended(dir, m, ROWS)) {
        return;
    }
    for (var r = 0u; r < ROWS; r++) {
        let at = x_at(dir, m + r);
        var value = 0.0;
        if (at != NONE) {
            value = x_value(at + dir * N + n);
        }
        store(dir, m + r, n, value);
    }
}
