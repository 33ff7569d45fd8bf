//! `wgru bench --suite stream`: pools under a load in real time.
//!
//! Streams come and go, and get their frames at a fixed rate. The suite measures the time from a frame's due time to
//! its output, and how many streams a device keeps the rate for. `benches/README.md` describes the method.

mod load;
mod population;
mod schedule;
mod search;
mod verify;

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use wgru::reference::Comparison;
use wgru::{DeviceInfo, Dims, Engine, Error};

use super::listing::listing;
use super::sink::Sink;
use super::{bar, devices, peaks, today};
use crate::args::BenchArgs;
use crate::failure::{Failure, Outcome, error};
use crate::print::print;
use crate::warnings;
use load::{Load, Terms};
use schedule::Schedule;
use search::Most;
use wgru_harness::case::Case;
use wgru_harness::measure::{Bench, Stamp};
use wgru_harness::number::count;
use wgru_harness::record::{Record, Timed, Timing};
use wgru_harness::subject::weight_bytes;

/// The suite's name.
pub const NAME: &str = "stream";
/// The suite in the list of suites, with its purpose.
pub const PURPOSE: (&str, &str) =
    (NAME, "pools in real time: 1,000 streams that come and go, 100 frames a second of each");
/// The most streams.
const LIMIT: usize = 1 << 24;

/// The durations of all parts.
struct Effort {
    streams: usize,
    seconds: f64,
    /// The time of one trial of the search, and of all trials.
    trial: f64,
    search: Duration,
    precision: f64,
}

const NORMAL: Effort =
    Effort { streams: 1000, seconds: 60.0, trial: 1.0, search: Duration::from_secs(30), precision: 0.05 };
const QUICK: Effort =
    Effort { streams: 64, seconds: 2.0, trial: 0.25, search: Duration::from_secs(3), precision: 0.25 };
/// Frames a second.
const RATE: f64 = 100.0;
/// The fewest turns of a trial.
const LEAST: u64 = 2;

/// The suite's settings, the same on every device.
struct Asked {
    cases: Vec<Case>,
    rate: f64,
    seconds: f64,
    effort: Effort,
}

