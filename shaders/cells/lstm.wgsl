// An LSTM without a projection.

fn advance(
    dir: u32, tile: u32, unit: u32, h: Rows, input: array<Rows, COLUMNS>, sum: array<Rows, GATES>,
) -> Rows {
    return lstm(dir, tile, input, sum);
}
