//! Where threads wait for each other: busily for a while, then asleep.

use std::panic::resume_unwind;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::caught::Freed;
use super::primitives::{AtomicUsize, Condvar, Mutex, Ordering, lock};

/// How long a thread looks before it sleeps: twice what it takes to be woken.
const SPIN_LIMIT: Duration = Duration::from_micros(40);

/// Looks between two at the clock, which takes as long as a few of them.
const LOOKS: usize = 64;

/// Looks for a while whether something is so.
pub(super) fn comes_soon(is_so: impl Fn() -> bool) -> bool {
    if cfg!(wgru_loom) {
        // In some order one look finds what a second would in another.
        return is_so();
    }
    let mut began = None;
    loop {
        for _ in 0..LOOKS {
            if is_so() {
                return true;
            }
            std::hint::spin_loop();
        }
        if began.get_or_insert_with(Instant::now).elapsed() > SPIN_LIMIT {
            return false;
        }
        // Who is waited for may have been given this very processor.
        std::thread::yield_now();
    }
}

/// Where threads wait for each other. Each has cache lines of its own.
///
/// Where one of them panics, the others are freed: whoever waits, and whoever comes to wait later, panics too, so that nobody
/// goes on with numbers that are not there.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Barrier {
    round: AtomicUsize,
    sleepers: AtomicUsize,
    /// How often somebody slept.
    sleeps: AtomicUsize,
    parked: (Mutex<()>, Condvar),
    arrived: Apart,
}

/// A number that is written while others look at what stands before it.
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

    /// Returns once `members` threads have called it. What each wrote before is seen by all afterwards.
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

    /// The rounds that are over.
    pub(super) fn rounds(&self) -> usize {
        self.round.load(Ordering::Acquire)
    }

    /// How often somebody slept.
    pub(super) fn sleeps(&self) -> usize {
        self.sleeps.load(Ordering::Relaxed)
    }

    /// Ends a round, for threads that do not wait for each other but for a count: see [`Barrier::until`].
    pub(super) fn advance(&self) {
        self.round.fetch_add(1, Ordering::AcqRel);
        self.wake();
    }

    /// To be called once the round has been changed. Who sleeps has changed it too, by nothing, after counting itself: so of two changes the
    /// later one sees what came before the other, and either the sleeper is counted here or it sees the round.
    fn wake(&self) {
        if self.sleepers.load(Ordering::Relaxed) > 0 {
            // Who sleeps has looked at the round under this lock.
            drop(lock(&self.parked.0));
            self.parked.1.notify_all();
        }
    }

    /// Frees those that wait, and those that will.
    pub(super) fn free(&self) {
        self.round.fetch_or(FREED, Ordering::AcqRel);
        self.wake();
    }

    /// Returns once the rounds are such that `is_done`.
    pub(super) fn until(&self, is_done: impl Fn(usize) -> bool) {
        self.wait_until(|rounds| rounds & FREED != 0 || is_done(rounds));
        if self.rounds() & FREED != 0 {
            // No message, for it is the other's panic that tells something.
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
        // A change, not a look: see `wake`.
        while !is_done(self.round.fetch_or(0, Ordering::AcqRel)) {
            asleep = self.parked.1.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        }
        drop(asleep);
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }
}
