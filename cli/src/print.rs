//! Standard input and output as `-`, and printing to the latter.

use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::failure::{Outcome, error};

/// Whether a path is that of standard input or standard output, `-`.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Prints `text`. A closed pipe (`wgru … | head`) is no error.
///
/// # Errors
/// The error of the operating system.
pub fn print(text: &str) -> Outcome {
    print_bytes(text.as_bytes())
}

/// [`print`] of bytes.
pub fn print_bytes(bytes: &[u8]) -> Outcome {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(reason) if reason.kind() != ErrorKind::BrokenPipe => Err(error("standard output", reason)),
        _ => Ok(()),
    }
}

/// Prints what a person reads: to standard error if `output`, where a file's content goes, is standard output.
///
/// # Errors
/// As [`print`].
pub fn print_beside(text: &str, output: Option<&Path>) -> Outcome {
    if output.is_some_and(is_standard) {
        eprint!("{text}");
        return Ok(());
    }
    print(text)
}
