// A weight matrix of f16, [D, ⌈K/4⌉, N] of four k each, which are 0 past K, for devices that compute in f16.

@group(0) @binding(3) var<storage, read> w: array<vec4<f16>>;

// Four k of column n; past K they are 0.
fn four(dir: u32, k: u32, n: u32) -> vec4<f16> {
    if (k >= K) {
        return vec4<f16>();
    }
    return w[(dir * ((K + 3u) / 4u) + k / 4u) * N + n];
}
