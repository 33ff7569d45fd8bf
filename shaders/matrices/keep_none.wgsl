// Kernels that need a vector in f16 convert it.
fn keep(dir: u32, tile: u32, unit: u32, h: Rows) {}
