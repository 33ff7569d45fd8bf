//! `wgru bench`: how fast recurrent layers run on every device of the machine, each answer verified first.

mod case;
pub mod cells;
mod compare;
mod measure;
mod peak;
mod record;
mod report;
mod suite;
mod timing;
mod verify;

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use indicatif::{ProgressBar, ProgressStyle};
use wgru::{Device, DeviceInfo};

use crate::args::BenchArgs;
use crate::arrays::write;
use crate::failure::{Failure, Outcome, error};
use crate::number::{si, three};
use crate::print::print;
use crate::table::Table;
use case::Case;
use measure::{Bench, Stamp, Subject, measure};
use peak::Peak;
use record::{Record, Timed};
use timing::Effort;

/// Measures, writes and prints; or does without measuring what is asked of records on disk.
pub fn bench(args: &BenchArgs) -> Outcome {
    match (&args.compare[..], &args.from[..]) {
        ([before, after], _) => compare(before, after, args.fail_above),
        (_, []) => run(args),
        (_, files) => {
            let records: Vec<Vec<Record>> =
                files.iter().map(|path| record::read(path)).collect::<Outcome<_>>()?;
            let records = records.concat();
            let sink = Sink::open(args)?;
            print(&table(&records))?;
            sink.finish(&records)
        }
    }
}

/// Prints what changed from one file to the other.
fn compare(before: &Path, after: &Path, fail_above: Option<f64>) -> Outcome {
    let comparison = compare::compare(&record::read(before)?, &record::read(after)?);
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
    if args.threads != 1 {
        let reason = format!("{}: the CPU path has one thread", args.threads);
        return Err(error("--threads", reason));
    }
    let cases = cases(args)?;
    let benches = devices(&args.device)?;
    let mut sink = Sink::open(args)?;
    let effort = if args.quick { Effort::QUICK } else { Effort::NORMAL };
    let stamp = Stamp { commit: env!("WGRU_COMMIT").into(), date: today() };
    let bar = bar(cases.len() * benches.len());
    let (mut records, mut failures) = (Vec::new(), Vec::new());
    for case in cases {
        let subject = Subject::new(case).map_err(Failure::Error)?;
        for bench in &benches {
            bar.set_message(format!("{} on {}", subject.case, bench.device.info()));
            match measure(&subject, bench, effort, &stamp) {
                Ok(new) => {
                    sink.keep(&new)?;
                    records.extend(new);
                }
                Err(reason) => bar.suspend(|| {
                    eprintln!("wgru: {reason}");
                    failures.push(reason);
                }),
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    print(&format!("{}\n{}", ceilings(&benches), table(&records)))?;
    sink.finish(&records)?;
    match failures.len() {
        0 => Ok(()),
        count => Err(Failure::Error(format!("{count} of the cases could not be measured, see above"))),
    }
}

/// The cases that were asked for.
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
            let known: Vec<String> =
                suite::NAMES.iter().map(|(name, purpose)| format!("{name} ({purpose})")).collect();
            return Err(error(format!("--suite {suite}"), format!("not known; {}", known.join(", "))));
        }
    }
    Ok(all)
}

/// The devices that were asked for, with their ceilings.
fn devices(selectors: &[String]) -> Outcome<Vec<Bench>> {
    let selectors = if selectors.is_empty() { every_device() } else { selectors.to_vec() };
    selectors
        .into_iter()
        .map(|selector| {
            let device = Device::select(&selector)?;
            if device.info() == DeviceInfo::Reference {
                return Err(error(
                    "--device reference",
                    "is what others are held against, and slow on purpose",
                ));
            }
            let peak = Some(Peak::of(&device)?);
            Ok(Bench { selector, device, peak })
        })
        .collect()
}

/// A selector for every adapter, by its number, and the CPU path.
fn every_device() -> Vec<String> {
    let mut selectors: Vec<String> = Vec::new();
    for info in Device::list() {
        if let DeviceInfo::Gpu(info) = info {
            let api = format!("{}:#", info.backend);
            let number = selectors.iter().filter(|selector| selector.starts_with(&api)).count();
            selectors.push(format!("{api}{number}"));
        }
    }
    selectors.push("cpu".into());
    selectors
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

/// The files that were asked for, opened before anything is measured.
struct Sink<'a> {
    args: &'a BenchArgs,
    json: Option<File>,
}

impl<'a> Sink<'a> {
    fn open(args: &'a BenchArgs) -> Outcome<Self> {
        let create = |path: &Path| File::create(path).map_err(|reason| error(path.display(), reason));
        for path in [&args.csv, &args.html].into_iter().flatten() {
            // An empty file would say that nothing was measured.
            create(path)?;
            fs::remove_file(path).map_err(|reason| error(path.display(), reason))?;
        }
        Ok(Self { args, json: args.json.as_deref().map(create).transpose()? })
    }

    fn keep(&mut self, records: &[Record]) -> Outcome {
        if let (Some(file), Some(path)) = (&mut self.json, &self.args.json) {
            for record in records {
                record::append(file, path, record)?;
            }
        }
        Ok(())
    }

    fn finish(&self, records: &[Record]) -> Outcome {
        if let Some(path) = &self.args.csv {
            record::write_csv(path, records)?;
        }
        if let Some(path) = &self.args.html {
            // Where nothing could be measured there is nothing to show.
            if !records.is_empty() {
                let page = report::html(records).map_err(|reason| error(path.display(), reason))?;
                write::replace(path, page.as_bytes())?;
            }
        }
        Ok(())
    }
}

/// The ceilings of each device.
fn ceilings(benches: &[Bench]) -> Table {
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

/// A row for every record.
fn table(records: &[Record]) -> String {
    let mut table = Table::new(&[
        "case", "timed", "by", "device", "median", "p95", "p99", "± ", "GFLOP/s", "of peak", "error",
        "allowed",
    ]);
    for record in records {
        let step = record.timed == Timed::Step;
        table.row(vec![
            record.case.clone(),
            record.timed.to_string(),
            record.timing.to_string(),
            place(record),
            si(record.median_s, "s"),
            si(record.p95_s, "s"),
            if step { si(record.p99_s, "s") } else { String::new() },
            format!("{:.1} %", record.spread * 100.0),
            if record.gflops > 0.0 { three(record.gflops) } else { String::new() },
            record.peak_share.map_or(String::new(), |share| format!("{:.1} %", share * 100.0)),
            format!("{:.1e}", record.max_error),
            format!("{:.1e}", record.tolerance),
        ]);
    }
    table.to_string()
}

/// API and device, as selectors have them.
fn place(record: &Record) -> String {
    if record.device == record.backend {
        return record.device.clone();
    }
    format!("{}: {}", record.backend, record.device)
}
