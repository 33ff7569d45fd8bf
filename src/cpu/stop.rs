//! Ending a run before it is done: the thread that called asks, and every thread unwinds as after a panic, without a message.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Thread, current, park_timeout};
use std::time::Duration;

use super::barrier::comes_soon;
use super::caught::Freed;
use crate::sync::Interrupt;

/// How long the thread that called sleeps between two questions, where it has done its own part.
const SLEEP: Duration = Duration::from_millis(50);

/// What may end a run. Without an interrupt every method returns at once.
pub(super) struct Stop<'a>(Option<Asked<'a>>);

struct Asked<'a> {
    interrupt: &'a Interrupt<'a>,
    /// Threads that have begun and not ended.
    working: AtomicUsize,
    caller: Thread,
}

impl<'a> Stop<'a> {
    /// For a run of this thread.
    pub(super) fn new(interrupt: Option<&'a Interrupt<'a>>) -> Self {
        let asked = |interrupt| Asked { interrupt, working: AtomicUsize::new(0), caller: current() };
        Self(interrupt.map(asked))
    }

    /// Whether the run is to end.
    pub(super) fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| asked.interrupt.is_set())
    }

    /// To be called between parts of a run. Does not return where the run is to end.
    pub(super) fn check(&self, is_caller: bool) {
        let Some(Asked { interrupt, .. }) = &self.0 else { return };
        let ends = if is_caller { interrupt.poll() } else { interrupt.is_set() };
        // Without unwinding the process would end.
        if ends && cfg!(panic = "unwind") {
            resume_unwind(Box::new(Freed));
        }
    }

    /// Counts a thread that works, until the result is dropped.
    pub(super) fn working(&self) -> Working<'_> {
        if let Some(asked) = &self.0 {
            asked.working.fetch_add(1, Ordering::Relaxed);
        }
        Working(self.0.as_ref())
    }

    /// Asks while other threads work, after the caller's own part.
    pub(super) fn wait(&self) {
        let Some(Asked { interrupt, working, .. }) = &self.0 else { return };
        let is_done = || working.load(Ordering::Acquire) == 0;
        if !comes_soon(is_done) {
            while !is_done() {
                interrupt.poll();
                park_timeout(SLEEP);
            }
        }
    }
}

/// A thread that works.
pub(super) struct Working<'a>(Option<&'a Asked<'a>>);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if let Some(Asked { working, caller, .. }) = self.0
            && working.fetch_sub(1, Ordering::Release) == 1
        {
            caller.unpark();
        }
    }
}
