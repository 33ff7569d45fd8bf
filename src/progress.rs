//! The progress of the runs in flight.

use std::ops::Deref;
#[cfg(feature = "gpu")]
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The work of an engine's runs in progress, done and in total, in units of the backend's own. Relaxed: it is for display only.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// The part that is done, 0 to 1; 0 where no run is in progress.
    pub(crate) fn fraction(&self) -> f64 {
        let total = self.total.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed).min(total);
        if total == 0 { 0.0 } else { done as f64 / total as f64 }
    }
}

/// The work of one run. On drop, however the run ended, the engine no longer counts it.
#[derive(Debug)]
pub(crate) struct Tally<P: Deref<Target = Progress>> {
    all: P,
    /// Pieces of the run that have not begun.
    pieces: AtomicU64,
    /// Units of the pieces that have.
    begun: AtomicU64,
    done: AtomicU64,
    /// The estimated total of the run.
    total: AtomicU64,
}

/// A tally for a device's callbacks.
#[cfg(feature = "gpu")]
pub(crate) type SharedTally = Arc<Tally<Arc<Progress>>>;

impl<P: Deref<Target = Progress>> Tally<P> {
    /// For a run in `pieces` pieces, none of which has begun.
    pub(crate) fn new(all: P, pieces: usize) -> Self {
        let [begun, done, total] = [const { AtomicU64::new(0) }; 3];
        Self { all, pieces: AtomicU64::new(pieces as u64), begun, done, total }
    }

    /// Sets the number of pieces.
    #[cfg(feature = "gpu")]
    pub(crate) fn set_pieces(&self, pieces: usize) {
        self.pieces.store(pieces as u64, Ordering::Relaxed);
    }

    /// Begins a piece of `units`; the remaining pieces are estimated to have as many. Called by one thread at a time.
    pub(crate) fn begin(&self, units: u64) {
        let left = self.pieces.load(Ordering::Relaxed).saturating_sub(1);
        self.pieces.store(left, Ordering::Relaxed);
        let begun = self.begun.fetch_add(units, Ordering::Relaxed) + units;
        let total = begun.saturating_add(units.saturating_mul(left));
        let before = self.total.swap(total, Ordering::Relaxed);
        // Wraps where a piece is smaller than the one before; the sum wraps back.
        self.all.total.fetch_add(total.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Ends `units`.
    pub(crate) fn end(&self, units: u64) {
        self.done.fetch_add(units, Ordering::Relaxed);
        self.all.done.fetch_add(units, Ordering::Relaxed);
    }
}

impl<P: Deref<Target = Progress>> Drop for Tally<P> {
    fn drop(&mut self) {
        self.all.done.fetch_sub(*self.done.get_mut(), Ordering::Relaxed);
        self.all.total.fetch_sub(*self.total.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_that_of_the_runs_in_flight() {
        let progress = Progress::default();
        assert_eq!(progress.fraction(), 0.0);
        for _ in 0..3 {
            let first = Tally::new(&progress, 1);
            first.begin(8);
            assert_eq!(progress.fraction(), 0.0, "a second run begins as the first");
            first.end(4);
            assert_eq!(progress.fraction(), 0.5);
            let second = Tally::new(&progress, 1);
            second.begin(8);
            assert_eq!(progress.fraction(), 0.25);
            first.end(4);
            // Dropped before its end.
            drop(second);
            assert_eq!(progress.fraction(), 1.0);
            drop(first);
            assert_eq!(progress.fraction(), 0.0);
        }
    }

    #[test]
    fn pieces_that_have_not_begun_count() {
        let progress = Progress::default();
        let run = Tally::new(&progress, 3);
        let mut seen = Vec::new();
        for units in [10, 10, 4] {
            run.begin(units);
            seen.push(progress.fraction());
            run.end(units);
        }
        assert_eq!(seen, [0.0, 10.0 / 30.0, 20.0 / 24.0]);
        assert_eq!(progress.fraction(), 1.0);
        // More than estimated.
        run.begin(24);
        assert_eq!(progress.fraction(), 0.5);
        drop(run);
        assert_eq!((progress.total.into_inner(), progress.done.into_inner()), (0, 0));
    }
}
