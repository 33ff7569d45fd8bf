// The array that a matmul reads, two 16-bit numbers in a word; `unpack` is that of the storage type. Its strides
// count numbers.

@group(0) @binding(1) var<storage, read> x: array<u32>;            // strided by params

fn x_value(at: u32) -> f32 {
    return unpack(x[at / 2u])[at % 2u];
}
