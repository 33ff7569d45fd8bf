//! A summary of a run in pieces.

use std::fmt;

use crate::error::count as counted;

/// The pieces that a batch is run in where it does not fit a GPU, or [`Options::memory`](crate::Options::memory), at once.
/// Results have the bits of a run at once. `Display` gives it as one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pieces {
    /// Their number, if every sequence has all steps.
    pub count: usize,
    /// Rows of a piece, at the most.
    pub rows: usize,
    /// Steps of a piece, at the most.
    pub steps: usize,
    /// Whether rows are cut by steps: then each piece is of one direction of one layer of one row.
    pub by_steps: bool,
}

impl fmt::Display for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, rows, steps, by_steps } = self;
        write!(f, "in {} of ", counted(*count, "piece"))?;
        match by_steps {
            true => {
                write!(f, "up to {}, each of one direction of a layer and one row", counted(*steps, "step"))
            }
            false => write!(f, "up to {}", counted(*rows, "row")),
        }
    }
}
