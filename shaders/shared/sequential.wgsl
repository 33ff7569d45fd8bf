// A dispatch of one layer.

// Steps before the chunk in a direction, of those before the dispatch.
fn first_in(dir: u32, first: u32) -> u32 {
    return first;
}
