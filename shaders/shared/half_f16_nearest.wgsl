// Two f16 in a word, the first in the lower half, rounded by whole numbers: to the nearest, ties to even, on every driver,
// so that the host can do the same.

fn unpack(word: u32) -> vec2<f32> {
    return unpack2x16float(word);
}

// Beyond f16's range to its largest number; infinities and NaN stay what they are.
fn pack(v: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(v);
    let magnitude = bits & vec2<u32>(0x7fffffffu);
    let within = min(magnitude, vec2<u32>(0x477fe000u));
    // 13 bits fewer, and an exponent that counts from -15 in place of -127.
    let tie = (within >> vec2<u32>(13u)) & vec2<u32>(1u);
    let normal = (within + vec2<u32>(0xfffu) + tie - vec2<u32>(112u << 23u)) >> vec2<u32>(13u);
    // Below 2⁻¹⁴ f16 are multiples of 2⁻²⁴, as f32 from ½ on.
    let small = bitcast<vec2<u32>>(bitcast<vec2<f32>>(within) + vec2<f32>(0.5)) - vec2<u32>(0x3f000000u);
    var halves = select(normal, small, within < vec2<u32>(113u << 23u));
    let other = select(vec2<u32>(0x7c00u), vec2<u32>(0x7e00u), magnitude > vec2<u32>(0x7f800000u));
    halves = select(halves, other, magnitude >= vec2<u32>(0x7f800000u));
    halves |= (bits >> vec2<u32>(16u)) & vec2<u32>(0x8000u);
    return halves.x | (halves.y << 16u);
}
