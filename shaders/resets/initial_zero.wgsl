// The states that rows begin anew with: zero.

fn initial_of(i: u32) -> Rows {
    return Rows();
}
