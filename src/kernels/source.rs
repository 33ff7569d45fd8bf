//! The files from which the texts of several kernels are made.

use super::Rows;
use crate::dtype::{Precision, Storage};

/// The text of a file under `shaders/`, for a file of this folder, and with `..` for one of a folder below. Paths are
/// relative to the file that names them, not to the package's folder: `tests/sound` is another package of the same
/// files.
macro_rules! wgsl {
    ($name:literal) => {
        include_str!(concat!("../../shaders/", $name))
    };
    (.. $name:literal) => {
        include_str!(concat!("../../../shaders/", $name))
    };
}
pub(super) use wgsl;

/// How workgroups are assigned to tiles of rows.
pub(super) const INTERLEAVE: &str = wgsl!("shared/interleave.wgsl");

/// The rows of a thread.
pub(super) fn rows(rows: Rows) -> &'static str {
    match rows {
        Rows::One => wgsl!("shared/rows1.wgsl"),
        Rows::Four => wgsl!("shared/rows4.wgsl"),
    }
}

/// The packing of 16-bit numbers, where they are used.
pub(super) fn half(precision: Precision) -> &'static str {
    match precision.half() {
        Some(Storage::Bf16) => wgsl!("shared/half_bf16.wgsl"),
        Some(_) => wgsl!("shared/half_f16.wgsl"),
        None => "",
    }
}

/// The layout of w.
pub(super) fn weights(storage: Storage) -> &'static str {
    if storage.is_half() { wgsl!("shared/weights_packed.wgsl") } else { wgsl!("shared/weights_f32.wgsl") }
}

/// The layout of x.
pub(super) fn x(storage: Storage) -> &'static str {
    if storage.is_half() { wgsl!("shared/x_packed.wgsl") } else { wgsl!("shared/x_f32.wgsl") }
}

/// The storage of y.
pub(super) fn stores(storage: Storage) -> [&'static str; 2] {
    let of_storage =
        if storage.is_half() { wgsl!("shared/store_packed.wgsl") } else { wgsl!("shared/store_f32.wgsl") };
    [wgsl!("shared/store.wgsl"), of_storage]
}

/// The peepholes of an LSTM; empty for other cells.
pub(super) fn peepholes(peepholes: Option<bool>) -> &'static str {
    match peepholes {
        Some(true) => wgsl!("shared/peepholes.wgsl"),
        Some(false) => wgsl!("shared/no_peepholes.wgsl"),
        None => "",
    }
}

/// The projected input, activations and clips.
pub(super) const FUNCTIONS: [&str; 3] =
    [wgsl!("shared/projected.wgsl"), wgsl!("shared/activation.wgsl"), wgsl!("shared/functions.wgsl")];
