//! Errors of this crate.

use std::fmt;

use crate::LOUDEST;

/// The result of a call that may fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. Its text says what was found, what was expected and what to try.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file is not the core of DTLN that it was given as.
    Core {
        /// 1 or 2.
        core: u8,
        /// What was found and what was expected.
        reason: String,
    },
    /// A sample that is NaN, infinite or beyond [`LOUDEST`].
    Sample {
        /// Its place in the slice.
        at: usize,
        /// Its value.
        value: f32,
    },
    /// Slices of different length where one sample out is computed for each in.
    Lengths {
        /// Samples given.
        given: usize,
        /// Places for outputs.
        out: usize,
    },
    /// An error of the engine.
    Engine(wgru::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core { core, reason } => write!(f, "core {core} of DTLN: {reason}"),
            Self::Sample { at, value } => write!(
                f,
                "sample {at} is {value}, expected a number from -{LOUDEST} to {LOUDEST} (full scale is 1): scale the samples"
            ),
            Self::Lengths { given, out } => {
                write!(f, "{given} samples with room for {out} outputs: both slices need the same length")
            }
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

/// # Errors
/// [`Error::Sample`] for the first sample that is no number from −[`LOUDEST`] to [`LOUDEST`]. One of them would stay in the states of
/// the LSTMs and ruin every sample after it.
pub(crate) fn check_samples(samples: &[f32]) -> Result<()> {
    // No branch in the loop that always runs.
    if samples.iter().fold(true, |all, sample| all & is_sample(*sample)) {
        return Ok(());
    }
    match samples.iter().enumerate().find(|(_, value)| !is_sample(**value)) {
        Some((at, &value)) => Err(Error::Sample { at, value }),
        None => Ok(()),
    }
}

/// Not for NaN either.
fn is_sample(value: f32) -> bool {
    value.abs() <= LOUDEST
}
