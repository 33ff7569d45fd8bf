//! The load itself: at each turn every stream gets its frame, and a tick computes all frames that wait.
//!
//! Ticks run one after the other ([`Pool::tick_into`]). Two ticks in flight would overlap the read-back of one with
//! the work of the next. For that, the next tick would have to begin before the outputs of the first arrive. But its
//! frames fall due when the deadline of the first has passed, so only a load that is already late could have two
//! ticks in flight. There, a frame waits for two ticks: on llvmpipe with 192 streams of H = 64, which it cannot keep
//! up with, the median rose from 0.16 s to 0.21 and 0.29 s.

use std::time::Instant;

use wgru::Engine;
use wgru::{Pool, PoolOptions, TickOutput};

use super::population::{Frames, Kept, Population};
use super::schedule::{LATE, Schedule, Tally};
use crate::failure::Outcome;

/// The most turns in one tick, if a device is behind.
pub const TOGETHER: u64 = 8;
/// Turns of the warm-up.
const WARM_UP: u64 = 3;
/// Seconds and turns, whichever is more, that a load may be behind before it is ended.
const BEHIND: (f64, u64) = (0.5, 2 * TOGETHER);

/// The load for a device.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Streams.
    pub streams: usize,
    /// The due times of their frames.
    pub schedule: Schedule,
    /// Whether this is a trial, which only tests whether the rate is kept. It keeps nothing to verify, and ends as
    /// soon as the rate cannot be kept any more.
    pub trial: bool,
}

/// The outcome of a load.
pub struct Load {
    /// Latencies and deadlines.
    pub tally: Tally,
    /// Its duration.
    pub seconds: f64,
    /// Whether it was ended early.
    pub overloaded: bool,
    /// The number of streams over the whole load.
    pub streams: u64,
    /// Bytes of the pool on the device.
    pub bytes: u64,
    /// Streams to verify, and their frames.
    pub kept: (Vec<Kept>, Frames),
}

/// An empty pool that has compiled and allocated what its ticks need.
///
/// # Errors
/// The engine's error.
pub fn pool(engine: &Engine, terms: Terms) -> wgru::Result<Pool> {
    let together = TOGETHER as usize;
    let mut pool = engine.pool(PoolOptions::fixed(terms.streams).frames(together))?;
    // A trial that has to put several turns into one tick has failed.
    pool.prepare(terms.streams, if terms.trial { 1 } else { together })?;
    Ok(pool)
}

/// Runs the load on `pool`, which is empty.
///
/// # Errors
/// The pool's error; frames without outputs.
pub fn run(pool: &mut Pool, terms: Terms) -> Outcome<Load> {
    let Terms { streams, schedule, trial } = terms;
    let mut population = Population::open(pool, streams, schedule.turns, schedule.rate, !trial)?;
    let mut output = TickOutput::default();
    for _ in 0..WARM_UP {
        tick(pool, &mut population, 1, &mut output)?;
        population.take(&output, 1)?;
    }
    let most_missed = schedule.turns as f64 * streams as f64 * LATE;
    let (mut tally, mut next, mut overloaded) = (Tally::default(), 0, false);
    let start = Instant::now();
    while next < schedule.turns && !overloaded {
        let (elapsed, due) = (start.elapsed(), schedule.due(next));
        if elapsed < due {
            std::thread::sleep(due - elapsed);
            continue;
        }
        let turns = (schedule.due_by(elapsed) - next).min(TOGETHER);
        population.change(pool, next)?;
        tick(pool, &mut population, turns, &mut output)?;
        let done = start.elapsed();
        tally.tick(schedule, next, turns, population.len(), done);
        population.take(&output, turns)?;
        next += turns;
        let waiting = schedule.due_by(start.elapsed()) - next;
        overloaded = waiting > bound(schedule) || (trial && tally.missed as f64 >= most_missed);
    }
    // The last turn counts with its whole period, whether or not the tick took that long.
    let seconds = start.elapsed().max(schedule.due(next)).as_secs_f64();
    let (streams, bytes) = (population.streams(), pool.bytes());
    Ok(Load { tally, seconds, overloaded, streams, bytes, kept: population.into_kept() })
}

fn tick(pool: &mut Pool, population: &mut Population, turns: u64, output: &mut TickOutput) -> Outcome {
    population.push(pool, turns)?;
    pool.tick_into(output)?;
    Ok(())
}

/// Turns that may wait. They are counted, not stored: a tick takes all frames that were pushed.
fn bound(schedule: Schedule) -> u64 {
    ((schedule.rate * BEHIND.0) as u64).max(BEHIND.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgru::Device;
    use wgru_harness::case::Case;

    fn engine() -> Engine {
        let case: Case = "gru-b1-t1-i3-h4-l2".parse().unwrap();
        Device::cpu().load(&case.model(&mut fastrand::Rng::with_seed(1)).unwrap()).unwrap()
    }

    #[test]
    fn every_frame_is_computed() {
        let schedule = Schedule { rate: 200.0, turns: 40 };
        let terms = Terms { streams: 5, schedule, trial: false };
        let load = run(&mut pool(&engine(), terms).unwrap(), terms).unwrap();
        assert!(!load.overloaded && load.seconds >= 0.2, "{}", load.seconds);
        // One stream leaves; the next one joins a turn later or more.
        assert!((40 * 4..40 * 5).contains(&load.tally.frames), "{}", load.tally.frames);
        let always = load.kept.0.iter().filter(|kept| kept.frames == 40 + WARM_UP);
        assert!((1..8).contains(&always.count()));
    }

    /// No device computes a million frames a second for each of a hundred streams: ticks take several turns each, and
    /// the load ends early.
    #[test]
    fn a_device_that_is_behind_does_not_hang() {
        let schedule = Schedule { rate: 1e6, turns: 10_000_000 };
        for trial in [false, true] {
            let terms = Terms { streams: 100, schedule, trial };
            let load = run(&mut pool(&engine(), terms).unwrap(), terms).unwrap();
            assert!(load.overloaded && load.tally.missed > 0);
            assert!(!load.tally.keeps(schedule));
            let mean = load.tally.frames as usize / load.tally.latencies.len();
            assert!(mean > 200, "{mean}");
        }
    }
}
