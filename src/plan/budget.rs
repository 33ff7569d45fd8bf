//! Bounds on the steps that are taken at a time.

/// Bytes of the projected input that are held at a time.
pub(super) const PROJECTION_BUDGET: u64 = 64 << 20;
/// Steps of one chunk at most: entries of the step index table.
pub(super) const MAX_CHUNK: usize = 4096;
