// Words of one row: four units at once.
const AT_ONCE: u32 = 4u;

fn load_words(start: u32, units: array<u32, AT_ONCE>) -> vec4<u32> {
    return vec4<u32>(
        atomicLoad(&exchange_buffer[start + units[0]]), atomicLoad(&exchange_buffer[start + units[1]]),
        atomicLoad(&exchange_buffer[start + units[2]]), atomicLoad(&exchange_buffer[start + units[3]]),
    );
}

fn decoded(words: vec4<u32>, which: u32) -> Rows {
    return bitcast<f32>(~words[which]);
}
