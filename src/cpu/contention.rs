//! Contention: other work on the machine, measured by the sleeps of a run's threads.

use super::primitives::{AtomicUsize, Ordering};

/// Whether the machine has other work. Threads that use a barrier after every step then wait for each other to be scheduled.
/// Under contention the next runs are cut without such barriers, and for twice as many runs each time it is found again.
#[derive(Debug, Default)]
pub(super) struct Contention {
    /// The number of runs that are still to be cut without barriers.
    left: AtomicUsize,
    /// How often in a row contention was found.
    times: AtomicUsize,
    /// Barriers, and sleeps in them, since the last decision.
    barriers: AtomicUsize,
    sleeps: AtomicUsize,
}

/// The most runs in a row that are cut without barriers.
const LONGEST_CONTENTION: usize = 1024;

/// The number of barriers for one decision.
const JUDGED: usize = 64;

impl Contention {
    pub(super) fn may_use_barriers(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
        }
        left == 0
    }

    pub(super) fn record(&self, barriers: usize, sleeps: usize) {
        let barriers = self.barriers.fetch_add(barriers, Ordering::Relaxed) + barriers;
        let sleeps = self.sleeps.fetch_add(sleeps, Ordering::Relaxed) + sleeps;
        if barriers < JUDGED {
            return;
        }
        self.barriers.store(0, Ordering::Relaxed);
        self.sleeps.store(0, Ordering::Relaxed);
        if sleeps * 8 <= barriers {
            return self.times.store(0, Ordering::Relaxed);
        }
        let times = self.times.fetch_add(1, Ordering::Relaxed).min(usize::BITS as usize - 2);
        self.left.store((2usize << times).min(LONGEST_CONTENTION), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn barriers_are_avoided_for_longer_each_time_until_contention_ends() {
        let contention = Contention::default();
        let waits = || (0..20).take_while(|_| !contention.may_use_barriers()).count();
        for runs in [2, 4, 8] {
            contention.record(100, 50);
            assert_eq!(waits(), runs);
        }
        contention.record(100, 2);
        // A few barriers are too few for a decision; several times a few are enough.
        contention.record(JUDGED / 2, JUDGED / 2);
        assert_eq!(waits(), 0);
        contention.record(JUDGED / 2, JUDGED / 2);
        assert_eq!(waits(), 2);
    }
}
