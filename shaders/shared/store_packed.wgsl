// y of 16-bit numbers, two units in a word, each direction's units rounded up to an even number; `pack` is that of
// the storage type. A word is stored by the thread of its first unit.

@group(0) @binding(4) var<storage, read_write> y: array<u32>;         // strided by params, which count numbers

const PAIRS: bool = true;      // whether a unit's neighbour matters

// Stores the states of a unit and of the next one after the step.
fn store_y(dir: u32, tile: u32, unit: u32, h: Rows, neighbour: Rows) {
    if (unit % 2u != 0u) {
        return;
    }
    let first = emitted(dir, tile, h);
    let second = select(Rows(0.0), emitted(dir, tile, neighbour), unit + 1u < HIDDEN);
    for (var r = 0u; r < ROWS; r++) {
        if (has_y(dir, tile, r)) {
            y[(y_at(dir, tile, r) + unit) / 2u] = pack(vec2<f32>(row(first, r), row(second, r)));
        }
    }
}
