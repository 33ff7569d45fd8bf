//! Threads that live as long as their device: they wait for work busily for a while, then sleep.

use crate::sync::lock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a thread looks before it sleeps: twice what it takes to be woken.
const PATIENCE: Duration = Duration::from_micros(40);

/// Looks between two at the clock, which takes as long as a few of them.
const LOOKS: usize = 64;

/// The threads of a device.
#[derive(Debug)]
pub(super) struct Team {
    size: usize,
    /// All but the caller's own, started when they are first needed. Locked by the run that uses them.
    workers: Mutex<Vec<Worker>>,
    crowd: Crowd,
}

/// Whether the machine has other work, so that threads of ours that meet after every step wait for each other to be given
/// a processor. Runs then do without such meetings for a while, twice as long each time it turns out so again.
#[derive(Debug, Default)]
struct Crowd {
    /// Runs to go without.
    left: AtomicUsize,
    /// How often in a row it turned out so.
    times: AtomicUsize,
}

/// The longest that runs go without meetings: so many.
const LONGEST_CROWD: usize = 1024;

#[derive(Debug)]
struct Worker {
    slot: std::sync::Arc<Slot>,
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

/// A call of a closure that outlives it: [`Lease::run`] returns only once every one of them has been made.
#[derive(Debug, Clone)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    index: usize,
    left: *const AtomicUsize,
    caller: Thread,
}

// SAFETY: the closure may be called from any thread, and the pointers are valid until `left` is 0.
unsafe impl Send for Job {}

/// Ends the process where a thread panics whose memory others still use.
struct OrAbort;

impl Drop for OrAbort {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

impl Team {
    /// So many threads, the caller's own among them.
    pub(super) fn new(size: usize) -> Self {
        // There are no threads to be had without an operating system.
        let size = if cfg!(target_arch = "wasm32") { 1 } else { size.max(1) };
        Self { size, workers: Mutex::default(), crowd: Crowd::default() }
    }

    /// Whether a run may let threads meet after every step.
    pub(super) fn may_meet(&self) -> bool {
        self.crowd.may_meet()
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The threads for one run; none while another run has them.
    pub(super) fn lease(&self) -> Option<Lease<'_>> {
        let mut workers = self.workers.try_lock().ok()?;
        while workers.len() + 1 < self.size {
            workers.push(Worker::start()?);
        }
        Some(Lease { workers, crowd: &self.crowd })
    }
}

/// The threads of a team, for one run.
pub(super) struct Lease<'a> {
    workers: MutexGuard<'a, Vec<Worker>>,
    crowd: &'a Crowd,
}

impl Crowd {
    fn may_meet(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
        }
        left == 0
    }

    fn met(&self, meetings: usize, sleeps: usize) {
        // The first may sleep until the others have been woken.
        if sleeps.saturating_sub(1) * 8 <= meetings {
            return self.times.store(0, Ordering::Relaxed);
        }
        let times = self.times.fetch_add(1, Ordering::Relaxed).min(usize::BITS as usize - 2);
        self.left.store((2usize << times).min(LONGEST_CROWD), Ordering::Relaxed);
    }
}

impl Lease<'_> {
    /// Told by a run whose threads met: how often, and how often one of them had to sleep for it.
    pub(super) fn met(&self, meetings: usize, sleeps: usize) {
        self.crowd.met(meetings, sleeps);
    }

    /// Calls `work` with 0 to `count` − 1, each on a thread of its own, 0 on the caller's. `count` is at most the team's size.
    pub(super) fn run(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        let others = &self.workers[..count - 1];
        let left = AtomicUsize::new(others.len());
        let guard = OrAbort;
        for (index, worker) in others.iter().enumerate() {
            // SAFETY: the same type but for its lifetime, which ends after this call does.
            let work: *const (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(work) };
            *lock(&worker.slot.job) =
                Some(Job { work, index: index + 1, left: &left, caller: thread::current() });
            worker.slot.state.store(FULL, Ordering::Release);
            worker.unpark();
        }
        work(0);
        wait(|| left.load(Ordering::Acquire) == 0);
        drop(guard);
    }
}

/// Until `is_done`, busily for a while, then asleep; who makes it so unparks this thread.
fn wait(is_done: impl Fn() -> bool) {
    if !comes_soon(&is_done) {
        while !is_done() {
            thread::park();
        }
    }
}

/// Looks for a while whether something is so.
fn comes_soon(is_so: impl Fn() -> bool) -> bool {
    let mut began = None;
    loop {
        for _ in 0..LOOKS {
            if is_so() {
                return true;
            }
            std::hint::spin_loop();
        }
        if began.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return false;
        }
    }
}

