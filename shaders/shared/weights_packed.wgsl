// A weight matrix of 16-bit numbers, [D, ⌈K/2⌉, N] words of k and k + 1; `unpack` is that of the storage type. Where K
// is odd the last word's upper half is 0.

@group(0) @binding(3) var<storage, read> w: array<u32>;

fn pair_at(dir: u32, k: u32, n: u32) -> u32 {
    return (dir * ((K + 1u) / 2u) + k / 2u) * N + n;
}

fn pair(at: u32) -> vec2<f32> {
    return unpack(w[at]);
}

fn next_pair(at: u32) -> u32 {
    return at + N;
}

fn half_pair(at: u32) -> f32 {
    return unpack(w[at]).x;
}

fn weight(dir: u32, k: u32, n: u32) -> f32 {
    return unpack(w[pair_at(dir, k, n)])[k % 2u];
}
