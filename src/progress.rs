//! How far the runs under way are, for whoever wants to show it.

use std::ops::Deref;
#[cfg(feature = "gpu")]
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The work of the runs of an engine that are under way, done and in all, in units of the backend's own. Relaxed: it is for
/// showing only.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// The part that is done, 0 to 1; 0 where nothing is under way.
    pub(crate) fn fraction(&self) -> f64 {
        let total = self.total.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed).min(total);
        if total == 0 { 0.0 } else { done as f64 / total as f64 }
    }
}

/// The work of one run. When it goes, however the run ended, its engine forgets it.
#[derive(Debug)]
pub(crate) struct Tally<P: Deref<Target = Progress>> {
    all: P,
    /// Pieces of the run that have not begun.
    pieces: AtomicU64,
    /// Units of the pieces that have.
    begun: AtomicU64,
    done: AtomicU64,
    /// What the run is thought to take in all.
    total: AtomicU64,
}

/// A tally that what a device calls back may hold.
#[cfg(feature = "gpu")]
pub(crate) type SharedTally = Arc<Tally<Arc<Progress>>>;

impl<P: Deref<Target = Progress>> Tally<P> {
    /// Of a run in so many pieces, of which nothing has begun.
    pub(crate) fn new(all: P, pieces: usize) -> Self {
        let [begun, done, total] = [const { AtomicU64::new(0) }; 3];
        Self { all, pieces: AtomicU64::new(pieces as u64), begun, done, total }
    }

    /// Says how many pieces there are to begin.
    #[cfg(feature = "gpu")]
    pub(crate) fn set_pieces(&self, pieces: usize) {
        self.pieces.store(pieces as u64, Ordering::Relaxed);
    }

    /// Begins a piece of `units`; those that are left are thought to have as many. Called by one thread at a time.
    pub(crate) fn begin(&self, units: u64) {
        let left = self.pieces.load(Ordering::Relaxed).saturating_sub(1);
        self.pieces.store(left, Ordering::Relaxed);
        let begun = self.begun.fetch_add(units, Ordering::Relaxed) + units;
        let total = begun.saturating_add(units.saturating_mul(left));
        let before = self.total.swap(total, Ordering::Relaxed);
        // Wraps where a piece is smaller than the one before, and so does the sum.
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
    fn it_is_that_of_the_runs_under_way() {
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
            // Given up before its end.
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
        // More than was said.
        run.begin(24);
        assert_eq!(progress.fraction(), 0.5);
        drop(run);
        assert_eq!((progress.total.into_inner(), progress.done.into_inner()), (0, 0));
    }
}
