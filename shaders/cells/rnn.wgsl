// A plain RNN.
//
//   h' = f(xw + R h)

const GATES: u32 = 1u;
const FIRST: u32 = 0u;
const COLUMNS: u32 = 1u;

fn enter(dir: u32, tile: u32, unit: u32) {}

fn advance(
    dir: u32, tile: u32, unit: u32, h: Rows, input: array<Rows, COLUMNS>, sum: array<Rows, GATES>,
) -> Rows {
    return kept(gate(dir, input[0] + sum[0]));
}

fn leave(dir: u32, tile: u32, unit: u32) {}
