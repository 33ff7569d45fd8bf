//! How far the runs under way are, for whoever wants to show it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Work done and work begun, in units of the backend's own. Relaxed: it is for showing only.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Begins `units` more.
    pub(crate) fn begin(&self, units: u64) {
        self.total.fetch_add(units, Ordering::Relaxed);
    }

    /// Ends `units`.
    pub(crate) fn end(&self, units: u64) {
        self.done.fetch_add(units, Ordering::Relaxed);
    }

    /// The part that is done, 0 to 1; 0 before anything has begun.
    pub(crate) fn fraction(&self) -> f64 {
        let total = self.total.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed).min(total);
        if total == 0 { 0.0 } else { done as f64 / total as f64 }
    }
}
