//! Printing to standard output.

use std::io::{ErrorKind, Write};

use crate::failure::{Outcome, error};

/// Prints `text`. A closed pipe (`wgru … | head`) is no error.
///
/// # Errors
/// The error of the operating system.
pub fn print(text: &str) -> Outcome {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(reason) if reason.kind() != ErrorKind::BrokenPipe => Err(error("standard output", reason)),
        _ => Ok(()),
    }
}
