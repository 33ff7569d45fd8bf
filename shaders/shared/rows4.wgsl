// A thread has four rows of the batch, one in each lane of a vec4.
alias Rows = vec4<f32>;
alias Counts = vec4<u32>;
alias Mask = vec4<bool>;
const ROWS: u32 = 4u;

fn row(v: Rows, r: u32) -> f32 {
    return v[r];
}

fn with_row(v: Rows, r: u32, value: f32) -> Rows {
    return select(v, Rows(value), vec4<u32>(r) == vec4<u32>(0u, 1u, 2u, 3u));
}

fn count(v: Counts, r: u32) -> u32 {
    return v[r];
}
