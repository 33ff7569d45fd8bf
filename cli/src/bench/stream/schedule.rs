//! The due times of frames, and which outputs were late: arithmetic that can be tested without a clock.
//!
//! All open streams get a frame at each turn, and turn k falls due k / rate seconds after the start. A frame is late,
//! its deadline missed, if its output comes after turn k + 1 fell due.

use std::time::Duration;

use wgru_harness::timing::{Figures, ROUNDS};

/// The share of late frames at which a rate is no longer kept.
pub const LATE: f64 = 0.001;

/// The due times of frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Frames a second of each stream.
    pub rate: f64,
    /// Frames of a stream that is open for the whole load.
    pub turns: u64,
}

impl Schedule {
    /// As many turns as fall due within so many seconds, at least `least`.
    pub fn lasting(rate: f64, seconds: f64, least: u64) -> Self {
        Self { rate, turns: ((seconds * rate).ceil() as u64).max(least) }
    }

    /// The time from one turn to the next.
    pub fn period(self) -> Duration {
        self.due(1)
    }

    /// When a turn falls due.
    pub fn due(self, turn: u64) -> Duration {
        // Whole nanoseconds, so that rounding does not make a turn late at its own due time.
        Duration::from_nanos((turn as f64 * 1e9 / self.rate).round() as u64)
    }

    /// The number of turns due after so long.
    pub fn due_by(self, elapsed: Duration) -> u64 {
        let mut due = (elapsed.as_secs_f64() * self.rate) as u64;
        // The quotient may have been rounded up or down.
        while due > 0 && self.due(due) > elapsed {
            due -= 1;
        }
        while self.due(due) <= elapsed && due < self.turns {
            due += 1;
        }
        due.min(self.turns)
    }
}

/// The times of a load's ticks. It grows by eight bytes a tick.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// For each tick, the time from when its oldest frame fell due until its outputs arrived.
    pub latencies: Vec<f64>,
    /// Frames with outputs.
    pub frames: u64,
    /// Frames that were late.
    pub missed: u64,
}

impl Tally {
    /// Records a tick over the turns from `first` on, with a frame for each of `streams` streams, whose outputs
    /// arrived at `done`.
    pub fn tick(&mut self, schedule: Schedule, first: u64, turns: u64, streams: usize, done: Duration) {
        self.latencies.push(done.saturating_sub(schedule.due(first)).as_secs_f64());
        let late = (first..first + turns).filter(|turn| done > schedule.due(turn + 1)).count();
        self.frames += turns * streams as u64;
        self.missed += (late * streams) as u64;
    }

    /// A summary of the latencies. The spread is between consecutive parts of the load.
    pub fn figures(&self) -> Figures {
        let part = self.latencies.len().div_ceil(ROUNDS).max(1);
        let parts: Vec<Vec<f64>> = self.latencies.chunks(part).map(<[f64]>::to_vec).collect();
        Figures::of_rounds(&parts)
    }

    /// Whether the rate was kept: 99 of a hundred ticks within a period, and a small share of late frames.
    pub fn keeps(&self, schedule: Schedule) -> bool {
        let p99 = Figures::of(self.latencies.iter().copied()).p99;
        p99 <= schedule.period().as_secs_f64() && (self.missed as f64) < LATE * self.frames as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn turns_fall_due_at_the_rate() {
        let schedule = Schedule { rate: 100.0, turns: 50 };
        assert_eq!(schedule.period(), ms(10));
        assert_eq!([0, 1, 7].map(|turn| schedule.due(turn)), [ms(0), ms(10), ms(70)]);
        let nearly = ms(10) - Duration::from_nanos(1);
        let times = [ms(0), nearly, ms(10), ms(19), ms(75), ms(490), ms(9_000)];
        assert_eq!(times.map(|time| schedule.due_by(time)), [1, 1, 2, 2, 8, 50, 50]);
    }

    /// At every rate, a turn is due at its due time, and the next is not.
    #[test]
    fn rounding_loses_no_turn() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let schedule = Schedule { rate: 10f64.powf(rng.f64() * 7.0 - 2.0), turns: u64::MAX };
            let turn = rng.u64(0..100_000);
            assert_eq!(schedule.due_by(schedule.due(turn)), turn + 1, "turn {turn} at {}", schedule.rate);
        }
    }

    #[test]
    fn a_load_lasts_as_long_as_it_is_asked_to() {
        assert_eq!(Schedule::lasting(100.0, 60.0, 1).turns, 6_000);
        assert_eq!(Schedule::lasting(30.0, 0.01, 1).turns, 1);
        assert_eq!(Schedule::lasting(0.1, 1.0, 2).turns, 2);
    }

    #[test]
    fn a_frame_is_late_when_the_next_is_due() {
        let schedule = Schedule { rate: 100.0, turns: 50 };
        let mut tally = Tally::default();
        tally.tick(schedule, 0, 1, 3, ms(10));
        assert_eq!((tally.frames, tally.missed), (3, 0));
        // Of turns 1 to 3, due at 10, 20 and 30 ms, the first two had deadlines at 20 and 30 ms.
        tally.tick(schedule, 1, 3, 4, ms(35));
        assert_eq!((tally.frames, tally.missed), (15, 8));
        assert_eq!(tally.latencies, [0.010, 0.025]);
    }

    #[test]
    fn a_rate_is_kept_or_not() {
        let schedule = Schedule { rate: 100.0, turns: 3_000 };
        let load = |late: &[u64]| {
            let mut tally = Tally::default();
            for turn in 0..schedule.turns {
                let latency = if late.contains(&turn) { ms(11) } else { ms(2) };
                tally.tick(schedule, turn, 1, 10, schedule.due(turn) + latency);
            }
            tally
        };
        assert!(load(&[]).keeps(schedule) && load(&[7, 8]).keeps(schedule));
        // 3 of 3,000 are not fewer than 0.1 %.
        assert!(!load(&[7, 8, 9]).keeps(schedule));
        assert!(!Tally::default().keeps(schedule));
        assert_eq!(load(&[7]).figures().runs, 3_000);
    }
}
