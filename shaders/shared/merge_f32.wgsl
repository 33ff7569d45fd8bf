// What is merged, as it is.

@group(0) @binding(1) var<storage, read> both: array<f32>;         // [2, words], forward and reverse
@group(0) @binding(2) var<storage, read_write> out: array<f32>;    // [words]

fn merged_word(forward: f32, reverse: f32) -> f32 {
    return merged(forward, reverse);
}
