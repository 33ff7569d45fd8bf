//! Models of the thread team for loom. It runs each in every order that the memory model and the limit on preemptions allow. What
//! is checked is the team itself (`team.rs`, `barrier.rs`, `pieces.rs`), on loom's primitives.
//!
//! Shared memory is in loom's cells, as the arrays of a run are in `Shared`. loom fails the model at a data race: an access that
//! the primitives do not order after an earlier one. It finds the race whatever the order. It also fails at a lost wake-up.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::cell::UnsafeCell;
use loom::model::Builder;

use super::barrier::Barrier;
use super::caught::Panicked;
use super::pieces::Pieces;
use super::team::{Late, Team};

/// A number that threads share without a lock.
struct Plain(UnsafeCell<usize>);

// SAFETY: loom runs one thread at a time, and fails the model where two accesses are not ordered.
unsafe impl Sync for Plain {}

impl Plain {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    fn add(&self, value: usize) {
        // SAFETY: as above.
        self.0.with_mut(|number| unsafe { *number += value });
    }

    fn get(&self) -> usize {
        // SAFETY: as above.
        self.0.with(|number| unsafe { *number })
    }
}

fn plain<const N: usize>() -> [Plain; N] {
    std::array::from_fn(|_| Plain::new())
}

/// Runs `model` in every order that has at most `preemptions` preemptions.
fn in_every_order(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = orders.clone();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let orders = orders.load(Ordering::Relaxed);
    println!("{orders} orders");
    assert!(orders > 1);
}

/// Counts of the outcomes of a model; each outcome has to occur in at least one order.
#[derive(Clone)]
struct Outcomes<const N: usize>(Arc<[AtomicUsize; N]>);

impl<const N: usize> Outcomes<N> {
    fn new() -> Self {
        Self(Arc::new([const { AtomicUsize::new(0) }; N]))
    }

    fn count(&self, outcome: usize) {
        self.0[outcome].fetch_add(1, Ordering::Relaxed);
    }

    fn check(&self) {
        let counts = self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        println!("{counts:?} of each outcome");
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    }
}

/// Every thread sees what the caller wrote, and the caller sees what they wrote; and again with the same threads.
fn hand_over<const N: usize>(runs: usize) {
    let team = Team::new(N);
    let (given, made) = (Plain::new(), plain::<N>());
    for run in 1..=runs {
        given.add(1);
        let work = |index: usize| {
            assert_eq!(given.get(), run);
            made[index].add(index + 1);
        };
        team.lease(N).unwrap().run(N, Late::Awaited, &work, &|| {}).unwrap();
        for (index, made) in made.iter().enumerate() {
            assert_eq!(made.get(), run * (index + 1));
        }
    }
}

#[test]
fn a_job_reaches_its_thread_and_its_end_is_seen() {
    in_every_order(5, || hand_over::<2>(2));
}

#[test]
fn jobs_reach_two_threads() {
    in_every_order(3, || hand_over::<3>(1));
}

/// An idle thread polls, is about to sleep or sleeps while the team is leased and given back, used, and dropped.
#[test]
fn threads_are_found_wherever_they_are_and_end_with_the_team() {
    in_every_order(5, || {
        let team = Team::new(2);
        drop(team.lease(2).unwrap());
        let calls = plain::<2>();
        drop(team.lease(1).unwrap());
        team.lease(2).unwrap().run(2, Late::Awaited, &|index| calls[index].add(1), &|| {}).unwrap();
        drop(team.lease(2).unwrap());
        assert_eq!(calls.each_ref().map(Plain::get), [1, 1]);
    });
    in_every_order(5, || drop(Team::new(3).lease(3).unwrap()));
}

/// Steps of threads that read what the others wrote in the step before.
fn steps(barrier: &Barrier, made: &[Plain], own: usize, steps: usize) {
    for step in 1..=steps {
        made[own].add(1);
        barrier.wait(made.len());
        for made in made {
            assert_eq!(made.get(), step);
        }
        barrier.wait(made.len());
    }
}

#[test]
fn what_was_written_before_a_barrier_is_seen_after_it() {
    in_every_order(3, || {
        let shared = Arc::new((Barrier::new(), plain::<2>()));
        let other = shared.clone();
        let other = loom::thread::spawn(move || steps(&other.0, &other.1, 1, 2));
        steps(&shared.0, &shared.1, 0, 2);
        other.join().unwrap();
    });
}

