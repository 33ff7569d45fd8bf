// A dispatch of one layer.

// Steps before the chunk.
fn first_of(dir: u32) -> u32 {
    return params.first;
}
