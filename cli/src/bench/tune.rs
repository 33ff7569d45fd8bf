//! `wgru tune`: measures the planner's candidates on a device, or reads earlier measurements, and writes the table
//! that the planner predicts with.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use wgru::plan::{Candidate, Caps, Only, Speed, Table as PlanTable};
use wgru::{Batch, Device, DeviceInfo, DeviceOptions, Dims, Staged};

use super::explain::{read_table, seconds};
use super::fit::{Quality, Sample, Subject, fit, measured};
use super::matrix;
use crate::args::TuneArgs;
use crate::arrays::write;
use crate::devices::{say_matrices, test_exchange};
use crate::failure::{Failure, Outcome, error};
use crate::print::print;
use crate::table::Table;
use crate::warnings;
use wgru_harness::case::{Case, values};
use wgru_harness::verify::{Inputs, require};

/// The measured cases: cells and sizes from tiny to large, few and many sequences, short enough for a slow device.
const CASES: [&str; 18] = [
    "gru-b1-t100-i64-h64",
    "gru-b16-t50-i64-h64",
    "gru-b256-t10-i64-h64",
    "gru-b1-t50-i256-h256",
    "gru-b4-t20-i256-h256",
    "gru-b16-t20-i256-h256",
    "gru-b64-t5-i512-h512",
    "gru-b1-t10-i1024-h1024",
    "gru-b256-t10-i128-h128",
    "gru-b33-t100-i8-h8",
    "gru-b512-t33-i8-h4-bi",
    "gru-b16-t50-i64-h64-before",
    "lstm-b1-t1000-i1-h3",
    "lstm-b64-t20-i25-h40",
    "lstm-b1-t100-i128-h128",
    "lstm-b384-t20-i2-h8",
    "lstm-b32-t10-i256-h384",
    "rnn-b16-t50-i64-h64",
];
/// Time for one candidate, after its first three runs.
const LONGEST: Duration = Duration::from_millis(150);

/// Measures, fits, prints, writes.
pub fn tune(args: &TuneArgs) -> Outcome {
    let records = || args.from.iter().chain(&args.speed).map(PathBuf::as_path);
    write::check_target(&args.output)?;
    write::check_apart(&args.output, records())?;
    if let Some(path) = &args.csv {
        write::check_target(path)?;
        write::check_apart(path, records().chain([args.output.as_path()]))?;
    }
    let begin = args.speed.as_deref().map(read_table).transpose()?;
    let opened = DeviceOptions::default().matrices(args.matrices);
    let device = Device::open_with(&args.device, &opened)?;
    let DeviceInfo::Gpu(mut info) = device.info() else {
        return Err(error(format!("--device {}", args.device), "only a GPU has strategies to choose from"));
    };
    test_exchange(&device, args.exchange)?;
    say_matrices(&device, args.matrices);
    info.caps.exchange = device.exchange();
    if let Some(table) = begin {
        info.caps = info.caps.with_table(table);
    }
    let before = info.caps.clone();
    let (subjects, mut speed) = if args.from.is_empty() {
        let cases = if args.case.is_empty() { CASES.map(str::to_owned).to_vec() } else { args.case.clone() };
        let subjects = measure_all(&cases, &device, &before)?;
        let speed = fit(&subjects, &before.clone().with_table(before.speed.into()));
        (subjects, speed)
    } else {
        let mut subjects = read(&args.from, &before)?;
        let measured = measure_all(&args.case, &device, &before)?;
        // A new measurement replaces a record of the same case.
        subjects.retain(|subject| measured.iter().all(|now| now.case != subject.case));
        subjects.extend(measured);
        let speed = if args.fit { fit_to_files(&args.from, &before)? } else { before.speed };
        (subjects, speed)
    };
    if device.matrices().is_some() {
        speed = matrix::fit(&device, &before.clone().with_table(speed.into()))?;
    }
    let of_model = before.clone().with_table(speed.into());
    let table = PlanTable { speed, measured: measured(&subjects, &of_model)? };
    let caps = of_model.with_table(table.clone());

    let count: usize = subjects.iter().map(|subject| subject.samples.len()).sum();
    let mut head = format!(
        "# Times in femtoseconds; `wgru tune` on {} ({})\n# commit {}, {}\n",
        caps.device,
        info.driver,
        wgru_harness::COMMIT,
        super::today(),
    );
    if !args.from.is_empty() {
        let names: Vec<String> = args.from.iter().map(|path| path.display().to_string()).collect();
        let numbers = if args.fit { "fitted to the same files" } else { "as they were" };
        head += &format!("# numbers {numbers}, `measured` from {}\n", names.join(", "));
    }
    head += &format!("# {count} candidates; thousandths of the predicted time after `measured`\n");
    let mut summary = format!("before: {}\n", Quality::new(&subjects, |_| Ok(before.clone()))?);
    for (how, quality) in Quality::of_table(&subjects, &caps)? {
        head += &format!("# {how}: {quality}\n");
        summary += &format!("{how}: {quality}\n");
    }
    write::replace(&args.output, format!("{head}{table}").as_bytes())?;
    let (table, csv) = tables(&subjects, &before, &caps)?;
    if let Some(path) = &args.csv {
        write::replace(path, csv.as_bytes())?;
    }
    print(&format!("{table}\n{summary}"))
}

