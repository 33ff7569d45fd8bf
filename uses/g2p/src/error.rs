//! Errors of this crate.

use std::fmt;

use crate::WIDEST_BEAM;

/// The result of a call that may fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. Its text says what was found, what was expected and what to try.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A word that has no pronunciation by this model.
    Word {
        /// Its place among the words given.
        at: usize,
        /// The word.
        word: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// A file that is not a model of this kind.
    Model {
        /// The file.
        source: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// A line of a dictionary that is not a word with its phonemes.
    Dictionary {
        /// The line's number, from 1.
        line: usize,
        /// What was found and what was expected.
        reason: String,
    },
    /// A beam of no hypothesis, or of more than [`WIDEST_BEAM`].
    Beam(usize),
    /// An error of the engine.
    Engine(wgru::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word { at, word, reason } => write!(f, "word {}, {word:?}: {reason}", at + 1),
            Self::Model { source, reason } => write!(f, "{source}: {reason}"),
            Self::Dictionary { line, reason } => write!(f, "line {line}: {reason}"),
            Self::Beam(width) => write!(f, "a beam of {width} hypotheses: expected 1 to {WIDEST_BEAM}"),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Engine(error) => Some(error),
            _ => None,
        }
    }
}

impl From<wgru::Error> for Error {
    fn from(error: wgru::Error) -> Self {
        Self::Engine(error)
    }
}
