//! The files from which the texts of several kernels are made.

use super::Rows;
use crate::dtype::{Precision, Storage};

/// The text of a file under `shaders/`, for a file of this folder, and with `..` for one of a folder below. Paths are
/// relative to the file that names them, not to the package's folder: `tests/sound` is another package of the same
/// files.
macro_rules! wgsl {
    ($name:literal) => {
        $crate::kernels::source::shipped!(include_str!(concat!("../../shaders/", $name)))
    };
    (.. $name:literal) => {
        $crate::kernels::source::shipped!(include_str!(concat!("../../../shaders/", $name)))
    };
}
pub(super) use wgsl;

/// The text that a build contains: all of it, or in WebAssembly, whose users download it, what [`shorten`] leaves.
#[cfg(not(target_arch = "wasm32"))]
macro_rules! shipped {
    ($text:expr) => {
        $text
    };
}
#[cfg(target_arch = "wasm32")]
macro_rules! shipped {
    ($text:expr) => {{
        const TEXT: &str = $text;
        const SHORT: ([u8; TEXT.len()], usize) = $crate::kernels::source::shorten(TEXT);
        const BYTES: [u8; SHORT.1] = $crate::kernels::source::first(&SHORT.0);
        const { $crate::kernels::source::text(&BYTES) }
    }};
}
pub(super) use shipped;

/// A text of WGSL without comments, indentation and empty lines, and how many bytes that is. WGSL has no strings, so `//` always begins
/// a comment.
#[cfg(any(target_arch = "wasm32", test))]
pub(super) const fn shorten<const N: usize>(text: &str) -> ([u8; N], usize) {
    let (text, mut short, mut len) = (text.as_bytes(), [0; N], 0);
    let (mut at, mut is_new_line) = (0, true);
    while at < N {
        if text[at] == b'/' && at + 1 < N && text[at + 1] == b'/' {
            while at < N && text[at] != b'\n' {
                at += 1;
            }
            while len > 0 && short[len - 1] == b' ' {
                len -= 1;
            }
            is_new_line = len == 0 || short[len - 1] == b'\n';
        } else if is_new_line && (text[at] == b' ' || text[at] == b'\n') {
            at += 1;
        } else {
            short[len] = text[at];
            len += 1;
            is_new_line = text[at] == b'\n';
            at += 1;
        }
    }
    (short, len)
}

/// The first of some bytes, N of them.
#[cfg(target_arch = "wasm32")]
pub(super) const fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let (mut first, mut at) = ([0; N], 0);
    while at < N {
        first[at] = bytes[at];
        at += 1;
    }
    first
}

/// Bytes as text.
#[cfg(any(target_arch = "wasm32", test))]
pub(super) const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("a text without its comments is none"),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_indentation_and_empty_lines_go() {
        const TEXT: &str =
            "// Größe.\n//\n\nfn a() {\n    let b = 1 / 2; // half\n\n    // more\n    c();\n}\n// end";
        let (short, len) = shorten::<{ TEXT.len() }>(TEXT);
        assert_eq!(text(&short[..len]), "fn a() {\nlet b = 1 / 2;\nc();\n}\n");
    }
}
