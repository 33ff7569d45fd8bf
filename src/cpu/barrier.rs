//! Barriers: threads poll for a while, then sleep.

use std::panic::resume_unwind;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::caught::Freed;
use super::primitives::{AtomicUsize, Condvar, Mutex, Ordering, lock};

/// How long a thread polls before it sleeps: twice what it takes to be woken.
const SPIN_LIMIT: Duration = Duration::from_micros(40);

/// Polls between two readings of the clock, which takes as long as a few polls.
const POLLS: usize = 64;

/// Polls `is_so` for a short while. Whether it became true.
pub(super) fn comes_soon(is_so: impl Fn() -> bool) -> bool {
    if cfg!(wgru_loom) {
        // Under loom one poll is enough: another of its schedules has what a second poll would find.
        return is_so();
    }
    let mut began = None;
    loop {
        for _ in 0..POLLS {
            if is_so() {
                return true;
            }
            std::hint::spin_loop();
        }
        if began.get_or_insert_with(Instant::now).elapsed() > SPIN_LIMIT {
            return false;
        }
        // The thread that is waited for may be scheduled on this very processor.
        std::thread::yield_now();
    }
}

/// A barrier of threads. Each has cache lines of its own.
///
/// Where one of the threads panics, the others are freed: every thread that waits, now or later, panics too. So no thread goes on
/// with numbers that were never written.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Barrier {
    round: AtomicUsize,
    sleepers: AtomicUsize,
    /// How often a thread slept.
    sleeps: AtomicUsize,
    parked: (Mutex<()>, Condvar),
    arrived: Apart,
}

/// A number that one thread writes while others read its neighbours: it has cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Apart(AtomicUsize);

/// The bit of [`Barrier::round`] that says that its threads were freed.
const FREED: usize = 1 << (usize::BITS - 1);

impl Barrier {
    pub(super) fn new() -> Self {
        let [arrived, round, sleepers, sleeps] = [(); 4].map(|()| AtomicUsize::new(0));
        Self { round, sleepers, sleeps, parked: (Mutex::new(()), Condvar::new()), arrived: Apart(arrived) }
    }

    /// Returns once `members` threads have called it. What each wrote before the call is visible to all afterwards.
    pub(super) fn wait(&self, members: usize) {
        if members <= 1 {
            return;
        }
        let round = self.round.load(Ordering::Acquire);
        let is_last = self.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == members;
        if is_last && round & FREED == 0 {
            self.arrived.0.store(0, Ordering::Relaxed);
            self.advance();
        } else {
            self.until(|now| now != round);
        }
    }

    /// The number of completed rounds.
    pub(super) fn rounds(&self) -> usize {
        self.round.load(Ordering::Acquire)
    }

    /// How often a thread slept.
    pub(super) fn sleeps(&self) -> usize {
        self.sleeps.load(Ordering::Relaxed)
    }

    /// Ends a round, for threads that wait for a count instead of for each other: see [`Barrier::until`].
    pub(super) fn advance(&self) {
        self.round.fetch_add(1, Ordering::AcqRel);
        self.wake();
    }

    /// To be called once the round has been changed. A thread that is about to sleep first counts itself, then changes the round
    /// by zero. Of two changes the later one sees what came before the other: either the sleeper is counted here, or it sees the
    /// new round.
    fn wake(&self) {
        if self.sleepers.load(Ordering::Relaxed) > 0 {
            // A sleeping thread has read the round under this lock.
            drop(lock(&self.parked.0));
            self.parked.1.notify_all();
        }
    }

    /// Frees the threads that wait, and those that will.
    pub(super) fn free(&self) {
        self.round.fetch_or(FREED, Ordering::AcqRel);
        self.wake();
    }

    /// Returns once `is_done` holds for the number of rounds.
    pub(super) fn until(&self, is_done: impl Fn(usize) -> bool) {
        self.wait_until(|rounds| rounds & FREED != 0 || is_done(rounds));
        if self.rounds() & FREED != 0 {
            // No message: the message of the first panic says what happened.
            resume_unwind(Box::new(Freed));
        }
    }

    fn wait_until(&self, is_done: impl Fn(usize) -> bool) {
        if comes_soon(|| is_done(self.rounds())) {
            return;
        }
        self.sleeps.fetch_add(1, Ordering::Relaxed);
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        let mut asleep = lock(&self.parked.0);
        // A read-modify-write, not a load: see `wake`.
        while !is_done(self.round.fetch_or(0, Ordering::AcqRel)) {
            asleep = self.parked.1.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        }
        drop(asleep);
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }
}
