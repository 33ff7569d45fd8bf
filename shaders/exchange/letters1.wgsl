// Letters of one row: four units at once.
const AT_ONCE: u32 = 4u;

fn letters(start: u32, units: array<u32, AT_ONCE>) -> vec4<u32> {
    return vec4<u32>(
        atomicLoad(&mail[start + units[0]]), atomicLoad(&mail[start + units[1]]),
        atomicLoad(&mail[start + units[2]]), atomicLoad(&mail[start + units[3]]),
    );
}

fn opened(letters: vec4<u32>, which: u32) -> Rows {
    return bitcast<f32>(~letters[which]);
}
