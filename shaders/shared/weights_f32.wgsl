// A weight matrix as it is, [D, ⌈K/4⌉, N] of four k each, which are 0 past K.
//
// Kernels walk down a column four k at a time, so that one text serves this and the packed forms: `quad_at` begins at a
// multiple of four, `quad` gives k to k + 3, and N further lie the next four.

@group(0) @binding(3) var<storage, read> w: array<vec4<f32>>;

fn quad_at(dir: u32, k: u32, n: u32) -> u32 {
    return (dir * ((K + 3u) / 4u) + k / 4u) * N + n;
}

fn quad(at: u32) -> vec4<f32> {
    return w[at];
}
