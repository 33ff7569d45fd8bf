// The array that a matmul reads, of f16, for devices that compute in f16. Its rows may begin anywhere.

@group(0) @binding(1) var<storage, read> x: array<f16>;            // strided by params

const X_OCTET: u32 = 8u;       // elements of x from eight k to the next eight

fn x_place(start: u32) -> u32 {
    return start;
}

fn x_eight(at: u32) -> Eight {
    return Eight(
        vec4<f16>(x[at], x[at + 1u], x[at + 2u], x[at + 3u]),
        vec4<f16>(x[at + 4u], x[at + 5u], x[at + 6u], x[at + 7u]),
    );
}
