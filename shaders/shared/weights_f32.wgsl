// A weight matrix as it is: [D, K, N] of f32.
//
// Kernels walk down a column two k at a time, so that one text serves this and the packed forms: `pair_at` begins at
// an even k, `pair` gives k and k + 1, `PAIRS` steps lead from a pair to the next.

@group(0) @binding(3) var<storage, read> w: array<f32>;

fn pair_at(dir: u32, k: u32, n: u32) -> u32 {
    return (dir * K + k) * N + n;
}

fn pair(at: u32) -> vec2<f32> {
    return vec2<f32>(w[at], w[at + N]);
}

fn next_pair(at: u32) -> u32 {
    return at + 2u * N;
}

// The first of a pair, where K is odd and the second is not there.
fn half_pair(at: u32) -> f32 {
    return w[at];
}

fn weight(dir: u32, k: u32, n: u32) -> f32 {
    return w[(dir * K + k) * N + n];
}
