//! Threads that live as long as their device: they poll for work for a while, then sleep.

use std::sync::{OnceLock, PoisonError, TryLockError};
use std::thread::available_parallelism;

use super::barrier::{Barrier, comes_soon};
use super::caught::{Panicked, caught};
use super::contention::Contention;
use super::primitives::{Arc, AtomicUsize, Mutex, MutexGuard, Ordering, lock, thread};

/// The most threads of a device: more than any machine has cores, few enough to be started.
pub(super) const MOST: usize = 1024;

/// The threads of a device.
#[derive(Debug)]
pub(super) struct Team {
    /// The most threads, the caller's own among them: the option's value, or as many as the system can start.
    size: AtomicUsize,
    /// All but the caller's own, started when they are first needed. Locked by the run that uses them.
    workers: Mutex<Vec<Worker>>,
    /// Where the workers report that they are done.
    ending: Arc<Ending>,
    contention: Contention,
}

#[derive(Debug)]
struct Worker {
    slot: Arc<Slot>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Where a worker finds its next job.
#[derive(Debug, Default)]
struct Slot {
    /// [`EMPTY`], [`FULL`] or [`STOP`].
    state: AtomicUsize,
    job: Mutex<Option<Job>>,
}

const EMPTY: usize = 0;
const FULL: usize = 1;
const STOP: usize = 2;

/// A call of a closure that outlives it: [`Lease::run`] returns only once every such call has returned or been taken back.
#[derive(Debug)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    index: usize,
}

// SAFETY: the closure is `Sync`, so it may be called from any thread; and it outlives the job, see [`Lease::run_caught`].
unsafe impl Send for Job {}

/// The end of a run.
#[derive(Debug)]
struct Ending {
    /// Threads that are not done, the caller's among them.
    left: AtomicUsize,
    /// Its rounds are the runs that have ended.
    barrier: Barrier,
}

impl Ending {
    /// Counts threads that are done or left out; whether they are the last.
    fn is_end(&self, of: usize) -> bool {
        self.left.fetch_sub(of, Ordering::AcqRel) == of
    }
}

/// How to treat a thread that has not begun when the caller's own call has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Awaited,
    /// Its call is not made: the others have done its work.
    LeftOut,
}

/// Aborts the process where a thread does not reach a point that others wait for, or where a caller returns while others use its
/// memory. Panics of the work are caught before this.
struct OrAbort;

impl Drop for OrAbort {
    fn drop(&mut self) {
        std::process::abort();
    }
}

impl Team {
    /// A team of `size` threads, the caller's own among them.
    pub(super) fn new(size: usize) -> Self {
        // Without an operating system there are no threads.
        let size = if cfg!(target_arch = "wasm32") { 1 } else { size.clamp(1, MOST) };
        let ending = Ending { left: AtomicUsize::new(0), barrier: Barrier::new() };
        Self {
            size: AtomicUsize::new(size),
            workers: Mutex::default(),
            ending: Arc::new(ending),
            contention: Contention::default(),
        }
    }

    /// Whether a run may use a barrier after every step.
    pub(super) fn may_use_barriers(&self) -> bool {
        self.contention.may_use_barriers()
    }

    pub(super) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// `count` threads for one run. `None` while another run has them, or where the system starts fewer: then the team shrinks to
    /// what it started.
    pub(super) fn lease(&self, count: usize) -> Option<Lease<'_>> {
        let mut workers = match self.workers.try_lock() {
            Ok(workers) => workers,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        while workers.len() + 1 < count {
            match Worker::start(&self.ending) {
                Some(worker) => workers.push(worker),
                None => {
                    self.size.store(workers.len() + 1, Ordering::Relaxed);
                    return None;
                }
            }
        }
        Some(Lease { workers, ending: &self.ending, contention: &self.contention })
    }
}

/// The threads of a team, for one run.
pub(super) struct Lease<'a> {
    workers: MutexGuard<'a, Vec<Worker>>,
    ending: &'a Ending,
    contention: &'a Contention,
}

