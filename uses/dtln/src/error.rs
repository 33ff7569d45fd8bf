//! Errors of this crate.

use crate::LOUDEST;

/// The result of a call that may fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. Its text says what was found, what was expected and what to try.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file is not the core of DTLN that it was given as.
    #[error("core {core} of DTLN: {reason}")]
    Core {
        /// 1 or 2.
        core: u8,
        /// What was found and what was expected.
        reason: String,
    },
    /// A sample that is NaN, infinite or beyond [`LOUDEST`].
    #[error(
        "sample {at} is {value}, expected a number from -{LOUDEST} to {LOUDEST} (full scale is 1): scale the samples"
    )]
    Sample {
        /// Its place in the slice.
        at: usize,
        /// Its value.
        value: f32,
    },
    /// Slices of different length where one sample out is computed for each in.
    #[error("{given} samples with room for {out} outputs: both slices need the same length")]
    Lengths {
        /// Samples given.
        given: usize,
        /// Places for outputs.
        out: usize,
    },
    /// A stream, by its number, that is not open in the pool.
    #[error("stream {0} is not open in this pool: use an id of its Pool::open")]
    Closed(u64),
    /// A stream, by its number, that was given a hop while another waits.
    #[error("stream {0} has a hop that waits: call Pool::tick before the next")]
    Waiting(u64),
    /// An error of the engine.
    #[error("{0}")]
    Engine(#[from] wgru::Error),
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
