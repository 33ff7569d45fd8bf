// An LSTM's gates and its c, which only the thread of its unit reads; `c_*.wgsl` says where it lies. Gates i f g o.
//
//   i = f(xw_i + R_i h + p_i ⊙ c)   f = f(xw_f + R_f h + p_f ⊙ c) or 1 − i   g = g(xw_g + R_g h)
//   c' = f ⊙ c + i ⊙ g              o = f(xw_o + R_o h + p_o ⊙ c')           h' = o ⊙ h(c')

override COUPLED: bool;        // f = 1 − i

const GATES: u32 = 4u;
const FIRST: u32 = 0u;
const COLUMNS: u32 = 4u;

var<private> c_now: Rows;

fn enter(dir: u32, tile: u32, unit: u32) {
    c_now = c_before(state_of(dir, tile) + unit);
    enter_peepholes(dir, unit);
}

fn leave(dir: u32, tile: u32, unit: u32) {
    keep_c(state_of(dir, tile) + unit, c_now);
}

// Advances c and returns h'.
fn lstm(dir: u32, tile: u32, input: array<Rows, COLUMNS>, sum: array<Rows, GATES>) -> Rows {
    let i = gate(dir, peep(0u, c_now, input[0] + sum[0]));
    var f = Rows(1.0) - i;
    if (!COUPLED) {
        f = gate(dir, peep(1u, c_now, input[1] + sum[1]));
    }
    let g = candidate(dir, input[2] + sum[2]);
    let c_next = kept(fma(f, c_now, i * g));
    let o = gate(dir, peep(2u, c_next, input[3] + sum[3]));
    c_now = select(c_now, c_next, running(dir, tile));
    return o * output(dir, c_next);
}
