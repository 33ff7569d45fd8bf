// The eight numbers of a row from k on, of which some or all may lie past K.
fn a_rest(at: u32, k: u32) -> Eight {
    if (k >= K) {
        return Eight();
    }
    return below(a_eight(at), k);
}