impl Worker {
    /// None where the system gives no thread.
    fn start() -> Option<Self> {
        let slot = std::sync::Arc::new(Slot::default());
        let own = slot.clone();
        let builder = thread::Builder::new().name("wgru".into());
        let thread = builder.spawn(move || own.serve()).ok()?;
        Some(Self { slot, thread: Some(thread) })
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Slot {
    fn serve(&self) {
        loop {
            wait(|| self.state.load(Ordering::Acquire) != EMPTY);
            if self.state.load(Ordering::Acquire) == STOP {
                return;
            }
            let job = lock(&self.job).take();
            self.state.store(EMPTY, Ordering::Relaxed);
            if let Some(Job { work, index, left, caller }) = job {
                let guard = OrAbort;
                // SAFETY: the caller waits until `left` is 0.
                unsafe { (*work)(index) };
                drop(guard);
                // SAFETY: as above; it is not touched after the subtraction.
                unsafe { (*left).fetch_sub(1, Ordering::Release) };
                caller.unpark();
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
                // It ended with a panic only where the process has.
                let _ = thread.join();
            }
        }
    }
}

/// Where threads wait for each other.
#[derive(Debug)]
pub(super) struct Meeting {
    arrived: AtomicUsize,
    round: AtomicUsize,
    sleepers: AtomicUsize,
    /// How often somebody slept.
    sleeps: AtomicUsize,
    bed: (Mutex<()>, Condvar),
}

impl Meeting {
    pub(super) const fn new() -> Self {
        let [arrived, round, sleepers, sleeps] = [const { AtomicUsize::new(0) }; 4];
        Self { arrived, round, sleepers, sleeps, bed: (Mutex::new(()), Condvar::new()) }
    }

    /// Returns once `members` threads have called it. What each wrote before is seen by all afterwards.
    pub(super) fn wait(&self, members: usize) {
        if members <= 1 {
            return;
        }
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == members {
            self.arrived.store(0, Ordering::Relaxed);
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

    /// Ends a round, for threads that do not wait for each other but for a count: see [`Meeting::until`].
    pub(super) fn advance(&self) {
        self.round.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // Who sleeps has looked at the round under this lock.
            drop(lock(&self.bed.0));
            self.bed.1.notify_all();
        }
    }

    /// Returns once the rounds are such that `is_done`.
    pub(super) fn until(&self, is_done: impl Fn(usize) -> bool) {
        if comes_soon(|| is_done(self.rounds())) {
            return;
        }
        self.sleeps.fetch_add(1, Ordering::Relaxed);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut asleep = lock(&self.bed.0);
        while !is_done(self.round.load(Ordering::SeqCst)) {
            asleep = self.bed.1.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        }
        drop(asleep);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// As many threads as the system says run at once.
pub(super) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, |count| count.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_is_called_once_and_meets() {
        let team = Team::new(4);
        for round in 0..200 {
            let count = 1 + round % 4;
            let meeting = Meeting::new();
            let calls: Vec<AtomicUsize> = (0..4).map(|_| AtomicUsize::new(0)).collect();
            let early = AtomicUsize::new(0);
            team.lease().unwrap().run(count, &|index| {
                for step in 0..50 {
                    calls[index].fetch_add(1, Ordering::Relaxed);
                    meeting.wait(count);
                    // Nobody is a step behind once all have met, nor two ahead.
                    let others = calls[..count].iter().map(|calls| calls.load(Ordering::Relaxed));
                    early.fetch_add(
                        others.filter(|&calls| calls <= step || calls > step + 2).count(),
                        Ordering::Relaxed,
                    );
                    meeting.wait(count);
                }
            });
            assert_eq!(early.load(Ordering::Relaxed), 0);
            let calls: Vec<usize> = calls.iter().map(|calls| calls.load(Ordering::Relaxed)).collect();
            assert!(calls[..count].iter().all(|&calls| calls == 50), "{calls:?}");
            assert!(calls[count..].iter().all(|&calls| calls == 0), "{calls:?}");
        }
    }

    #[test]
    fn a_crowd_is_avoided_for_longer_each_time_and_forgotten() {
        let crowd = Crowd::default();
        for runs in [2, 4, 8] {
            crowd.met(100, 50);
            assert_eq!((0..20).take_while(|_| !crowd.may_meet()).count(), runs);
        }
        crowd.met(100, 2);
        crowd.met(100, 50);
        assert_eq!((0..20).take_while(|_| !crowd.may_meet()).count(), 2);
    }

    #[test]
    fn sleepers_are_woken_and_a_team_that_is_busy_says_so() {
        let team = Team::new(2);
        let meeting = Meeting::new();
        team.lease().unwrap().run(2, &|index| {
            assert!(team.lease().is_none());
            for _ in 0..3 {
                if index == 0 {
                    thread::sleep(Duration::from_millis(20));
                    meeting.advance();
                }
            }
            meeting.until(|rounds| rounds == 3);
        });
        thread::sleep(Duration::from_millis(20));
        team.lease().unwrap().run(2, &|_| meeting.wait(2));
        assert_eq!(meeting.rounds(), 4);
    }
}
