//! How a command ends when it does not succeed.

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The numbers are beyond the tolerance: exit status 1.
    Verification(String),
    /// It could not be done: exit status 2.
    Error(String),
}

/// What a command returns.
pub type Outcome<T = ()> = Result<T, Failure>;

impl From<wgru::Error> for Failure {
    fn from(error: wgru::Error) -> Self {
        Self::Error(error.to_string())
    }
}

/// An error with a name in front: `file: reason`.
pub fn error(name: impl std::fmt::Display, reason: impl std::fmt::Display) -> Failure {
    Failure::Error(format!("{name}: {reason}"))
}

/// That this build of the command does not read or write a file, for it has not the feature.
#[cfg(not(all(feature = "onnx", feature = "keras")))]
pub fn without(path: &std::path::Path, feature: &str) -> Failure {
    let reason = format!(
        "this wgru was built without the feature \"{feature}\", which such a file needs; build it with --features {feature}"
    );
    error(path.display(), reason)
}
