//! Limits of an importer on the size of a file: a file of a few kilobytes can claim, or decompress to, any size.

use crate::error::{Error, Result};

/// The limits of an importer. A file beyond one is refused with the number and the limit's name.
///
/// ```
/// let limits = wgru::import::Limits::default().tensors(10_000).header(1 << 20);
/// let importer = wgru::import::PyTorch::new().limits(limits);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Tensors (for ONNX, initialisers and nodes; for Keras, arrays and layers), in all files of the model together:
    /// 1,000,000.
    pub tensors: u64,
    /// Bytes of the metadata of each file that describes its tensors (a header, a configuration): 256 MiB. The
    /// safetensors format itself allows 100 MB.
    pub header: u64,
    /// Bytes that a file's compressed parts decompress to, nested archives included, all together: 4 GiB.
    pub decompressed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tensors: 1_000_000, header: 256 << 20, decompressed: 4 << 30 }
    }
}

impl Limits {
    /// Sets [`Limits::tensors`].
    pub fn tensors(mut self, tensors: u64) -> Self {
        self.tensors = tensors;
        self
    }

    /// Sets [`Limits::header`], in bytes.
    pub fn header(mut self, bytes: u64) -> Self {
        self.header = bytes;
        self
    }

    /// Sets [`Limits::decompressed`], in bytes.
    pub fn decompressed(mut self, bytes: u64) -> Self {
        self.decompressed = bytes;
        self
    }

    /// Checks a number of tensors against the limit; `source` names the file.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more tensors than the limit.
    pub(super) fn check_tensors(&self, source: &str, tensors: u64) -> Result<()> {
        check(source, tensors, self.tensors, "tensors", "tensors")
    }

    /// Checks the length of a header against the limit; `source` names the file.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a longer header than the limit.
    pub(super) fn check_header(&self, source: &str, bytes: u64) -> Result<()> {
        check(source, bytes, self.header, "bytes of header", "header")
    }

    /// Checks the decompressed bytes against the limit: `bytes` are those of all parts so far.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more bytes than the limit.
    #[cfg(any(feature = "keras", test))]
    pub(super) fn check_decompressed(&self, source: &str, bytes: u64) -> Result<()> {
        check(source, bytes, self.decompressed, "bytes decompressed", "decompressed")
    }
}

fn check(source: &str, needed: u64, limit: u64, unit: &'static str, field: &str) -> Result<()> {
    if needed <= limit {
        return Ok(());
    }
    let device = format!("the option import::Limits::{field}");
    Err(Error::TooLarge { name: source.into(), needed, limit, unit, device })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_named_with_both_numbers() {
        let limits = Limits { tensors: 3, ..Limits::default() };
        limits.check_tensors("m", 3).unwrap();
        let error = limits.check_tensors("m.keras", 4).expect_err("one too many").to_string();
        assert_eq!(error, "m.keras: needs 4 tensors, the option import::Limits::tensors allows 3");
        assert!(limits.check_header("m", (256 << 20) + 1).is_err());
        assert!(limits.check_decompressed("m", (4 << 30) + 1).is_err());
    }
}
