// The states that rows are reset to: zero.

fn initial_of(i: u32) -> Rows {
    return Rows();
}
