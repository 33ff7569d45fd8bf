// Letters of four rows: one unit at once.
const AT_ONCE: u32 = 1u;

fn letters(start: u32, units: array<u32, AT_ONCE>) -> vec4<u32> {
    let at = start + units[0] * 4u;
    return vec4<u32>(
        atomicLoad(&mail[at]), atomicLoad(&mail[at + 1u]), atomicLoad(&mail[at + 2u]), atomicLoad(&mail[at + 3u]),
    );
}

fn opened(letters: vec4<u32>, which: u32) -> Rows {
    return bitcast<vec4<f32>>(~letters);
}
