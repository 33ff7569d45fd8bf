//! Other work on the machine, as the threads of runs feel it.

use super::primitives::{AtomicUsize, Ordering};

/// Whether the machine has other work, so that threads of ours that meet after every step wait for each other to be given
/// a processor. Runs then do without such meetings for a while, twice as long each time it turns out so again.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Runs to go without.
    left: AtomicUsize,
    /// How often in a row it turned out so.
    times: AtomicUsize,
    /// Meetings, and sleeps in them, that were not judged yet.
    meetings: AtomicUsize,
    sleeps: AtomicUsize,
}

/// The longest that runs go without meetings: so many.
const LONGEST_CROWD: usize = 1024;

/// Meetings that are judged together.
const JUDGED: usize = 64;

impl Crowd {
    pub(super) fn may_meet(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
        }
        left == 0
    }

    pub(super) fn met(&self, meetings: usize, sleeps: usize) {
        let meetings = self.meetings.fetch_add(meetings, Ordering::Relaxed) + meetings;
        let sleeps = self.sleeps.fetch_add(sleeps, Ordering::Relaxed) + sleeps;
        if meetings < JUDGED {
            return;
        }
        self.meetings.store(0, Ordering::Relaxed);
        self.sleeps.store(0, Ordering::Relaxed);
        if sleeps * 8 <= meetings {
            return self.times.store(0, Ordering::Relaxed);
        }
        let times = self.times.fetch_add(1, Ordering::Relaxed).min(usize::BITS as usize - 2);
        self.left.store((2usize << times).min(LONGEST_CROWD), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_avoided_for_longer_each_time_and_forgotten() {
        let crowd = Crowd::default();
        let waits = || (0..20).take_while(|_| !crowd.may_meet()).count();
        for runs in [2, 4, 8] {
            crowd.met(100, 50);
            assert_eq!(waits(), runs);
        }
        crowd.met(100, 2);
        // Few meetings say little, several times few something.
        crowd.met(JUDGED / 2, JUDGED / 2);
        assert_eq!(waits(), 0);
        crowd.met(JUDGED / 2, JUDGED / 2);
        assert_eq!(waits(), 2);
    }
}
