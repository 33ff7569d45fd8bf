// The projected input, w_ih x with every bias that no product encloses.

@group(0) @binding(2) var<storage, read> xw: array<Rows>;      // [D, T, ⌈B/ROWS⌉, G·H]

// Index into xw of gate 0 of `unit`; the next gates follow at HIDDEN.
fn projected(dir: u32, tile: u32, unit: u32) -> u32 {
    return dir * params.xw_dir + (index.t * params.tiles + tile) * N + unit;
}
