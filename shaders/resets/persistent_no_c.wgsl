// A cell without states beside h.
fn begin_kept(dir: u32, tile: u32, unit: u32, t: u32) {}
