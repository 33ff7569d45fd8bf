// Two f16 in a word, the first in the lower half; no device feature is needed for it.

fn unpack(word: u32) -> vec2<f32> {
    return unpack2x16float(word);
}

// To the nearest, as far as the driver rounds so; beyond f16's range to its largest number, since what the
// conversion makes of it is left open. Infinities and NaN, which that holds for too, are put together from their bits.
fn pack(v: vec2<f32>) -> u32 {
    let word = pack2x16float(clamp(v, vec2<f32>(-65504.0), vec2<f32>(65504.0)));
    let bits = bitcast<vec2<u32>>(v);
    let magnitude = bits & vec2<u32>(0x7fffffffu);
    let sign = (bits >> vec2<u32>(16u)) & vec2<u32>(0x8000u);
    let other = sign | select(vec2<u32>(0x7c00u), vec2<u32>(0x7e00u), magnitude > vec2<u32>(0x7f800000u));
    let rounded = select(vec2<u32>(word & 0xffffu, word >> 16u), other, magnitude >= vec2<u32>(0x7f800000u));
    return rounded.x | (rounded.y << 16u);
}
