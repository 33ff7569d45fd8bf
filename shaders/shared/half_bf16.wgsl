// Two bf16 in a word, the first in the lower half: the upper halves of two f32.

fn unpack(word: u32) -> vec2<f32> {
    return vec2<f32>(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}

// To the nearest, ties to even. A NaN, whose bits rounding could carry into a number's, stays one.
fn pack(v: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(v);
    let nearest = (bits + vec2<u32>(0x7fffu) + ((bits >> vec2<u32>(16u)) & vec2<u32>(1u))) >> vec2<u32>(16u);
    let is_nan = (bits & vec2<u32>(0x7fffffffu)) > vec2<u32>(0x7f800000u);
    let rounded = select(nearest, vec2<u32>(0x7fc0u), is_nan);
    return rounded.x | (rounded.y << 16u);
}
