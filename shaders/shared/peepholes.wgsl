// An LSTM's peepholes: p_i ⊙ c, p_f ⊙ c and p_o ⊙ c' join the inputs of i, f and o.

@group(0) @binding(9) var<storage, read> peepholes: array<f32>;       // [D, 3·H], p_i p_f p_o

fn peep(dir: u32, place: u32, unit: u32, c: Rows, x: Rows) -> Rows {
    return fma(Rows(peepholes[(dir * 3u + place) * HIDDEN + unit]), c, x);
}
