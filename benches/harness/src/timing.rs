//! Repeating a run until its median is known well enough.

use std::time::Duration;

use web_time::Instant;

/// How often each measurement is taken, with others in between.
pub const ROUNDS: usize = 5;

/// How long to repeat in one round.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// The duration of the warm-up, which has at least one run.
    pub warm_up: Duration,
    /// The fewest runs.
    pub least: usize,
    /// Runs to make if time allows, however soon the median is known: for rare events.
    pub wanted: usize,
    /// The spread of the median at which to stop.
    pub spread: f64,
    /// The longest time, once there are `least` runs.
    pub longest: Duration,
}

impl Effort {
    /// For a table within two minutes.
    pub const NORMAL: Self = Self {
        warm_up: Duration::from_millis(20),
        least: 2,
        wanted: 2,
        spread: 0.01,
        longest: Duration::from_millis(150),
    };
    /// For a quick impression.
    pub const QUICK: Self = Self {
        warm_up: Duration::from_millis(6),
        least: 2,
        wanted: 2,
        spread: 0.05,
        longest: Duration::from_millis(40),
    };

    /// The same, with enough runs in all rounds together for the 99.9th percentile.
    pub fn of_a_step(self) -> Self {
        Self { wanted: SELDOM.div_ceil(ROUNDS) * 2, ..self }
    }

    /// Calls `run` as often as the effort requires. Returns its results after the warm-up. Runs so short that the clock cannot tell
    /// their time are timed several together: each time is the mean of [`together`] runs.
    ///
    /// # Errors
    /// The first error of `run`.
    pub async fn repeat<T, E>(&self, mut run: impl AsyncFnMut() -> Result<T, E>) -> Result<Vec<(f64, T)>, E> {
        let start = Instant::now();
        let mut warm = 0u32;
        loop {
            run().await?;
            warm += 1;
            if start.elapsed() >= self.warm_up {
                break;
            }
        }
        let together = together(start.elapsed() / warm, resolution());
        let (start, mut all) = (Instant::now(), Vec::new());
        let mut check = self.least;
        loop {
            let began = Instant::now();
            for _ in 1..together {
                run().await?;
            }
            let result = run().await?;
            all.push((began.elapsed().as_secs_f64() / f64::from(together), result));
            if all.len() < self.least {
                continue;
            }
            if start.elapsed() >= self.longest {
                return Ok(all);
            }
            // Sorting takes time, so the spread is computed each time the runs have grown by a quarter.
            if all.len() >= check.max(self.wanted) {
                check = all.len() + all.len() / 4 + 1;
                if Figures::of(all.iter().map(|(seconds, _)| *seconds)).spread <= self.spread {
                    return Ok(all);
                }
            }
        }
    }
}

/// The smallest step of the clock. Browsers make it coarse, up to a tenth of a millisecond and more.
pub fn resolution() -> Duration {
    let step = || {
        let start = Instant::now();
        loop {
            let passed = start.elapsed();
            if passed > Duration::ZERO {
                return passed;
            }
        }
    };
    (0..5).map(|_| step()).min().unwrap_or_default()
}

/// The number of runs whose common time has at least 20 steps of a clock of this resolution.
pub fn together(run: Duration, resolution: Duration) -> u32 {
    let steps = 20.0 * resolution.as_secs_f64() / run.as_secs_f64().max(1e-9);
    (steps.ceil() as u32).max(1)
}

/// The fewest runs for which the 99.9th percentile is meaningful.
pub const SELDOM: usize = 1000;

/// A summary of many times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// The median.
    pub median: f64,
    /// The fifth percentile.
    pub p05: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile, of at least [`SELDOM`] times.
    pub p999: Option<f64>,
    /// The spread of the median as a share of it: half the width of its 95 % confidence interval, or half the
    /// distance between the medians of rounds if that is more.
    pub spread: f64,
    /// The number of times.
    pub runs: usize,
}

