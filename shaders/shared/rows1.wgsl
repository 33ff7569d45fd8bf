// A thread has one row of the batch.
alias Rows = f32;
alias Counts = u32;
alias Mask = bool;
const ROWS: u32 = 1u;

fn row(v: Rows, r: u32) -> f32 {
    return v;
}

fn with_row(v: Rows, r: u32, value: f32) -> Rows {
    return value;
}

fn count(v: Counts, r: u32) -> u32 {
    return v;
}
