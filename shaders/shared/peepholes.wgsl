// An LSTM's peepholes: p_i ⊙ c, p_f ⊙ c and p_o ⊙ c' join the inputs of i, f and o.

@group(0) @binding(12) var<storage, read> peepholes: array<f32>;       // [D, 3·H], p_i p_f p_o

var<private> own_peepholes: vec3<f32>;

fn enter_peepholes(dir: u32, unit: u32) {
    let at = dir * 3u * HIDDEN + unit;
    own_peepholes = vec3<f32>(peepholes[at], peepholes[at + HIDDEN], peepholes[at + 2u * HIDDEN]);
}

fn peep(place: u32, c: Rows, x: Rows) -> Rows {
    return fma(Rows(own_peepholes[place]), c, x);
}
