// The reset at the beginning of a step of persistent.wgsl.

// h before step t of the chunk, stored to `vector` for all threads of the workgroup.
fn begun_anew(dir: u32, tile: u32, at: Place, t: u32, h: Rows) -> Rows {
    // The step before may still read a neighbour's h.
    workgroupBarrier();
    var now_h = h;
    if (at.share == 0u) {
        now_h = begun(dir, tile, t, h, initial_of(state_of(dir, tile) + at.unit));
        set_element(at.front, at.unit, now_h);
        begin_kept(dir, tile, at.unit, t);
    }
    workgroupBarrier();
    return now_h;
}
