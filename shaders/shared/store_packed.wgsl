// y of 16-bit numbers, two units in a word, each direction's units rounded up to an even number; `pack` is that of
// the storage type. A word is stored by the thread of its first unit, which takes the second from its neighbour
// through workgroup memory.

@group(0) @binding(4) var<storage, read_write> y: array<u32>;         // strided by params, which count numbers

// Stores the state `h` after the step; every thread of a workgroup calls this.
fn store_y(lane: u32, dir: u32, tile: u32, unit: u32, h: Rows) {
    workgroupBarrier();
    block[lane] = emitted(dir, tile, h);
    workgroupBarrier();
    if (lane % 2u != 0u || unit >= HIDDEN) {
        return;
    }
    let first = block[lane];
    let second = select(Rows(0.0), block[min(lane + 1u, BLOCK - 1u)], unit + 1u < HIDDEN);
    for (var r = 0u; r < ROWS; r++) {
        if (tile * ROWS + r < params.batch) {
            y[(y_at(dir, tile, r) + unit) / 2u] = pack(vec2<f32>(row(first, r), row(second, r)));
        }
    }
}
