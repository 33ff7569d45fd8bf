//! The memory of all runs of an engine on a device: which runs hold some, which wait for some, and what is idle.
//!
//! A run claims all memory that one piece needs, once, and waits in a queue until the runs before it have freed enough. It never
//! waits while it holds memory, so there is no deadlock. The queue is first in, first out, so a large run is not starved.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};

use crate::sync::{Wait, lock};

/// Bytes for runs, and the objects (`T`) created in them, which stay idle until a run of the same kind takes them.
#[derive(Debug)]
pub(super) struct Budget<T> {
    /// Bytes of all runs and of all idle objects.
    limit: u64,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    /// Runs that hold bytes or wait for them, in the order of arrival.
    line: VecDeque<Entry>,
    /// The number of the next run.
    next: u64,
    /// Idle objects with their bytes, the most recently used at the end.
    idle: Vec<(u64, T)>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    bytes: u64,
    /// Whether it holds them.
    has: bool,
    /// Whether objects are in them already; until then they may be those of idle objects.
    filled: bool,
    /// The thread that began it, if it is a future that has to be polled to go on.
    polled_by: Option<ThreadId>,
    waker: Option<Waker>,
}

/// A blocking run cannot wait for a future that its own thread began: no other code would poll it. Holds the bytes left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WaitsForItself(pub(super) u64);

impl<T> State<T> {
    fn used(&self) -> u64 {
        self.line.iter().filter(|entry| entry.has).map(|entry| entry.bytes).sum()
    }

    /// Gives bytes to the next runs in the queue, as far as they go. A run that is alone gets any number. The caller wakes the
    /// returned wakers without the lock: a waker is foreign code, and may drop a future that waits here.
    #[must_use]
    fn grant(&mut self, limit: u64) -> Vec<Waker> {
        let (mut used, mut wakers) = (self.used(), Vec::new());
        for entry in self.line.iter_mut().filter(|entry| !entry.has) {
            if used > 0 && used.saturating_add(entry.bytes) > limit {
                break;
            }
            entry.has = true;
            used = used.saturating_add(entry.bytes);
            wakers.extend(entry.waker.take());
        }
        wakers
    }

    /// Takes a run out of the queue.
    fn leave(&mut self, number: u64) -> Option<Entry> {
        let at = self.line.iter().position(|entry| entry.number == number)?;
        self.line.remove(at)
    }

    /// Idle objects beyond the limit, less the bytes in use; the oldest first.
    fn evict(&mut self, limit: u64) -> Vec<(u64, T)> {
        let filled = self.line.iter().filter(|entry| entry.filled).map(|entry| entry.bytes).sum();
        let room = limit.saturating_sub(filled);
        let mut bytes: u64 = self.idle.iter().map(|(bytes, _)| bytes).sum();
        let beyond = self.idle.iter().take_while(|(own, _)| {
            let is_beyond = bytes > room;
            bytes = bytes.saturating_sub(*own);
            is_beyond
        });
        let count = beyond.count();
        self.idle.drain(..count).collect()
    }
}

impl<T> Budget<T> {
    pub(super) fn new(limit: u64) -> Self {
        let state = State { line: VecDeque::new(), next: 0, idle: Vec::new() };
        Self { limit, state: Mutex::new(state) }
    }

