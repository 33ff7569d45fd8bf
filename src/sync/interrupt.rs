//! Ending a run before it is done.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The least time between two questions: shorter than a user notices, longer than a run should be disturbed for.
const PAUSE: Duration = Duration::from_millis(50);

/// A question to the caller of a run, for [`Batch::interrupt`](crate::Batch::interrupt): whether the run is to end early.
///
/// The thread that called asks while the run computes, between parts of it, at most every 50 ms; a run that is shorter does not ask.
/// Once the answer is yes, every run with this `Interrupt` ends with [`Error::Interrupted`](crate::Error::Interrupted).
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use wgru::Interrupt;
///
/// static STOP: AtomicBool = AtomicBool::new(false); // another thread, or a handler of signals, sets it
/// let interrupt = Interrupt::new(|| STOP.load(Ordering::Relaxed));
/// assert!(!interrupt.is_set());
/// ```
pub struct Interrupt<'a> {
    ask: Box<dyn Fn() -> bool + Sync + 'a>,
    began: Instant,
    /// When to ask next, in milliseconds since the beginning.
    next: AtomicU64,
    set: AtomicBool,
}

impl<'a> Interrupt<'a> {
    /// `ask`: whether to end the runs.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(ask: impl Fn() -> bool + Sync + 'a) -> Self {
        let pause = AtomicU64::new(PAUSE.as_millis() as u64);
        Self { ask: Box::new(ask), began: Instant::now(), next: pause, set: AtomicBool::new(false) }
    }

    /// Whether the answer was yes.
    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::Relaxed)
    }

    /// [`Interrupt::is_set`], asked now if it is time. For the thread of the call.
    pub(crate) fn poll(&self) -> bool {
        if self.is_set() {
            return true;
        }
        let now = self.began.elapsed().as_millis() as u64;
        if now < self.next.load(Ordering::Relaxed) {
            return false;
        }
        self.next.store(now + PAUSE.as_millis() as u64, Ordering::Relaxed);
        if (self.ask)() {
            self.set.store(true, Ordering::Relaxed);
        }
        self.is_set()
    }
}

impl fmt::Debug for Interrupt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_not_asked_again_at_once_and_not_after_a_yes() {
        let asked = AtomicU64::new(0);
        let interrupt = Interrupt::new(|| asked.fetch_add(1, Ordering::Relaxed) == 1);
        assert!(!interrupt.poll(), "it is too early");
        for _ in 0..3 {
            std::thread::sleep(PAUSE);
            interrupt.poll();
            interrupt.poll();
        }
        assert!(interrupt.is_set());
        assert_eq!(asked.load(Ordering::Relaxed), 2, "no, then yes");
    }
}
