//! The load itself: at each turn every stream gets its frame, and a tick computes what there is.
//!
//! Ticks are taken one by one ([`Pool::tick_into`]). Two under way, so that the way back of one overlaps the work of the
//! next, would need the next to begin before the outputs of the first are there; but its frames fall due when the deadline
//! of the first is over. So only a load that is late already could have two, and there a frame waits for two ticks: on
//! llvmpipe with 192 streams of H = 64, which it cannot keep up with, the median rose from 0.16 s to 0.21 and 0.29 s.

use std::time::Instant;

use wgru::Engine;
use wgru::{Pool, PoolOptions, TickOutput};

use super::population::{Frames, Kept, Population};
use super::schedule::{LATE, Schedule, Tally};
use crate::failure::Outcome;

/// Turns that a tick takes at the most where a device is behind.
pub const TOGETHER: u64 = 8;
/// Turns before anything counts.
const WARM_UP: u64 = 3;
/// Seconds and turns that a load may be behind, whichever is more, before it is ended.
const BEHIND: (f64, u64) = (0.5, 2 * TOGETHER);

/// What is asked of a device.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Streams.
    pub streams: usize,
    /// When their frames fall due.
    pub schedule: Schedule,
    /// Whether it is only to be found out whether the rate is kept: then nothing is kept to be verified, and the load ends
    /// where the rate cannot be kept any more.
    pub trial: bool,
}

/// How a load went.
pub struct Load {
    /// Latencies and deadlines.
    pub tally: Tally,
    /// How long it went on.
    pub seconds: f64,
    /// Whether it was ended early.
    pub overloaded: bool,
    /// Streams that there were.
    pub streams: u64,
    /// Bytes of the pool on the device.
    pub bytes: u64,
    /// Streams to verify, and their frames.
    pub kept: (Vec<Kept>, Frames),
}

/// An empty pool that has compiled and allocated what its ticks need.
///
/// # Errors
/// What the engine says.
pub fn pool(engine: &Engine, terms: Terms) -> wgru::Result<Pool> {
    let together = TOGETHER as usize;
    let mut pool = engine.pool(PoolOptions::fixed(terms.streams).frames(together))?;
    // A trial that needs to take turns together has failed.
    pool.prepare(terms.streams, if terms.trial { 1 } else { together })?;
    Ok(pool)
}

/// Puts the load on `pool`, which is empty.
///
/// # Errors
/// What the pool says; frames whose outputs did not come.
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
    // The last turn has its period as well, whether or not it was needed.
    let seconds = start.elapsed().max(schedule.due(next)).as_secs_f64();
    let (streams, bytes) = (population.streams(), pool.bytes());
    Ok(Load { tally, seconds, overloaded, streams, bytes, kept: population.into_kept() })
}

fn tick(pool: &mut Pool, population: &mut Population, turns: u64, output: &mut TickOutput) -> Outcome {
    population.push(pool, turns)?;
    pool.tick_into(output)?;
    Ok(())
}

/// Turns that may wait. They are counted and not held: a tick takes all that was pushed.
fn bound(schedule: Schedule) -> u64 {
    ((schedule.rate * BEHIND.0) as u64).max(BEHIND.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::case::Case;
    use wgru::Device;

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
        // One leaves; whoever joins comes a turn later or more.
        assert!((40 * 4..40 * 5).contains(&load.tally.frames), "{}", load.tally.frames);
        let always = load.kept.0.iter().filter(|kept| kept.frames == 40 + WARM_UP);
        assert!((1..8).contains(&always.count()));
    }

    /// No device computes a million frames a second of each of a hundred streams: it takes several turns together, and the
    /// load ends.
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
