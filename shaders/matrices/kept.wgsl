// The vector of the product rounded to f16 by the kernel that computed it, [D, 4·⌈B/4⌉, ⌈K/8⌉] of eight: by each row, and
// not by tiles. Before the first step of a chunk h is not here.

@group(0) @binding(14) var<storage, read> vector_f16: array<Eight>;

const A_OCTET: u32 = 1u;       // elements from eight k to the next eight

fn a_at(dir: u32, first: u32, line: u32) -> u32 {
    let tile = dir * params.tiles + min(first + line / ROWS, params.tiles - 1u);
    return (tile * ROWS + line % ROWS) * ((K + 7u) / 8u);
}

fn a_eight(at: u32) -> Eight {
    return vector_f16[at];
}