fn measure_all(cases: &[String], device: &Device, caps: &Caps) -> Outcome<Vec<Subject>> {
    if !cases.is_empty() {
        warnings::of_build();
    }
    let bar = ProgressBar::new(cases.len() as u64);
    let mut subjects = Vec::new();
    for name in cases {
        bar.set_message(name.clone());
        subjects.push(measure(name, device, caps)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(subjects)
}

/// A line written by [`tables`].
#[derive(serde::Deserialize)]
struct Line {
    case: String,
    candidate: String,
    measured_s: f64,
}

/// The lines of a file, each with its location.
fn lines(path: &Path) -> Outcome<Vec<(String, Line)>> {
    let mut reader = csv::Reader::from_path(path).map_err(|reason| error(path.display(), reason))?;
    let lines = reader.deserialize().enumerate().map(|(index, line)| {
        // The first line holds the names.
        let at = format!("{}: line {}", path.display(), index + 2);
        let line: Line = line.map_err(|reason| error(&at, reason))?;
        if line.measured_s.is_finite() && line.measured_s > 0.0 {
            return Ok((at, line));
        }
        Err(error(&at, format!("{} is not a time", line.measured_s)))
    });
    lines.collect()
}

/// Earlier measurements, with the least time of each candidate over several files: other work on the machine can only
/// add time.
fn read(files: &[PathBuf], caps: &Caps) -> Outcome<Vec<Subject>> {
    let mut subjects: Vec<Subject> = Vec::new();
    // The indices of the case's subject, and of the candidate with these kernels.
    let mut known: HashMap<String, (usize, HashMap<String, Only>)> = HashMap::new();
    let all: Vec<Vec<(String, Line)>> = files.iter().map(|path| lines(path)).collect::<Outcome<_>>()?;
    for (at, Line { case, candidate, measured_s }) in all.into_iter().flatten() {
        if !known.contains_key(&case) {
            let (subject, candidates) = of_case(&case, caps).map_err(|reason| error(&at, reason))?;
            known.insert(case.clone(), (subjects.len(), candidates));
            subjects.push(subject);
        }
        let own = known.get(&case).and_then(|(index, own)| Some((*index, *own.get(&candidate)?)));
        let Some((index, only)) = own else {
            return Err(error(&at, format!("{case} has no such candidate on this device: {candidate}")));
        };
        let samples = &mut subjects[index].samples;
        match samples.iter_mut().find(|sample| sample.only == only) {
            Some(sample) => sample.seconds = sample.seconds.min(measured_s),
            None => samples.push(Sample { only, kernels: candidate, seconds: measured_s }),
        }
    }
    if subjects.is_empty() { Err(error("--from", "nothing was measured there")) } else { Ok(subjects) }
}

/// The numbers that fit the times of all files. Each file counts by itself, so they can be of several processors, or of
/// several kinds of code that a driver makes.
fn fit_to_files(files: &[PathBuf], caps: &Caps) -> Outcome<Speed> {
    let each = files.iter().map(|file| read(std::slice::from_ref(file), caps));
    let subjects: Vec<Subject> = each.collect::<Outcome<Vec<_>>>()?.into_iter().flatten().collect();
    Ok(fit(&subjects, &caps.clone().with_table(caps.speed.into())))
}

/// A case without its samples, and its candidates by their kernels.
fn of_case(name: &str, caps: &Caps) -> Result<(Subject, HashMap<String, Only>), String> {
    let case: Case = name.parse()?;
    let text = |reason: wgru::Error| reason.to_string();
    let model = case.model(&mut fastrand::Rng::with_seed(1)).map_err(text)?;
    let dims = Dims::new(case.batch, case.steps).map_err(text)?;
    let subject = Subject { case, model, dims, samples: Vec::new() };
    let layers = subject.candidates(caps).map_err(text)?;
    let own = layers.first().into_iter().flatten().filter_map(|candidate| {
        let (recipe, _) = candidate.outcome.as_ref().ok()?;
        Some((recipe.recurrence.to_string(), only(candidate)))
    });
    let own = own.collect();
    Ok((subject, own))
}

/// A plan for one candidate alone.
fn only(candidate: &Candidate) -> Only {
    Only {
        strategy: Some(candidate.strategy),
        rows: Some(candidate.rows),
        variant: Some(candidate.variant),
        // Layer by layer, like the predictions.
        pipelining: Some(0),
    }
}

/// Every candidate of a case, verified and timed.
fn measure(name: &str, device: &Device, caps: &Caps) -> Outcome<Subject> {
    let case: Case = name.parse().map_err(|reason: String| error(name, reason))?;
    let mut rng = fastrand::Rng::with_seed(1);
    let model = case.model(&mut rng)?;
    let dims = Dims::new(case.batch, case.steps)?;
    let x = values(&mut rng, case.batch * case.steps * case.input, 1.0);
    let batch = Batch::new(&x, [case.batch, case.steps, case.input])?;
    let mut samples: Vec<Sample> = Vec::new();
    let mut first: Option<Vec<f32>> = None;
    let all = wgru::plan::alternatives(&model, dims, case.options().precision(), caps)?;
    for candidate in all.into_iter().next().unwrap_or_default() {
        let Ok((recipe, _)) = &candidate.outcome else { continue };
        let only = only(&candidate);
        let options = case.options().only(only);
        let engine = device.load_with(&model, options)?;
        let mut staged = engine.stage(&batch)?;
        staged.run()?;
        let mut output = engine.output(dims)?;
        staged.read_into(&mut output)?;
        // All candidates have one reduction order, so a verification of the first holds for all with the same bits.
        match &first {
            None => {
                let inputs = Inputs { x: &x, shape: [case.batch, case.steps, case.input], lengths: None };
                let flops = case.flops((case.batch * case.steps) as u64);
                require(&model, inputs, &output, case.options(), flops)
                    .map_err(|reason| Failure::Verification(format!("{name}: {reason}")))?;
                first = Some(output.y.clone());
            }
            Some(y) => {
                let same = y.iter().zip(&output.y).all(|(a, b)| a.to_bits() == b.to_bits());
                if !same {
                    let message = format!("{name}: {} gives different bits", recipe.recurrence);
                    return Err(Failure::Verification(message));
                }
            }
        }
        let seconds = least_disturbed(&mut staged)?;
        samples.push(Sample { only, kernels: recipe.recurrence.to_string(), seconds });
    }
    Ok(Subject { case, model, dims, samples })
}

/// The time of a run: the lower quartile of several, since other work on the machine can only add time.
pub(super) fn least_disturbed(staged: &mut Staged) -> Outcome<f64> {
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < 3 || (start.elapsed() < LONGEST && times.len() < 50) {
        let begin = Instant::now();
        staged.run()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 4])
}

/// Every sample, as a table and as CSV. The CSV also has the predictions `before`, those of the numbers that the
/// command started from.
fn tables(subjects: &[Subject], before: &Caps, caps: &Caps) -> Outcome<(String, String)> {
    let mut table = Table::new(&["case", "candidate", "measured", "predicted", ""]);
    let mut csv = "case,candidate,measured_s,before_s,predicted_s,chosen,best\n".to_owned();
    for subject in subjects {
        let (known, predictions) = (subject.predictions(before)?, subject.predictions(caps)?);
        let measured: Vec<f64> = subject.samples.iter().map(|sample| sample.seconds).collect();
        let (chosen, best) = (Subject::least(&predictions), Subject::least(&measured));
        for (index, (sample, predicted)) in subject.samples.iter().zip(&predictions).enumerate() {
            let marks = [(index == chosen, "chosen"), (index == best, "best")];
            let marks: Vec<&str> = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            table.row(vec![
                subject.case.to_string(),
                sample.kernels.clone(),
                seconds(sample.seconds),
                seconds(*predicted),
                marks.join(", "),
            ]);
            // Writing to a string cannot fail.
            let _ = writeln!(
                csv,
                "{},\"{}\",{:e},{:e},{:e},{},{}",
                subject.case,
                sample.kernels,
                sample.seconds,
                known[index],
                predicted,
                index == chosen,
                index == best
            );
        }
    }
    Ok((table.to_string(), csv))
}