    /// Claims `bytes`, once the runs before have freed as many.
    ///
    /// # Errors
    /// [`WaitsForItself`] where that would never happen.
    pub(super) async fn claim(
        self: &Arc<Self>,
        bytes: u64,
        wait: Wait<'_>,
    ) -> Result<Claim<T>, WaitsForItself> {
        let is_future = matches!(wait, Wait::Yield);
        let me = cfg!(not(target_arch = "wasm32")).then(|| thread::current().id());
        let (number, wakers) = {
            let mut state = lock(&self.state);
            let number = state.next;
            state.next += 1;
            let polled_by = me.filter(|_| is_future);
            state.line.push_back(Entry { number, bytes, has: false, filled: false, polled_by, waker: None });
            (number, state.grant(self.limit))
        };
        let claim = Claim { budget: self.clone(), number, bytes };
        wakers.into_iter().for_each(Waker::wake);
        {
            let state = lock(&self.state);
            let waits = state.line.iter().any(|entry| entry.number == number && !entry.has);
            let mine =
                state.line.iter().any(|entry| entry.number < number && me.is_some() && entry.polled_by == me);
            if waits && mine && !is_future {
                return Err(WaitsForItself(self.limit.saturating_sub(state.used())));
            }
        }
        poll_fn(|task| {
            let mut state = lock(&self.state);
            match state.line.iter_mut().find(|entry| entry.number == number) {
                Some(entry) if !entry.has => {
                    entry.waker = Some(task.waker().clone());
                    if is_future && me.is_some() {
                        // An executor may have moved it to another thread.
                        entry.polled_by = Some(thread::current().id());
                    }
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
        Ok(claim)
    }

    /// The bytes of an idle object for which `is_such` holds.
    pub(super) fn idles(&self, is_such: impl Fn(&T) -> bool) -> Option<u64> {
        lock(&self.state).idle.iter().find(|(_, thing)| is_such(thing)).map(|(bytes, _)| *bytes)
    }

    /// Frees all idle objects; whether there were any.
    pub(super) fn free_idle(&self) -> bool {
        let idle = std::mem::take(&mut lock(&self.state).idle);
        !idle.is_empty()
    }
}

/// The bytes of a run. They are freed on drop, however the run ended.
#[derive(Debug)]
pub(super) struct Claim<T> {
    budget: Arc<Budget<T>>,
    number: u64,
    bytes: u64,
}

impl<T> Claim<T> {
    /// Takes an idle object of as many bytes for which `is_such` holds, and frees stale ones. If there is none, the run may
    /// create it: idle objects make room, the oldest first.
    pub(super) fn take(&self, is_such: impl Fn(&T) -> bool, is_stale: impl Fn(&T) -> bool) -> Option<T> {
        let (found, gone) = {
            let mut state = lock(&self.budget.state);
            let mut gone: Vec<(u64, T)> = state.idle.extract_if(.., |(_, thing)| is_stale(thing)).collect();
            let index = state.idle.iter().position(|(_, thing)| is_such(thing));
            let found = index.map(|index| state.idle.remove(index).1);
            if let Some(own) = state.line.iter_mut().find(|entry| entry.number == self.number) {
                own.filled = true;
            }
            gone.extend(state.evict(self.budget.limit));
            (found, gone)
        };
        if !gone.is_empty() {
            let bytes: u64 = gone.iter().map(|(bytes, _)| bytes).sum();
            log::debug!(target: "wgru::run", "{bytes} bytes that were kept for other runs are freed");
        }
        found
    }

    /// Ends the run; `thing`, which was created in these bytes, becomes idle, one of at most `most` of its kind.
    pub(super) fn keep(self, thing: T, most: usize, is_of_kind: impl Fn(&T) -> bool) {
        let _gone = {
            let mut state = lock(&self.budget.state);
            // Both under one lock, so that the bytes are never counted twice. The run holds its bytes, so it has no waker.
            state.idle.push((self.bytes, thing));
            state.leave(self.number);
            let of_kind = state.idle.iter().filter(|(_, thing)| is_of_kind(thing)).count();
            let oldest = state.idle.iter().position(|(_, thing)| is_of_kind(thing));
            oldest.filter(|_| of_kind > most).map(|oldest| state.idle.remove(oldest))
        };
    }
}

impl<T> Drop for Claim<T> {
    fn drop(&mut self) {
        let (_gone, wakers) = {
            let mut state = lock(&self.budget.state);
            (state.leave(self.number), state.grant(self.budget.limit))
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Context;

    use super::*;

    fn claim<'a>(
        budget: &'a Arc<Budget<u64>>,
        bytes: u64,
    ) -> impl Future<Output = Result<Claim<u64>, WaitsForItself>> + 'a {
        budget.claim(bytes, Wait::Yield)
    }

    fn now<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        match pin!(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn threads_share_the_limit_and_none_starves() {
        let budget = Arc::new(Budget::<u64>::new(100));
        let (used, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for seed in 0..6 {
                let (budget, used, most) = (&budget, &used, &most);
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    for _ in 0..300 {
                        let bytes = rng.u64(1..=100);
                        let wait = if rng.bool() { Wait::Block } else { Wait::Yield };
                        let claim = pollster::block_on(budget.claim(bytes, wait)).unwrap();
                        let found = claim.take(|thing| *thing == bytes, |_| false);
                        let now = used.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        used.fetch_sub(bytes, Ordering::SeqCst);
                        if rng.bool() {
                            claim.keep(found.unwrap_or(bytes), 8, |_| true);
                        }
                    }
                });
            }
        });
        assert!((50..=100).contains(&most.into_inner()));
        let state = lock(&budget.state);
        assert!(state.line.is_empty() && state.idle.len() <= 8);
        assert!(state.idle.iter().map(|(bytes, _)| bytes).sum::<u64>() <= 100, "{:?}", state.idle);
    }

    /// The object that a run leaves goes to the next run of the same kind, whichever run was admitted meanwhile.
    #[test]
    fn an_idle_object_is_not_evicted_for_the_run_that_takes_it() {
        let budget = Arc::new(Budget::new(25));
        let start = || now(Box::pin(claim(&budget, 10))).unwrap().unwrap();
        let [first, second] = [start(), start()];
        assert_eq!([&first, &second].map(|run| run.take(|_| true, |_| false)), [None, None]);
        first.keep(1, 8, |_| true);
        let third = start();
        second.keep(2, 8, |_| true);
        let fourth = start();
        assert_eq!([&third, &fourth].map(|run| run.take(|_| true, |_| false)), [Some(1), Some(2)]);
    }

    #[test]
    fn runs_are_admitted_in_order_and_a_run_that_leaves_admits_the_next() {
        let budget = Arc::new(Budget::new(10));
        let first = now(Box::pin(claim(&budget, 6))).unwrap().unwrap();
        let mut large = Box::pin(claim(&budget, 9));
        let mut small = Box::pin(claim(&budget, 1));
        assert!(now(&mut large).is_none());
        assert!(now(&mut small).is_none(), "it would fit, but came later");
        drop(large);
        let small = now(&mut small).unwrap().unwrap();
        let mut large = Box::pin(claim(&budget, 9));
        assert!(now(&mut large).is_none());
        drop(first);
        let large = now(&mut large).unwrap().unwrap();
        drop((small, large));
        // A run that is alone gets more than the limit.
        assert!(now(Box::pin(claim(&budget, 50))).is_some());
    }

    #[test]
    fn a_blocking_run_does_not_wait_for_a_future_of_its_own_thread() {
        let budget = Arc::new(Budget::new(10));
        let blocking = |bytes| pollster::block_on(budget.claim(bytes, Wait::Block));
        let future = now(Box::pin(claim(&budget, 6))).unwrap().unwrap();
        drop(blocking(4).unwrap());
        assert_eq!(blocking(5).unwrap_err(), WaitsForItself(4));
        // It left the queue.
        drop(blocking(4).unwrap());
        // Another thread can wait for it.
        thread::scope(|scope| {
            let other = scope.spawn(|| drop(blocking(5).unwrap()));
            thread::sleep(std::time::Duration::from_millis(20));
            assert!(!other.is_finished());
            drop(future);
        });
    }

    #[test]
    fn idle_objects_are_evicted_oldest_first() {
        let budget = Arc::new(Budget::new(10));
        for thing in [3, 2, 4] {
            now(Box::pin(claim(&budget, thing))).unwrap().unwrap().keep(thing, 8, |_| true);
        }
        assert_eq!(budget.idles(|thing| *thing == 2), Some(2));
        let run = now(Box::pin(claim(&budget, 2))).unwrap().unwrap();
        assert_eq!(run.take(|thing| *thing == 2, |_| false), Some(2));
        assert_eq!(budget.idles(|thing| *thing == 3), Some(3), "there is room for it");
        let other = now(Box::pin(claim(&budget, 3))).unwrap().unwrap();
        assert_eq!(other.take(|_| false, |_| false), None);
        assert_eq!(budget.idles(|thing| *thing == 3), None);
        assert_eq!(budget.idles(|thing| *thing == 4), Some(4));
        run.keep(2, 1, |thing| *thing < 4);
        other.keep(3, 1, |thing| *thing < 4);
        assert_eq!(budget.idles(|thing| *thing == 2), None, "one of its kind is kept");
        assert!(budget.free_idle() && !budget.free_idle());
    }
}
