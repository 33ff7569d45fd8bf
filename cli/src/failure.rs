//! The ways in which a command fails.

use crate::suggest;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The results exceed the tolerance: exit status 1.
    Verification(String),
    /// It could not be done: exit status 2.
    Error(String),
}

/// The result of a command.
pub type Outcome<T = ()> = Result<T, Failure>;

impl From<wgru::Error> for Failure {
    fn from(error: wgru::Error) -> Self {
        Self::of_names(&error, &[])
    }
}

impl Failure {
    /// An error of the library, with the names that options gave, one of which may not be there.
    pub fn of_names(error: &wgru::Error, given: &[&str]) -> Self {
        Self::Error(format!("{error}{}", suggest::for_error(error, given)))
    }
}

/// An error with a name in front: `file: reason`.
pub fn error(name: impl std::fmt::Display, reason: impl std::fmt::Display) -> Failure {
    Failure::Error(format!("{name}: {reason}"))
}

/// An error for a file that this build cannot read or write, because a feature is not enabled.
#[cfg(not(all(feature = "onnx", feature = "keras")))]
pub fn without(path: &std::path::Path, feature: &str) -> Failure {
    let reason = format!(
        "this wgru was built without the feature \"{feature}\", which such a file needs; build it with --features {feature}"
    );
    error(path.display(), reason)
}
