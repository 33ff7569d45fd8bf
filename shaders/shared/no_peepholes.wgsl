// An LSTM without peepholes.

fn enter_peepholes(dir: u32, unit: u32) {}

fn peep(place: u32, c: Rows, x: Rows) -> Rows {
    return x;
}
