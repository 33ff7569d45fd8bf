// What is merged, two 16-bit numbers in a word; `unpack` and `pack` are those of the storage type.

@group(0) @binding(1) var<storage, read> both: array<u32>;         // [2, words], forward and reverse
@group(0) @binding(2) var<storage, read_write> out: array<u32>;    // [words]

fn merged_word(forward: u32, reverse: u32) -> u32 {
    let f = unpack(forward);
    let r = unpack(reverse);
    return pack(vec2<f32>(merged(f.x, r.x), merged(f.y, r.y)));
}
