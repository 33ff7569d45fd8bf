// Eight consecutive k of a row or a column, which are loaded and stored together.
struct Eight {
    low: vec4<f16>,
    high: vec4<f16>,
}

// The same in workgroup memory. Matrices are loaded from it by pointers to single numbers, as Metal requires them.
alias Octet = array<f16, 8>;

fn octet(e: Eight) -> Octet {
    return Octet(e.low.x, e.low.y, e.low.z, e.low.w, e.high.x, e.high.y, e.high.z, e.high.w);
}

// The eight numbers of k and after it, with 0 from K on.
fn below(e: Eight, k: u32) -> Eight {
    let places = vec4<u32>(k) + vec4<u32>(0u, 1u, 2u, 3u);
    let zero = vec4<f16>();
    return Eight(
        select(zero, e.low, places < vec4<u32>(K)),
        select(zero, e.high, places + vec4<u32>(4u) < vec4<u32>(K)),
    );
}
