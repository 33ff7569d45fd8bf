//! Errors of this crate.

use crate::WIDEST_BEAM;

/// The result of a call that may fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. Its text says what was found, what was expected and what to try.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A word that has no pronunciation by this model.
    #[error("word {}, {word:?}: {reason}", at + 1)]
    Word {
        /// Its place among the words given.
        at: usize,
        /// The word.
        word: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// A file that is not a model of this kind.
    #[error("{file}: {reason}")]
    Model {
        /// The file.
        file: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// A line of a dictionary that is not a word with its phonemes.
    #[error("line {line}: {reason}")]
    Dictionary {
        /// The line's number, from 1.
        line: usize,
        /// What was found and what was expected.
        reason: String,
    },
    /// A beam of no hypothesis, or of more than [`WIDEST_BEAM`].
    #[error("a beam of {0} hypotheses: expected 1 to {WIDEST_BEAM}")]
    Beam(usize),
    /// An error of the engine.
    #[error("{0}")]
    Engine(#[from] wgru::Error),
}
