// The array that a matmul reads, of f16, for devices that compute in f16.

@group(0) @binding(1) var<storage, read> x: array<f16>;            // strided by params
