//! How much of a file an importer takes on: a file of a few kilobytes can claim, or unfold to, any amount.

use crate::error::{Error, Result};

/// The limits of an importer. What exceeds one is refused with the number and the limit's name.
///
/// ```
/// let limits = wgru::import::Limits::default().tensors(10_000).header(1 << 20);
/// let importer = wgru::import::PyTorch::new().limits(limits);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Tensors (of an ONNX file initialisers and nodes, of a Keras file arrays and layers), of a model in several
    /// files in all of them: 1,000,000.
    pub tensors: u64,
    /// Bytes of what describes the tensors (a header, a configuration), of each file: 256 MiB. The safetensors
    /// format itself allows 100 MB.
    pub header: u64,
    /// Bytes that a file's compressed parts unfold to, archives within archives included, all together: 4 GiB.
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

    /// Holds a number of tensors against the limit; `source` names the file.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more tensors than the limit.
    pub(super) fn check_tensors(&self, source: &str, tensors: u64) -> Result<()> {
        check(source, tensors, self.tensors, "tensors", "tensors")
    }

    /// Holds the length of a header against the limit; `source` names the file.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a longer header than the limit.
    pub(super) fn check_header(&self, source: &str, bytes: u64) -> Result<()> {
        check(source, bytes, self.header, "bytes of header", "header")
    }

    /// Holds what was unfolded so far against the limit: `bytes` are those of all parts together.
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