/// # Errors
/// An option of this suite with another suite.
pub fn check_absent(args: &BenchArgs) -> Outcome {
    let given = [
        ("--streams", args.streams.is_some()),
        ("--rate", args.rate.is_some()),
        ("--seconds", args.seconds.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => {
            let suite =
                args.suite.as_deref().map_or("none was named".into(), |name| format!("not of {name}"));
            Err(error(option, format!("is for --suite {NAME} alone, {suite}")))
        }
    }
}

impl Asked {
    fn of(args: &BenchArgs) -> Outcome<Self> {
        let effort = if args.quick { QUICK } else { NORMAL };
        let none_of = [
            (
                "--any-reduction-order",
                args.any_reduction_order,
                "outputs are compared bit by bit with runs, whose reduction order it would free",
            ),
            (
                "--pipelining",
                args.pipelining.is_some(),
                "the layers of a pool are computed one after the other",
            ),
            ("--exchange", args.exchange, "a pool does not use it"),
        ];
        if let Some((option, _, reason)) = none_of.into_iter().find(|(_, given, _)| *given) {
            return Err(error(format!("{option} with --suite {NAME}"), reason));
        }
        let default = || format!("gru-b{}-t1-i256-h256-l2", effort.streams);
        let names = if args.case.is_empty() { vec![default()] } else { args.case.clone() };
        let cases = names.iter().map(|name| case(name, args.streams)).collect::<Outcome<_>>()?;
        let (rate, seconds) = (args.rate.unwrap_or(RATE), args.seconds.unwrap_or(effort.seconds));
        Ok(Self { cases, rate, seconds, effort })
    }

    fn terms(&self, streams: usize) -> Terms {
        Terms { streams, schedule: Schedule::lasting(self.rate, self.seconds, 1), trial: false }
    }

    fn trial(&self, streams: usize) -> Terms {
        Terms { streams, schedule: Schedule::lasting(self.rate, self.effort.trial, LEAST), trial: true }
    }
}

/// A case of streams, whose number `--streams` may set.
fn case(name: &str, streams: Option<u32>) -> Outcome<Case> {
    let mut case: Case = name.parse().map_err(Failure::Error)?;
    let wrong = |reason: String| Err(error(format!("case \"{name}\" with --suite {NAME}"), reason));
    case.batch = streams.map_or(case.batch, |streams| streams as usize);
    if case.steps != 1 {
        return wrong(format!("a stream gets its frames one by one, -t1 and not -t{}", case.steps));
    }
    if case.bidirectional || case.alternating {
        return wrong("-bi, deep: a stream has no end for a reverse layer to begin at".into());
    }
    if case.ragged {
        return wrong("-ragged: streams come and go, and have no length".into());
    }
    if case.batch > LIMIT {
        return wrong(format!("{} streams, {LIMIT} at the most", case.batch));
    }
    Ok(case)
}

/// Puts the load on the devices, one after the other; writes and prints.
pub fn run(args: &BenchArgs) -> Outcome {
    let asked = Asked::of(args)?;
    let mut benches = devices(args)?;
    let peaks = peaks(&benches);
    let mut sink = Sink::open(args)?;
    warnings::of_build();
    let bar = bar(asked.cases.len() * benches.len());
    let mut all = Ended::default();
    let kept = all.measure(&asked, &mut benches, &mut sink, &bar);
    bar.finish_and_clear();
    let mut text = peaks.to_string();
    if !sink.records().is_empty() {
        text += &format!("\n{}\n{}", listing(sink.records()), all.notes);
    }
    kept.and(print(&text))?;
    match all {
        Ended { wrong: 0, failed: 0, .. } => Ok(()),
        Ended { wrong: 0, failed, .. } => {
            Err(Failure::Error(format!("{failed} of the loads could not be measured, see above")))
        }
        Ended { wrong, .. } => {
            Err(Failure::Verification(format!("{wrong} of the loads gave wrong numbers, see above")))
        }
    }
}

/// The outcomes of the loads.
#[derive(Default)]
struct Ended {
    /// Remarks that records have no field for, a line each.
    notes: String,
    /// How many gave wrong numbers.
    wrong: usize,
    /// How many could not be measured.
    failed: usize,
}

impl Ended {
    /// Every case on every device.
    ///
    /// # Errors
    /// A file that could not be written.
    fn measure(
        &mut self,
        asked: &Asked,
        benches: &mut [Bench],
        sink: &mut Sink<'_>,
        bar: &ProgressBar,
    ) -> Outcome {
        let stamp = Stamp { commit: wgru_harness::COMMIT.into(), date: today() };
        for case in &asked.cases {
            for bench in &mut *benches {
                let name = format!("{case} on {}", bench.device.info());
                bar.set_message(format!("streaming {name}"));
                let streamed = Streamed::new(asked, case, bench);
                let mut failures = Vec::new();
                match streamed {
                    Err(failure) => failures.push(failure),
                    Ok(streamed) => {
                        bar.set_message(format!("looking for the most streams of {name}"));
                        let most = streamed.most(asked);
                        self.notes += &format!("{name}: {}\n", streamed.note(&most));
                        // The measurements are kept whether or not the search succeeds.
                        let known = most.as_ref().ok().and_then(|most| most.found());
                        failures.extend(most.err());
                        sink.keep(vec![streamed.record(asked, bench, known, &stamp)])?;
                    }
                }
                for failure in failures {
                    self.fail(&name, failure, bar);
                    // A lost device stays lost. The next case opens it again.
                    if let Ok(device) = pollster::block_on(bench.reopen()) {
                        bench.device = device;
                    }
                }
                bar.inc(1);
            }
        }
        Ok(())
    }

    fn fail(&mut self, name: &str, failure: Failure, bar: &ProgressBar) {
        let reason = match failure {
            Failure::Verification(reason) => {
                self.wrong += 1;
                reason + ": not reported"
            }
            Failure::Error(reason) => {
                self.failed += 1;
                reason
            }
        };
        bar.suspend(|| eprintln!("wgru: {name}: {reason}"));
    }
}

/// A load that was verified.
struct Streamed<'a> {
    case: &'a Case,
    engine: Engine,
    load: Load,
    /// The comparison of the first frames of a stream with the reference.
    worst: Comparison,
}

impl<'a> Streamed<'a> {
    fn new(asked: &Asked, case: &'a Case, bench: &Bench) -> Outcome<Self> {
        let model = case.model(&mut fastrand::Rng::with_seed(1))?;
        let engine = bench.device.load_with(&model, bench.options(case))?;
        let terms = asked.terms(case.batch);
        let load = load::run(&mut load::pool(&engine, terms)?, terms)?;
        let worst = verify::verify(&engine, case, &load.kept.0, &load.kept.1)?;
        Ok(Self { case, engine, load, worst })
    }

