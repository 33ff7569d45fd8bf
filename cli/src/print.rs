//! Printing to standard output.

use std::io::{ErrorKind, Write};

use crate::failure::{Outcome, error};

/// Prints `text`. A reader that has gone away (`wgru … | head`) is no error.
///
/// # Errors
/// What the system refuses.
pub fn print(text: &str) -> Outcome {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(reason) if reason.kind() != ErrorKind::BrokenPipe => Err(error("standard output", reason)),
        _ => Ok(()),
    }
}
