// Keeps what a kernel computes rounded to f16, as kept.wgsl reads it: h for the next step, or the vector of the second half
// of a step.

@group(0) @binding(15) var<storage, read_write> next_f16: array<f16>;

fn keep(dir: u32, tile: u32, unit: u32, h: Rows) {
    let v = within_f16(h);
    for (var r = 0u; r < ROWS; r++) {
        let at = (dir * params.tiles + tile) * ROWS + r;
        next_f16[at * ((HIDDEN + 7u) / 8u) * 8u + unit] = f16(row(v, r));
    }
}
