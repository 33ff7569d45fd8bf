// Words of four rows: one unit at once.
const AT_ONCE: u32 = 1u;

fn load_words(start: u32, units: array<u32, AT_ONCE>) -> vec4<u32> {
    let at = start + units[0] * 4u;
    return vec4<u32>(
        atomicLoad(&exchange_buffer[at]), atomicLoad(&exchange_buffer[at + 1u]), atomicLoad(&exchange_buffer[at + 2u]), atomicLoad(&exchange_buffer[at + 3u]),
    );
}

fn decoded(words: vec4<u32>, which: u32) -> Rows {
    return bitcast<vec4<f32>>(~words);
}
