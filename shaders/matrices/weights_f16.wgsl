// A weight matrix of f16, [D, ⌈K/4⌉, N] of four k each, which are 0 past K, for devices that compute in f16.

@group(0) @binding(3) var<storage, read> w: array<vec4<f16>>;

// Where the first eight k of column n are; the next eight are 2·N further.
fn w_at(dir: u32, n: u32) -> u32 {
    return dir * ((K + 3u) / 4u) * N + n;
}

fn w_eight(at: u32) -> Eight {
    return Eight(w[at], w[at + N]);
}

// The eight numbers from k on, of which some or all may lie past K.
fn w_rest(at: u32, k: u32) -> Eight {
    var e = Eight();
    if (k < K) {
        e.low = w[at];
    }
    if (k + 4u < K) {
        e.high = w[at + N];
    }
    return e;
}
