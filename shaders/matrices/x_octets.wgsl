// The array that a matmul reads, of f16, where K and the beginning of each row are multiples of 8.

@group(0) @binding(1) var<storage, read> x: array<Eight>;          // strided by params

const X_OCTET: u32 = 1u;       // elements of x from eight k to the next eight

fn x_place(start: u32) -> u32 {
    return start / 8u;
}

fn x_eight(at: u32) -> Eight {
    return x[at];
}
