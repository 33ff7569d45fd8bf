//! `wgru bench`: the speed of recurrent layers on every device of the machine, each result verified first.

pub mod cells;
mod compare;
pub mod explain;
mod fit;
mod listing;
mod matrix;
mod peak;
mod sink;
mod stream;
pub mod tune;

use std::path::Path;
use std::time::SystemTime;

use indicatif::{ProgressBar, ProgressStyle};
use pollster::block_on;
use wgru::plan::{Only, Table as SpeedTable};
use wgru::{Device, DeviceInfo};
use wgru_harness::case::Case;
use wgru_harness::measure::{Bench, Measuring, Stamp};
use wgru_harness::record::Record;
use wgru_harness::subject::Subject;
use wgru_harness::suite;
use wgru_harness::timing::{Effort, ROUNDS};

use crate::args::BenchArgs;
use crate::devices::{check_matrices, say_matrices, test_exchange};
use crate::failure::{Failure, Outcome, error};
use crate::print::print;
use crate::table::Table;
use crate::warnings;
use listing::listing;
use sink::Sink;
use wgru_harness::number::three;

/// Measures, writes and prints; or processes existing records without measuring.
pub fn bench(args: &BenchArgs) -> Outcome {
    match (&args.compare[..], &args.from[..]) {
        ([before, after], _) => compare(before, after, args.fail_above),
        (_, []) if args.suite.as_deref() == Some(stream::NAME) => stream::run(args),
        (_, []) => run(args),
        (_, files) => {
            let records: Vec<Vec<Record>> =
                files.iter().map(|path| sink::read(path)).collect::<Outcome<_>>()?;
            let mut sink = Sink::open(args)?;
            sink.keep(records.concat())?;
            print(&listing(sink.records()))
        }
    }
}

/// Prints what changed from one file to the other.
fn compare(before: &Path, after: &Path, fail_above: Option<f64>) -> Outcome {
    let comparison = compare::compare(&sink::read(before)?, &sink::read(after)?);
    print(&comparison.to_string())?;
    let Some(percent) = fail_above else { return Ok(()) };
    let slower = comparison.slower_than(percent);
    match slower.first() {
        None => Ok(()),
        Some(first) => {
            let count = slower.len();
            let message = format!("{count} slower by more than {percent} % beyond the noise, first {first}");
            Err(Failure::Verification(message))
        }
    }
}

fn run(args: &BenchArgs) -> Outcome {
    stream::check_absent(args)?;
    let cases = cases(args)?;
    for case in &cases {
        check_matrices(args.matrices, case, case.options().precision())?;
    }
    let mut benches = devices(args)?;
    let peaks = peaks(&benches);
    let mut sink = Sink::open(args)?;
    let (kept, failed) = measure_all(args, cases, &mut benches, &mut sink);
    let mut text = peaks.to_string();
    if !sink.records().is_empty() {
        text += &format!("\n{}", listing(sink.records()));
    }
    // A failed write matters more than a table that could not be printed.
    kept.and(print(&text))?;
    match failed.len() {
        0 => Ok(()),
        count => Err(Failure::Error(format!("{count} of the cases could not be measured, see above"))),
    }
}

/// The records of the suite quick on every device, and what could not be measured.
pub fn quick() -> Outcome<(Vec<Record>, Vec<String>)> {
    let args = BenchArgs { quick: true, ..BenchArgs::default() };
    let mut benches = Vec::new();
    let mut failed = Vec::new();
    for selector in every_device()? {
        match open(&args, None, selector.clone()) {
            Ok(bench) => benches.push(bench),
            Err(Failure::Error(reason) | Failure::Verification(reason)) => {
                failed.push(format!("{selector}: {reason}"))
            }
        }
    }
    let mut sink = Sink::open(&args)?;
    let (kept, not_measured) = measure_all(&args, cases(&args)?, &mut benches, &mut sink);
    kept?;
    failed.extend(not_measured);
    Ok((sink.into_records(), failed))
}

/// Every case on every device. Returns what could not be measured, and whether the files could be written.
fn measure_all(
    args: &BenchArgs,
    cases: Vec<Case>,
    benches: &mut [Bench],
    sink: &mut Sink<'_>,
) -> (Outcome, Vec<String>) {
    let effort = if args.quick { Effort::QUICK } else { Effort::NORMAL };
    let stamp = Stamp { commit: wgru_harness::COMMIT.into(), date: today() };
    warnings::of_build();
    let bar = bar(cases.len() * benches.len() * ROUNDS);
    let mut failed = Vec::new();
    let mut fail = |reason: String| {
        bar.suspend(|| eprintln!("wgru: {reason}"));
        failed.push(reason);
    };
    for case in cases {
        let subject = match Subject::new(case) {
            Ok(subject) => subject,
            Err(reason) => {
                fail(reason);
                bar.inc((benches.len() * ROUNDS) as u64);
                continue;
            }
        };
        let (results, lost) = take_turns(&subject, benches, effort, &stamp, &bar);
        for result in results {
            match result {
                Err(reason) => fail(reason),
                Ok(new) => {
                    if let Err(failure) = sink.keep(new) {
                        bar.finish_and_clear();
                        return (Err(failure), failed);
                    }
                }
            }
        }
        for at in lost {
            // A lost device stays lost. The next case opens it again, or fails with the old device's error.
            if let Ok(device) = block_on(benches[at].reopen()) {
                benches[at].device = device;
            }
        }
    }
    bar.finish_and_clear();
    (Ok(()), failed)
}

