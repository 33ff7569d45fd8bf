// A dispatch of several layers, one for each direction, each a chunk behind the one below.

// Held against `kernels::pipelining::Params`.
struct PipeliningParams {
    lag: u32,        // steps that each layer is behind the one below
    x_dir: u32,      // of a matmul: elements of x from a layer's to the next one's
    out_first: u32,  // of a matmul: elements of out before the first
    unused0: u32,
}

@group(0) @binding(13) var<uniform> pipelining: PipeliningParams;

// Steps before the chunk of a layer, of those before the dispatch. Before it has begun it lies below 0, which is beyond every length.
fn first_in(dir: u32, first: u32) -> u32 {
    return first - dir * pipelining.lag;
}
