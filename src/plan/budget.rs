//! What bounds the steps that are taken at a time.

use crate::kernels::WholeCell;
use crate::model::Layer;

/// Bytes of the projected input that are held at a time.
pub(super) const PROJECTION_BUDGET: u64 = 64 << 20;
/// Bytes of the letters of one chunk of a grouped kernel, which are read soon after they were written: what most caches hold.
pub(super) const MAIL_BUDGET: u64 = 4 << 20;
/// Steps of one chunk at the most: entries of the step index table.
pub(super) const MAX_CHUNK: usize = 4096;

/// Bytes of the letters of one step of a layer, of so many rows.
pub(super) fn letter_bytes(cell: WholeCell, layer: &Layer, padded: usize) -> u64 {
    let letters = [cell.product_count() as usize, layer.direction().count(), layer.hidden(), padded, 4];
    letters.iter().fold(1u64, |bytes, &size| bytes.saturating_mul(size as u64))
}