impl Lease<'_> {
    /// Records the barriers of a run, and the sleeps in them.
    pub(super) fn record(&self, barriers: usize, sleeps: usize) {
        self.contention.record(barriers, sleeps);
    }

    /// Calls `work` with 0 to `count` − 1, each on a thread of its own, 0 on the caller's; `late` says how to treat late threads.
    /// `count` is at most what was leased. Exclusive, since a second run at the same time would overwrite the jobs of the first.
    ///
    /// # Errors
    /// [`Panicked`] once every call has ended, where one of them panicked. `free` is called at the panic, to free the threads
    /// that wait for it.
    pub(super) fn run(
        &mut self,
        count: usize,
        late: Late,
        work: &(dyn Fn(usize) + Sync),
        free: &(dyn Fn() + Sync),
    ) -> Result<(), Panicked> {
        let first = Mutex::new(Ok(()));
        let job = |index: usize| {
            if let Err(panicked) = caught(|| work(index)) {
                free();
                let mut first = lock(&first);
                if matches!(*first, Ok(()) | Err(Panicked(None))) {
                    *first = Err(panicked);
                }
            }
        };
        self.run_caught(count, late, &job);
        first.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Lease::run`] of work that does not panic.
    fn run_caught(&mut self, count: usize, late: Late, work: &(dyn Fn(usize) + Sync)) {
        let others = &self.workers[..count - 1];
        let guard = OrAbort;
        let ended = self.ending.barrier.rounds();
        self.ending.left.store(count, Ordering::Relaxed);
        for (index, worker) in others.iter().enumerate() {
            // SAFETY: the same type but for its lifetime. This function returns once every job has returned or been taken back
            // (`Ending::left` counts them), and no panic leaves it (`OrAbort`), so none outlives `work`.
            let work: *const (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(work) };
            worker.slot.put(Job { work, index: index + 1 });
            worker.unpark();
        }
        work(0);
        let left_out = match late {
            Late::Awaited => 0,
            Late::LeftOut => others.iter().filter(|worker| worker.slot.take().is_some()).count(),
        };
        if !self.ending.is_end(1 + left_out) {
            self.ending.barrier.until(|rounds| rounds != ended);
        }
        std::mem::forget(guard);
    }
}

impl Worker {
    /// `None` where the system gives no thread.
    fn start(ending: &Arc<Ending>) -> Option<Self> {
        let slot = Arc::new(Slot::default());
        let (own, ending) = (slot.clone(), ending.clone());
        let builder = thread::Builder::new().name("wgru".into());
        let thread = builder.spawn(move || own.serve(&ending)).ok()?;
        Some(Self { slot, thread: Some(thread) })
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Slot {
    fn put(&self, job: Job) {
        let mut place = lock(&self.job);
        *place = Some(job);
        self.state.store(FULL, Ordering::Release);
    }

    /// The job, for the worker or the caller, whichever comes first.
    fn take(&self) -> Option<Job> {
        let mut place = lock(&self.job);
        let job = place.take();
        if job.is_some() {
            self.state.store(EMPTY, Ordering::Relaxed);
        }
        job
    }

    fn serve(&self, ending: &Ending) {
        loop {
            let is_called = || self.state.load(Ordering::Acquire) != EMPTY;
            if !comes_soon(is_called) {
                // This thread is the crate's own, and no other code unparks it.
                while !is_called() {
                    thread::park();
                }
            }
            if self.state.load(Ordering::Acquire) == STOP {
                return;
            }
            if let Some(Job { work, index }) = self.take() {
                let guard = OrAbort;
                // SAFETY: the caller of the run keeps `work` until `ending` has counted this call, which is below.
                unsafe { (*work)(index) };
                std::mem::forget(guard);
                if ending.is_end(1) {
                    ending.barrier.advance();
                }
            }
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        let workers = self.workers.get_mut().unwrap_or_else(PoisonError::into_inner);
        for worker in workers.iter_mut() {
            worker.slot.state.store(STOP, Ordering::Release);
            worker.unpark();
            if let Some(thread) = worker.thread.take() {
                // It can only have panicked where the process ends too.
                let _ = thread.join();
            }
        }
    }
}

/// The number of threads that the system can run at once.
pub(super) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| available_parallelism().map_or(1, |count| count.get()).min(MOST))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::super::size;
    use super::*;

    #[test]
    fn every_thread_is_called_once_and_reaches_the_barrier() {
        let (team, steps) = (Team::new(4), size(50, 4));
        for round in 0..size(200, 8) {
            let count = 1 + round % 4;
            let barrier = Barrier::new();
            let calls: Vec<AtomicUsize> = (0..4).map(|_| AtomicUsize::new(0)).collect();
            let early = AtomicUsize::new(0);
            let work = |index: usize| {
                for step in 0..steps {
                    calls[index].fetch_add(1, Ordering::Relaxed);
                    barrier.wait(count);
                    // After a barrier no thread is a step behind or two ahead.
                    let others = calls[..count].iter().map(|calls| calls.load(Ordering::Relaxed));
                    let wrong = others.filter(|&calls| calls <= step || calls > step + 2).count();
                    early.fetch_add(wrong, Ordering::Relaxed);
                    barrier.wait(count);
                }
            };
            team.lease(count).unwrap().run(count, Late::Awaited, &work, &|| {}).unwrap();
            assert_eq!(early.load(Ordering::Relaxed), 0);
            let calls: Vec<usize> = calls.iter().map(|calls| calls.load(Ordering::Relaxed)).collect();
            assert!(calls[..count].iter().all(|&calls| calls == steps), "{calls:?}");
            assert!(calls[count..].iter().all(|&calls| calls == 0), "{calls:?}");
        }
        assert_eq!(lock(&team.workers).len(), 3);
    }

    #[test]
    fn only_those_that_are_needed_are_started() {
        let team = Team::new(usize::MAX);
        assert_eq!(team.size(), MOST);
        team.lease(2).unwrap().run(2, Late::Awaited, &|_| {}, &|| {}).unwrap();
        assert_eq!(lock(&team.workers).len(), 1);
    }

    #[test]
    fn sleeping_threads_are_woken_and_a_busy_team_gives_no_lease() {
        let team = Team::new(2);
        let barrier = Barrier::new();
        let work = |index: usize| {
            assert!(team.lease(2).is_none());
            for _ in 0..3 {
                if index == 0 {
                    thread::sleep(Duration::from_millis(20));
                    barrier.advance();
                }
            }
            barrier.until(|rounds| rounds == 3);
        };
        team.lease(2).unwrap().run(2, Late::Awaited, &work, &|| {}).unwrap();
        thread::sleep(Duration::from_millis(20));
        team.lease(2).unwrap().run(2, Late::Awaited, &|_| barrier.wait(2), &|| {}).unwrap();
        assert_eq!(barrier.rounds(), 4);
    }

    /// A call that has begun is awaited. One that has not is not made, then or later, and the next run has all threads again.
    #[test]
    fn those_that_are_late_are_left_out() {
        let team = Team::new(4);
        let (made, left_out) = (AtomicUsize::new(0), AtomicUsize::new(0));
        for round in 0..size(2_000, 64) {
            // The others poll, or are about to sleep, or sleep.
            match round % 8 {
                0 => thread::sleep(Duration::from_micros(200)),
                1 => thread::sleep(Duration::from_micros(round as u64 % 60)),
                _ => {}
            }
            let (count, pieces) = (2 + round % 3, round % 7);
            let [taken, done, inside, calls] = [const { AtomicUsize::new(0) }; 4];
            let work = |_: usize| {
                inside.fetch_add(1, Ordering::Relaxed);
                calls.fetch_add(1, Ordering::Relaxed);
                while taken.fetch_add(1, Ordering::Relaxed) < pieces {
                    done.fetch_add(1, Ordering::Relaxed);
                }
                inside.fetch_sub(1, Ordering::Relaxed);
            };
            team.lease(count).unwrap().run(count, Late::LeftOut, &work, &|| {}).unwrap();
            assert_eq!((done.into_inner(), inside.into_inner()), (pieces, 0));
            let calls = calls.into_inner();
            assert!((1..=count).contains(&calls), "{calls} of {count}");
            made.fetch_add(calls - 1, Ordering::Relaxed);
            left_out.fetch_add(count - calls, Ordering::Relaxed);
            if round % 100 == 0 {
                let all = Barrier::new();
                team.lease(4).unwrap().run(4, Late::Awaited, &|_| all.wait(4), &|| {}).unwrap();
            }
        }
        assert!(left_out.into_inner() > 0, "{made:?} calls were made");
    }

    #[test]
    fn those_that_have_begun_are_awaited() {
        let team = Team::new(2);
        for panics in [false, true] {
            let (has_begun, has_ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let work = |index: usize| {
                if index == 0 {
                    while has_begun.load(Ordering::Acquire) == 0 {
                        thread::yield_now();
                    }
                } else {
                    has_begun.store(1, Ordering::Release);
                    thread::sleep(Duration::from_millis(20));
                    has_ended.store(1, Ordering::Relaxed);
                    assert!(!panics, "planted");
                }
            };
            let ended = team.lease(2).unwrap().run(2, Late::LeftOut, &work, &|| {});
            assert_eq!((ended.is_err(), has_ended.into_inner()), (panics, 1));
        }
        // A panic of the caller's own leaves no thread behind either.
        let panic = |index: usize| assert!(index > 0, "planted in the caller's");
        for _ in 0..size(100, 4) {
            let ended = team.lease(2).unwrap().run(2, Late::LeftOut, &panic, &|| {});
            assert_eq!(ended, Err(Panicked(Some("planted in the caller's".into()))));
        }
        assert_eq!(lock(&team.workers).len(), 1, "no thread was lost");
    }

    /// Any thread may panic. Those that wait for it end too, whether they poll or sleep, for rounds or for a count. The team
    /// works as before.
    #[test]
    fn a_panic_frees_those_that_wait() {
        let team = Team::new(3);
        for (panicking, late) in (0..3).flat_map(|index| [(index, false), (index, true)]) {
            let (barrier, count, passed) = (Barrier::new(), Barrier::new(), AtomicUsize::new(0));
            let work = |index: usize| {
                barrier.wait(3);
                if index == panicking {
                    thread::sleep(Duration::from_millis(if late { 30 } else { 0 }));
                    panic!("planted in thread {index}");
                }
                if index == (panicking + 1) % 3 {
                    barrier.wait(3);
                } else {
                    count.until(|rounds| rounds == 5);
                }
                passed.fetch_add(1, Ordering::Relaxed);
            };
            let free = || [&barrier, &count].into_iter().for_each(Barrier::free);
            let ended = team.lease(3).unwrap().run(3, Late::Awaited, &work, &free);
            assert_eq!(ended, Err(Panicked(Some(format!("planted in thread {panicking}")))));
            assert_eq!(passed.into_inner(), 0);
            let again = Barrier::new();
            team.lease(3).unwrap().run(3, Late::Awaited, &|_| again.wait(3), &|| {}).unwrap();
        }
        assert_eq!(lock(&team.workers).len(), 2, "no thread was lost");
    }

    /// A wake-up of the caller's thread that is meant for other code is not consumed.
    #[test]
    fn a_wake_up_for_the_caller_is_not_taken() {
        let team = Team::new(2);
        let caller = thread::current();
        let work = |index: usize| {
            if index == 1 {
                thread::sleep(Duration::from_millis(20));
                caller.unpark();
                thread::sleep(Duration::from_millis(20));
            }
        };
        team.lease(2).unwrap().run(2, Late::Awaited, &work, &|| {}).unwrap();
        let began = Instant::now();
        thread::park_timeout(Duration::from_secs(10));
        assert!(began.elapsed() < Duration::from_secs(5), "another thread consumed it");
    }
}
