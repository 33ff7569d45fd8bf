//! Errors as JavaScript has them.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use wgru::{Error, ErrorKind};

pub type Result<T> = std::result::Result<T, JsValue>;

/// The kind of an error, in a word.
const fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::WrongUse => "wrong-use",
        ErrorKind::Io => "io",
        ErrorKind::BadFile => "bad-file",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Limit => "limit",
        ErrorKind::NoDevice => "no-device",
        ErrorKind::LostDevice => "lost-device",
        ErrorKind::Driver => "driver",
        _ => "internal",
    }
}

fn of(kind: ErrorKind, message: &str) -> JsValue {
    let error = JsValue::from(js_sys::Error::new(message));
    // Setting a property of an object of one's own cannot fail.
    let _ = Reflect::set(&error, &"kind".into(), &word(kind).into());
    error
}

/// An error of the crate.
pub fn fail(error: Error) -> JsValue {
    of(error.kind(), &error.to_string())
}

/// A wrong argument.
#[cfg(any(feature = "run", feature = "keras"))]
pub fn wrong(message: &str) -> JsValue {
    of(ErrorKind::WrongUse, message)
}

/// A call that does not wait, on a GPU.
#[cfg(feature = "run")]
pub fn cannot_wait() -> JsValue {
    let message = "a browser's thread cannot wait for a GPU: use the call without `Sync` in its name, which returns a Promise";
    of(ErrorKind::Unsupported, message)
}