    /// The most streams that keep the rate. The search begins with the result of the load itself.
    fn most(&self, asked: &Asked) -> Outcome<Most> {
        let streams = self.case.batch;
        // A trial is shorter than the load. So a load that was late now and then does not count as a failed trial.
        let known = if self.load.overloaded {
            Most { keeps: 0, fails: Some(streams) }
        } else if self.load.tally.keeps(asked.terms(streams).schedule) {
            Most { keeps: streams, fails: None }
        } else {
            Most { keeps: 0, fails: None }
        };
        let start = Instant::now();
        known.search(asked.effort.precision, |streams| {
            let terms = asked.trial(streams);
            if start.elapsed() + terms.schedule.due(terms.schedule.turns - 1) > asked.effort.search {
                return Ok(None);
            }
            let mut pool = match load::pool(&self.engine, terms) {
                // A failed trial is a result as well.
                Err(Error::TooLarge { .. } | Error::Memory { .. }) => return Ok(Some(false)),
                pool => pool?,
            };
            let load = load::run(&mut pool, terms)?;
            Ok(Some(!load.overloaded && load.tally.keeps(terms.schedule)))
        })
    }

    /// A remark beside the record.
    fn note(&self, most: &Outcome<Most>) -> String {
        let (all, kept) = (self.load.streams, self.load.kept.0.len());
        let most = match most {
            Err(_) => "the search for the most streams failed".into(),
            Ok(Most { keeps: 0, fails: None }) => "no time to look for the most streams".into(),
            Ok(Most { keeps, fails: None }) => format!("keeps the rate for {keeps} streams at least"),
            Ok(Most { keeps: 0, fails: Some(fails) }) => {
                format!("keeps the rate for fewer than {}", count(*fails, "stream"))
            }
            Ok(Most { keeps, fails: Some(fails) }) => {
                format!("keeps the rate for {keeps} streams and not for {fails}")
            }
        };
        format!(
            "{} in all, {kept} of them compared bit by bit with runs of their own; {most}",
            count(all as usize, "stream")
        )
    }

    fn record(&self, asked: &Asked, bench: &Bench, most_streams: Option<usize>, stamp: &Stamp) -> Record {
        let Self { case, load, worst, engine } = self;
        let (device, backend, driver, threads) = bench.place();
        let figures = load.tally.figures();
        // A batch of as many frames as a tick had on average.
        let work = case.flops(load.tally.frames) / figures.runs.max(1) as f64;
        let gflops = work / figures.median.max(f64::MIN_POSITIVE) * 1e-9;
        let peak = bench.peak.as_ref();
        let strategy = engine.explain(Dims { batch: case.batch, steps: 1 });
        Record {
            engine: "wgru".into(),
            timed: Timed::Tick,
            case: case.to_string(),
            device,
            backend,
            driver,
            strategy: strategy.unwrap_or_else(|failed| failed.to_string()),
            dtype: case.storage.to_string(),
            threads,
            verified: true,
            max_error: worst.error,
            tolerance: worst.tolerance,
            median_s: figures.median,
            p05_s: figures.p05,
            p95_s: figures.p95,
            p99_s: figures.p99,
            p999_s: figures.p999,
            spread: figures.spread,
            runs: figures.runs,
            timing: Timing::Wall,
            record_s: None,
            gflops,
            peak_share: peak.map(|peak| gflops / peak.gflops),
            peak_gflops: peak.map(|peak| peak.gflops),
            peak_gbs: peak.map(|peak| peak.gbs),
            bytes: self.bytes(),
            batch: case.batch,
            steps: case.steps,
            rate_hz: Some(asked.rate),
            seconds: Some(load.seconds),
            frames: Some(load.tally.frames),
            missed: Some(load.tally.missed),
            overloaded: Some(load.overloaded),
            most_streams,
            commit: stamp.commit.clone(),
            date: stamp.date.clone(),
        }
    }

    /// Weights and states, and on a GPU the other memory that ticks needed.
    fn bytes(&self) -> u64 {
        let model = self.engine.model();
        let states = match self.engine.device().info() {
            DeviceInfo::Gpu(_) => self.load.bytes,
            _ => {
                let c = if model.cell().has_c() { model.hidden() } else { 0 };
                (4 * self.case.batch * model.layers().len() * (model.state_size() + c)) as u64
            }
        };
        weight_bytes(model, self.case.storage) + states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_of_streams() {
        assert_eq!(case("lstm-b3-t1-i2-h4-l2-f16", None).unwrap().to_string(), "lstm-b3-t1-i2-h4-l2-f16");
        assert_eq!(case("gru-b3-t1-i2-h4", Some(70)).unwrap().batch, 70);
        for (name, words) in [
            ("gru-b3-t2-i2-h4", "-t1 and not -t2"),
            ("gru-b3-t1-i2-h4-bi", "-bi"),
            ("gru-b3-t1-i2-h4-ragged", "-ragged"),
            ("gru-b99999999-t1-i2-h4", "99999999 streams, 16777216"),
            ("gru-b3", "-t"),
        ] {
            let Err(Failure::Error(text)) = case(name, None) else { panic!("{name}") };
            assert!(text.contains(words) && text.contains(name), "{text}");
        }
    }
}