impl Figures {
    /// A summary of all times of several rounds. The interval of [`Figures::of`] assumes independent times, and times
    /// from one moment are not. So the distance between the rounds counts as well.
    pub fn of_rounds(rounds: &[Vec<f64>]) -> Self {
        let mut all = Self::of(rounds.iter().flatten().copied());
        let medians: Vec<f64> = rounds.iter().map(|round| Self::of(round.iter().copied()).median).collect();
        let most = medians.iter().copied().fold(f64::MIN, f64::max);
        let least = medians.iter().copied().fold(f64::MAX, f64::min);
        all.spread = all.spread.max((most - least) / 2.0 / all.median.max(f64::MIN_POSITIVE));
        all
    }

    /// A summary of at least one time. The interval is that of order statistics, n/2 ± 0.98·√n, which assumes nothing
    /// about the distribution of times (Conover 1999, section 3.2).
    pub fn of(times: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = times.collect();
        sorted.sort_by(f64::total_cmp);
        let runs = sorted.len();
        let at = |rank: f64| {
            let last = runs.saturating_sub(1);
            sorted.get((rank.max(0.0) as usize).min(last)).copied().unwrap_or(f64::NAN)
        };
        let share = |share: f64| at((share * runs as f64).floor());
        let middle = runs as f64 / 2.0;
        let median = if runs % 2 == 1 { at(middle) } else { (at(middle) + at(middle - 1.0)) / 2.0 };
        let reach = 0.98 * (runs as f64).sqrt();
        let width = at((middle + reach).ceil()) - at((middle - reach).floor());
        Self {
            median,
            p05: share(0.05),
            p95: share(0.95),
            p99: share(0.99),
            p999: (runs >= SELDOM).then(|| share(0.999)),
            spread: width / 2.0 / median.max(f64::MIN_POSITIVE),
            runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_known_times() {
        let figures = Figures::of((1..=101).rev().map(f64::from));
        assert_eq!((figures.median, figures.p05, figures.p95, figures.p99), (51.0, 6.0, 96.0, 100.0));
        // Ranks 50.5 ± 9.85: the 41st to the 62nd.
        assert_eq!(figures.spread, (62.0 - 41.0) / 2.0 / 51.0);
        assert_eq!(Figures::of([2.0, 1.0].into_iter()).median, 1.5);
        assert_eq!(Figures::of([3.0].into_iter()).p99, 3.0);
        assert_eq!(figures.p999, None);
        assert_eq!(Figures::of((1..=2000).map(f64::from)).p999, Some(1999.0));
    }

    #[test]
    fn rounds_that_lie_apart_widen_the_spread() {
        // Each round is steady, so the interval alone would be narrow.
        let rounds: Vec<Vec<f64>> = [1.0, 1.0, 1.0, 1.0, 1.5].map(|time| vec![time; 50]).to_vec();
        let all = Figures::of_rounds(&rounds);
        assert_eq!((all.median, all.runs, all.spread), (1.0, 250, 0.25));
        assert_eq!(Figures::of(rounds.iter().flatten().copied()).spread, 0.0);
        let rounds: Vec<Vec<f64>> = vec![(1..=101).map(f64::from).collect()];
        assert_eq!(Figures::of_rounds(&rounds), Figures::of((1..=101).map(f64::from)));
    }

    #[test]
    fn short_runs_are_timed_together_by_a_coarse_clock() {
        let micros = Duration::from_micros;
        let coarse = micros(100);
        assert_eq!(together(micros(2000), coarse), 1);
        assert_eq!(together(micros(1000), coarse), 2);
        assert_eq!(together(micros(5), coarse), 400);
        assert_eq!(together(micros(5), Duration::from_nanos(25)), 1);
        assert!(together(Duration::ZERO, coarse) > 400 && resolution() > Duration::ZERO);
    }

    #[test]
    fn a_steady_run_ends_early_and_an_error_at_once() {
        let effort = Effort { longest: Duration::from_secs(60), ..Effort::QUICK };
        let mut calls = 0;
        let all = pollster::block_on(effort.repeat(async || -> Result<(), ()> {
            calls += 1;
            std::thread::sleep(Duration::from_millis(2));
            Ok(())
        }));
        assert!(all.unwrap().len() < 2000 && calls > 2);
        let mut calls = 0;
        let failed = pollster::block_on(effort.repeat(async || {
            calls += 1;
            Err::<(), _>("lost")
        }));
        assert_eq!((failed.unwrap_err(), calls), ("lost", 1));
    }
}
