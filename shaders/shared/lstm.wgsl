// The gates of an LSTM. c is updated in place, since only its own thread reads it. Gates i f g o.
//
//   i = f(xw_i + R_i h + p_i ⊙ c)   f = f(xw_f + R_f h + p_f ⊙ c) or 1 − i   g = g(xw_g + R_g h)
//   c' = f ⊙ c + i ⊙ g              o = f(xw_o + R_o h + p_o ⊙ c')           h' = o ⊙ h(c')

@group(0) @binding(5) var<storage, read_write> c: array<Rows>;        // [D, ⌈B/ROWS⌉, H]

override COUPLED: bool;        // f = 1 − i

// Updates c of `unit` and returns h'.
fn lstm(dir: u32, tile: u32, unit: u32, sum: array<Rows, GATES>) -> Rows {
    let state = state_of(dir, tile) + unit;
    let a = projected(dir, tile, unit);
    let c_prev = c[state];
    let i = gate(dir, peep(dir, 0u, unit, c_prev, xw[a] + sum[0]));
    var f = Rows(1.0) - i;
    if (!COUPLED) {
        f = gate(dir, peep(dir, 1u, unit, c_prev, xw[a + HIDDEN] + sum[1]));
    }
    let g = candidate(dir, xw[a + 2u * HIDDEN] + sum[2]);
    let c_next = kept(fma(f, c_prev, i * g));
    let o = gate(dir, peep(dir, 2u, unit, c_next, xw[a + 3u * HIDDEN] + sum[3]));
    c[state] = select(c_prev, c_next, running(tile));
    return o * output(dir, c_next);
}
