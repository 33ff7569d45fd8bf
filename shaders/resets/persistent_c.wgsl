// c of an LSTM before step t of the chunk.
fn begin_kept(dir: u32, tile: u32, unit: u32, t: u32) {
    let at = params.tiles * HIDDEN + state_of(dir, tile) + unit;
    c_now = begun(dir, tile, t, c_now, initial_of(at));
}
