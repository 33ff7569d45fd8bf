//! A file that is read whole, or standard input, whose format its first bytes tell.

use std::io::{IsTerminal, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::ending;
use crate::failure::{Outcome, error};
use crate::print::is_standard;

/// What a command reads.
#[derive(Debug)]
pub struct Source {
    /// Its name in messages.
    pub name: String,
    /// The ending of the file's name, or the one that a file of this content would have.
    pub ending: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Source {
    /// Reads a file, or standard input for `-`.
    ///
    /// # Errors
    /// The system's; an empty file; standard input that is a terminal.
    pub fn read(path: &Path) -> Outcome<Self> {
        if !is_standard(path) {
            let name = path.display().to_string();
            let bytes = std::fs::read(path).map_err(|reason| error(&name, reason))?;
            let of_name = ending(path);
            // `<(command)` of a shell is a pipe, whose name says nothing.
            let is_pipe = of_name.is_empty() && !path.is_file();
            let ending = if is_pipe { of_content(&bytes).into() } else { of_name };
            return Self { name, ending, bytes }.not_empty();
        }
        let (name, mut bytes) = ("standard input".to_owned(), Vec::new());
        let mut input = std::io::stdin().lock();
        if input.is_terminal() {
            return Err(error(name, "is a terminal; redirect a file to it, or name the file instead of -"));
        }
        input.read_to_end(&mut bytes).map_err(|reason| error(&name, reason))?;
        let ending = of_content(&bytes).into();
        Self { name, ending, bytes }.not_empty()
    }

    fn not_empty(self) -> Outcome<Self> {
        if self.bytes.is_empty() { Err(error(self.name, "the file is empty")) } else { Ok(self) }
    }

    /// Whether it is a table of text.
    pub fn is_csv(&self) -> bool {
        ["csv", "csv.gz"].contains(&&*self.ending)
    }
}

/// The ending that a file of such bytes has, as far as its first bytes tell; CSV has none of its own.
fn of_content(bytes: &[u8]) -> &'static str {
    const NPY: &[u8] = b"\x93NUMPY";
    if bytes.starts_with(b"PK") {
        return "npz";
    }
    if bytes.starts_with(NPY) {
        return "npy";
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut first = [0; NPY.len()];
        let is_npy = MultiGzDecoder::new(bytes).read_exact(&mut first).is_ok() && first == NPY;
        return if is_npy { "npy.gz" } else { "csv.gz" };
    }
    // The length of a header in JSON, below 16 million, and its beginning.
    if bytes.get(3..9).is_some_and(|bytes| bytes == b"\0\0\0\0\0{") { "safetensors" } else { "csv" }
}
