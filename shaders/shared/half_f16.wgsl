// Two f16 in a word, the first in the lower half; no device feature is needed for it.

fn unpack(word: u32) -> vec2<f32> {
    return unpack2x16float(word);
}

// To the nearest, as far as the driver rounds so; beyond f16's range to its largest number, since what the
// conversion makes of it is left open.
fn pack(v: vec2<f32>) -> u32 {
    return pack2x16float(clamp(v, vec2<f32>(-65504.0), vec2<f32>(65504.0)));
}
