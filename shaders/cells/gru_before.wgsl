// A whole GRU, reset before, in a frame of many steps, which broadcasts r ⊙ h for the candidate's product. c_n stands
// outside every product, so it is part of xw_n. Gates r z n.
//
//   r = f(xw_r + R_r h)   z = f(xw_z + R_z h)   n = g(xw_n + R_n (r ⊙ h))   h' = blend(z, h, n)

const GATES: u32 = 1u;
const FIRST: u32 = 0u;
const COLUMNS: u32 = 3u;

var<private> z: Rows;

fn enter(dir: u32, tile: u32, unit: u32) {}

fn recurrent_sums(dir: u32, at: Place, h: Rows, input: array<Rows, COLUMNS>) -> array<Rows, GATES> {
    let sum = gates_product(dir, at);
    var reset = h;
    if (at.share == 0u) {
        z = gate(dir, input[1] + sum[1]);
        reset = gate(dir, input[0] + sum[0]) * h;
    }
    broadcast(at, at.reset, reset);
    return candidate_product(dir, at);
}

fn advance(
    dir: u32, tile: u32, unit: u32, h: Rows, input: array<Rows, COLUMNS>, sum: array<Rows, GATES>,
) -> Rows {
    return kept(blend(z, h, candidate(dir, input[2] + sum[0])));
}

fn leave(dir: u32, tile: u32, unit: u32) {}
