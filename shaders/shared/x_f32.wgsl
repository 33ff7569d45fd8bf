// The array that a matmul reads, as it is.

@group(0) @binding(1) var<storage, read> x: array<f32>;            // strided by params

fn x_value(at: u32) -> f32 {
    return x[at];
}