#[test]
fn three_threads_use_a_barrier() {
    in_every_order(2, || {
        let shared = Arc::new((Barrier::new(), plain::<3>()));
        let others = [1, 2].map(|own| {
            let shared = shared.clone();
            loom::thread::spawn(move || steps(&shared.0, &shared.1, own, 1))
        });
        steps(&shared.0, &shared.1, 0, 1);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// One layer waits for the step count of the layer below, which waits for none.
#[test]
fn a_count_that_is_waited_for_comes_with_what_was_written() {
    in_every_order(5, || {
        let shared = Arc::new((Barrier::new(), plain::<3>()));
        let below = shared.clone();
        let below = loom::thread::spawn(move || {
            for made in &below.1 {
                made.add(1);
                below.0.advance();
            }
        });
        for needed in [2, 3] {
            shared.0.until(|steps| steps >= needed);
            assert!(shared.1[..needed].iter().all(|made| made.get() == 1));
        }
        below.join().unwrap();
    });
}

/// A run as `Run::thread` does it: threads of a team with a barrier after every step.
#[test]
fn threads_of_a_team_use_barriers() {
    in_every_order(4, || {
        let team = Team::new(2);
        let (barrier, made) = (Barrier::new(), plain::<2>());
        let work = |own: usize| steps(&barrier, &made, own, 1);
        team.lease(2).unwrap().run(2, Late::Awaited, &work, &|| barrier.free()).unwrap();
        assert_eq!(made.each_ref().map(Plain::get), [1, 1]);
    });
}

/// Each piece is computed once, and all are when the run has ended, whether a thread was late or not. A late thread's call is not
/// made afterwards, and the thread takes part in the next run.
#[test]
fn pieces_are_made_once_and_a_late_thread_is_left_out() {
    let outcomes = Outcomes::<2>::new();
    let counted = outcomes.clone();
    in_every_order(4, move || {
        let team = Team::new(2);
        let made = plain::<2>();
        let (pieces, calls) = (Pieces::new(&[0, 1], 1), loom::sync::atomic::AtomicUsize::new(0));
        let work = |_: usize| {
            calls.fetch_add(1, Ordering::Relaxed);
            while let Some(rows) = pieces.next() {
                rows.iter().for_each(|&row| made[row].add(1));
            }
        };
        team.lease(2).unwrap().run(2, Late::LeftOut, &work, &|| {}).unwrap();
        assert_eq!(made.each_ref().map(Plain::get), [1, 1]);
        counted.count(calls.load(Ordering::Relaxed) - 1);
        let again = plain::<2>();
        team.lease(2).unwrap().run(2, Late::Awaited, &|index| again[index].add(1), &|| {}).unwrap();
        assert_eq!(again.each_ref().map(Plain::get), [1, 1]);
    });
    outcomes.check();
}

/// Two other threads, of which any may be late.
#[test]
fn any_of_two_threads_is_left_out() {
    let outcomes = Outcomes::<3>::new();
    let counted = outcomes.clone();
    in_every_order(3, move || {
        let team = Team::new(3);
        let (made, calls) = (plain::<3>(), loom::sync::atomic::AtomicUsize::new(0));
        let work = |index: usize| {
            made[index].add(1);
            calls.fetch_add(1, Ordering::Relaxed);
        };
        team.lease(3).unwrap().run(3, Late::LeftOut, &work, &|| {}).unwrap();
        let calls = calls.load(Ordering::Relaxed);
        assert_eq!(made.iter().map(Plain::get).sum::<usize>(), calls);
        counted.count(calls - 1);
    });
    outcomes.check();
}

/// A panic with a message, without the hook that would print it in every order.
fn fail(words: &'static str) {
    resume_unwind(Box::new(words));
}

/// Either of two threads panics. The other one, which waits for it now or later, is freed. The caller gets the error once both
/// have ended, and the team works as before.
#[test]
fn a_panic_frees_the_other_and_reaches_the_caller() {
    for panicking in [0, 1] {
        in_every_order(3, move || {
            let team = Team::new(2);
            let (barrier, made) = (Barrier::new(), plain::<2>());
            let work = |index: usize| {
                made[index].add(1);
                if index == panicking {
                    fail("planted");
                }
                barrier.wait(2);
                unreachable!("no thread has met");
            };
            let ended = team.lease(2).unwrap().run(2, Late::Awaited, &work, &|| barrier.free());
            assert_eq!(ended, Err(Panicked(Some("planted".into()))));
            assert_eq!(made.each_ref().map(Plain::get), [1, 1]);
            team.lease(2).unwrap().run(2, Late::Awaited, &|index| made[index].add(1), &|| {}).unwrap();
            assert_eq!(made.each_ref().map(Plain::get), [2, 2]);
        });
    }
}

/// Of two simultaneous runs one has the threads and the other uses its own alone, or they run one after the other.
#[test]
fn two_runs_do_not_share_the_threads() {
    let outcomes = Outcomes::<2>::new();
    let counted = outcomes.clone();
    in_every_order(3, move || {
        let team = Arc::new(Team::new(2));
        let run = |team: &Team| {
            let made = plain::<2>();
            let lease = team.lease(2);
            let has = lease.is_some();
            match lease {
                Some(mut lease) => lease.run(2, Late::Awaited, &|index| made[index].add(1), &|| {}).unwrap(),
                None => made.iter().for_each(|made| made.add(1)),
            }
            assert_eq!(made.each_ref().map(Plain::get), [1, 1]);
            has
        };
        let other = {
            let team = team.clone();
            loom::thread::spawn(move || run(&team))
        };
        let has = run(&team);
        let both = other.join().unwrap() && has;
        counted.count(usize::from(both));
    });
    outcomes.check();
}
