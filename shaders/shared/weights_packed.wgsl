// A weight matrix of 16-bit numbers, [D, ⌈K/4⌉, N] of four k each, which are 0 past K; `unpack` is that of the storage
// type. weights_f32.wgsl describes its functions.

@group(0) @binding(3) var<storage, read> w: array<vec2<u32>>;

fn quad_at(dir: u32, k: u32, n: u32) -> u32 {
    return (dir * ((K + 3u) / 4u) + k / 4u) * N + n;
}

fn quad(at: u32) -> vec4<f32> {
    let words = w[at];
    return vec4<f32>(unpack(words.x), unpack(words.y));
}