/// A case on all devices, which take turns. Returns the result or the error of each.
fn take_turns(
    subject: &Subject,
    benches: &[Bench],
    effort: Effort,
    stamp: &Stamp,
    bar: &ProgressBar,
) -> (Vec<Result<Vec<Record>, String>>, Vec<usize>) {
    let say = |doing: &str, bench: &Bench| {
        bar.set_message(format!("{doing} {} on {}", subject.case, bench.device.info()));
    };
    let verified = benches.iter().map(|bench| {
        say("verifying", bench);
        block_on(Measuring::new(subject, bench, effort))
    });
    let mut all: Vec<Result<Measuring<'_>, String>> = verified.collect();
    for round in 0..ROUNDS {
        for (measuring, bench) in all.iter_mut().zip(benches) {
            say("timing", bench);
            let timed = measuring.as_mut().map_or(Ok(()), |measuring| block_on(measuring.round(round)));
            if let Err(reason) = timed {
                *measuring = Err(reason);
            }
        }
        bar.inc(benches.len() as u64);
    }
    let failed = (0..all.len()).filter(|&at| all[at].is_err()).collect();
    (all.into_iter().map(|result| result.map(|timed| timed.records(stamp))).collect(), failed)
}

/// The selected cases.
fn cases(args: &BenchArgs) -> Outcome<Vec<Case>> {
    let mut all: Vec<Case> =
        args.case.iter().map(|name| name.parse()).collect::<Result<_, String>>().map_err(Failure::Error)?;
    let suite = match (&args.suite, all.is_empty()) {
        (Some(name), _) => name,
        (None, false) => return Ok(all),
        (None, true) if args.quick => "quick",
        (None, true) => "default",
    };
    match suite::cases(suite) {
        Some(cases) => all.extend(cases),
        None => {
            let all = suite::NAMES.iter().chain([&stream::PURPOSE]);
            let known: Vec<String> = all.map(|(name, purpose)| format!("{name} ({purpose})")).collect();
            return Err(error(format!("--suite {suite}"), format!("not known; {}", known.join(", "))));
        }
    }
    Ok(all)
}

/// The selected devices, with their measured peaks.
fn devices(args: &BenchArgs) -> Outcome<Vec<Bench>> {
    let mut selectors = if args.device.is_empty() { every_device()? } else { args.device.clone() };
    if let Some(threads) = args.threads {
        let is_cpu = |selector: &&mut String| selector.trim().eq_ignore_ascii_case("cpu");
        selectors.iter_mut().filter(is_cpu).for_each(|selector| *selector = format!("cpu:{threads}"));
    }
    let table = args.speed.as_deref().map(explain::read_table).transpose()?;
    selectors.into_iter().map(|selector| open(args, table.clone(), selector)).collect()
}

/// A device, with its measured peak.
fn open(args: &BenchArgs, table: Option<SpeedTable>, selector: String) -> Outcome<Bench> {
    let opened = args.device_options();
    let device = Device::open_with(&selector, &opened)?;
    if matches!(device.info(), DeviceInfo::Gpu(_)) {
        test_exchange(&device, args.exchange)?;
        say_matrices(&device, args.matrices);
    }
    if device.info() == DeviceInfo::Reference {
        return Err(error(
            "--device reference",
            "is what others are compared with, and is written for accuracy, not speed",
        ));
    }
    let peak = peak::of(&device)?;
    let only = Only { strategy: args.strategy, pipelining: args.pipelining, ..Only::default() };
    let any_reduction_order = args.any_reduction_order;
    Ok(Bench { selector, opened, device, peak, only, table, any_reduction_order })
}

/// A selector for every adapter, by its number, and the CPU path.
fn every_device() -> Outcome<Vec<String>> {
    let mut selectors: Vec<String> = Vec::new();
    for info in Device::list()? {
        if let DeviceInfo::Gpu(info) = info {
            let api = format!("{}:#", info.backend);
            let number = selectors.iter().filter(|selector| selector.starts_with(&api)).count();
            selectors.push(format!("{api}{number}"));
        }
    }
    selectors.push("cpu".into());
    Ok(selectors)
}

fn bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// The day, UTC.
fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}

/// The measured peaks of each device.
fn peaks(benches: &[Bench]) -> Table {
    let mut peaks = Table::new(&["device", "best matmul", "best copy"]);
    for bench in benches {
        if let Some(peak) = &bench.peak {
            let [matmul, copy] = [peak.gflops, peak.gbs].map(three);
            let info = bench.device.info().to_string();
            peaks.row(vec![info, format!("{matmul} GFLOP/s"), format!("{copy} GB/s")]);
        }
    }
    peaks
}
