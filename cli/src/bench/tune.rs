//! `wgru tune`: measures what the planner can choose between on a device, and fits the numbers that it predicts with.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use wgru::plan::{Candidate, Caps, Only, Speed};
use wgru::{Batch, Device, DeviceInfo, Dims, Model};

use super::case::{Case, values};
use super::explain::seconds;
use super::verify::{Inputs, verify};
use crate::args::TuneArgs;
use crate::arrays::write;
use crate::devices::test_exchange;
use crate::failure::{Failure, Outcome, error};
use crate::number::three;
use crate::print::print;
use crate::table::Table;

/// What is measured: cells and sizes from tiny to large, few and many sequences, short enough for a slow device.
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
/// Time for one candidate, once it ran three times.
const LONGEST: Duration = Duration::from_millis(150);

/// One measured candidate.
struct Sample {
    only: Only,
    kernels: String,
    seconds: f64,
}

/// A case with its candidates.
struct Subject {
    case: Case,
    model: Model,
    dims: Dims,
    samples: Vec<Sample>,
}

/// Measures, fits, prints, writes.
pub fn tune(args: &TuneArgs) -> Outcome {
    write::check_target(&args.output)?;
    if let Some(path) = &args.csv {
        write::check_target(path)?;
    }
    let device = Device::select(&args.device)?;
    let DeviceInfo::Gpu(mut info) = device.info() else {
        return Err(error(format!("--device {}", args.device), "only a GPU has strategies to choose from"));
    };
    test_exchange(&device, args.exchange)?;
    info.caps.exchange = device.exchange();
    let cases = if args.case.is_empty() { CASES.map(str::to_owned).to_vec() } else { args.case.clone() };
    let bar = ProgressBar::new(cases.len() as u64);
    let mut subjects = Vec::new();
    for name in &cases {
        bar.set_message(name.clone());
        subjects.push(measure(name, &device, &info.caps)?);
        bar.inc(1);
    }
    bar.finish_and_clear();

    let before = info.caps.speed;
    let speed = fit(&subjects, &info.caps);
    let caps = Caps { speed, ..info.caps.clone() };
    let head = format!(
        "# Times in femtoseconds; `wgru tune` on {} ({})\n# commit {}, {}\n# {}\n",
        info.caps.device,
        info.driver,
        env!("WGRU_COMMIT"),
        super::today(),
        quality(&subjects, &caps)?
    );
    write::replace(&args.output, format!("{head}{speed}").as_bytes())?;
    let old = quality(&subjects, &Caps { speed: before, ..info.caps.clone() })?;
    let (table, csv) = tables(&subjects, &caps)?;
    if let Some(path) = &args.csv {
        write::replace(path, csv.as_bytes())?;
    }
    let new = quality(&subjects, &caps)?;
    print(&format!("{table}\nbefore: {old}\nnow:    {new}\n"))
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
    let all = wgru::plan::alternatives(&model, dims, case.options().precision, caps)?;
    for candidate in all.into_iter().next().unwrap_or_default() {
        let Ok((recipe, _)) = &candidate.outcome else { continue };
        let only = Only {
            strategy: Some(candidate.strategy),
            rows: Some(candidate.rows),
            variant: Some(candidate.variant),
            // Layer by layer, as it is predicted.
            wave: Some(0),
        };
        let mut options = case.options();
        options.only = only;
        let engine = device.load_with(&model, options)?;
        let mut staged = engine.stage(&batch)?;
        staged.run()?;
        let mut output = engine.output(dims)?;
        staged.read_into(&mut output)?;
        // All candidates have one order of sums, so what holds for the first holds for those that give its bits.
        match &first {
            None => {
                let inputs = Inputs { x: &x, shape: [case.batch, case.steps, case.input], lengths: None };
                let flops = case.flops((case.batch * case.steps) as u64);
                verify(&model, inputs, &output, case.options(), flops)
                    .map_err(|reason| Failure::Verification(format!("{name}: {reason}")))?;
                first = Some(output.y.clone());
            }
            Some(y) => {
                let same = y.iter().zip(&output.y).all(|(a, b)| a.to_bits() == b.to_bits());
                if !same {
                    let message = format!("{name}: {} gives other bits", recipe.recurrence);
                    return Err(Failure::Verification(message));
                }
            }
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        while times.len() < 3 || (start.elapsed() < LONGEST && times.len() < 50) {
            let begin = Instant::now();
            staged.run()?;
            times.push(begin.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        // The least disturbed: other work on the machine only ever adds.
        let seconds = times[times.len() / 4];
        samples.push(Sample { only, kernels: recipe.recurrence.to_string(), seconds });
    }
    Ok(Subject { case, model, dims, samples })
}

impl Subject {
    /// The prediction for each sample.
    fn predictions(&self, caps: &Caps) -> wgru::Result<Vec<f64>> {
        let precision = self.case.options().precision;
        let all = wgru::plan::alternatives(&self.model, self.dims, precision, caps)?;
        let of = |sample: &Sample| {
            let is = |c: &&Candidate| sample.only.rows == Some(c.rows) && sample.only.has(c);
            let cost = |c: &Candidate| c.outcome.as_ref().ok().map(|(_, cost)| cost.seconds());
            let of_layer =
                |layer: &Vec<Candidate>| layer.iter().find(is).and_then(cost).unwrap_or(f64::INFINITY);
            all.iter().map(of_layer).sum()
        };
        Ok(self.samples.iter().map(of).collect())
    }

    /// The sample with the least of `values`.
    fn least(values: &[f64]) -> usize {
        let least = values.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
        least.map_or(0, |(index, _)| index)
    }

    /// How many times slower the sample that is predicted to be fastest is than the fastest.
    fn regret(&self, predictions: &[f64]) -> f64 {
        let measured: Vec<f64> = self.samples.iter().map(|sample| sample.seconds).collect();
        measured[Self::least(predictions)] / measured[Self::least(&measured)]
    }
}

/// What the fit makes small: the mean square of the predictions' logarithmic errors, and what wrong choices cost, which
/// matters more.
fn badness(subjects: &[Subject], caps: &Caps) -> f64 {
    let (mut errors, mut count, mut regrets) = (0.0, 0.0, 0.0);
    for subject in subjects {
        let Ok(predictions) = subject.predictions(caps) else { return f64::INFINITY };
        for (sample, predicted) in subject.samples.iter().zip(&predictions) {
            errors += (predicted / sample.seconds).ln().powi(2);
            count += 1.0;
        }
        regrets += subject.regret(&predictions).ln();
    }
    errors / count + 10.0 * regrets / subjects.len() as f64
}

/// The numbers that are fitted; the last only where workgroups exchange values, else nothing depends on it.
const FITTED: [&str; 9] =
    ["dispatch", "step", "barrier", "fma", "fma4", "load", "share", "chain", "exchange"];

fn fitted(caps: &Caps) -> &'static [&'static str] {
    if caps.exchange.is_some() { &FITTED } else { &FITTED[..FITTED.len() - 1] }
}

/// The best of several descents: from the device's numbers so far, and from others drawn around them.
fn fit(subjects: &[Subject], caps: &Caps) -> Speed {
    const DESCENTS: usize = 24;
    let mut rng = fastrand::Rng::with_seed(1);
    let descents = (0..DESCENTS).map(|index| {
        let mut start = caps.clone();
        for name in fitted(caps).iter().filter(|_| index > 0) {
            if let Some(field) = start.speed.field_mut(name) {
                // Up to thirty times as long, or as short; and from 0 there is no way up.
                *field = (*field.max(&mut 1000) as f64 * 30f64.powf(2.0 * rng.f64() - 1.0)) as u64;
            }
        }
        descend(subjects, start)
    });
    let best = descents.min_by(|(_, a), (_, b)| a.total_cmp(b));
    best.map_or(caps.speed, |(speed, _)| speed)
}

/// Changes one number at a time, by less and less, as long as that is better.
fn descend(subjects: &[Subject], mut caps: Caps) -> (Speed, f64) {
    let mut least = badness(subjects, &caps);
    for factor in [4.0, 2.0, 1.4, 1.2, 1.1, 1.05, 1.4, 1.1, 1.03] {
        loop {
            let before = least;
            for name in fitted(&caps) {
                for factor in [factor, 1.0 / factor] {
                    let mut other = caps.clone();
                    let Some(field) = other.speed.field_mut(name) else { continue };
                    *field = (*field as f64 * factor) as u64;
                    let badness = badness(subjects, &other);
                    if badness < least {
                        (caps, least) = (other, badness);
                    }
                }
            }
            if least >= before * 0.999 {
                break;
            }
        }
    }
    (caps.speed, least)
}

/// In words, how good the predictions are and the choices that follow from them.
fn quality(subjects: &[Subject], caps: &Caps) -> Outcome<String> {
    let (mut squares, mut count, mut worst, mut within) = (0.0, 0, 1.0f64, 0);
    for subject in subjects {
        let predictions = subject.predictions(caps)?;
        for (sample, predicted) in subject.samples.iter().zip(&predictions) {
            squares += (predicted / sample.seconds).ln().powi(2);
            count += 1;
        }
        let regret = subject.regret(&predictions);
        worst = worst.max(regret);
        within += usize::from(regret <= 1.1);
    }
    let off = (squares / f64::from(count)).sqrt().exp();
    Ok(format!(
        "{count} candidates of {} cases: predicted within a factor of {} (root mean square); the choice is within 10 % of \
         the best in {within}, at worst {} times it",
        subjects.len(),
        three(off),
        three(worst)
    ))
}

/// Every sample, for reading and as CSV.
fn tables(subjects: &[Subject], caps: &Caps) -> Outcome<(String, String)> {
    let mut table = Table::new(&["case", "candidate", "measured", "predicted", ""]);
    let mut csv = "case,candidate,measured_s,predicted_s,chosen,best\n".to_owned();
    for subject in subjects {
        let predictions = subject.predictions(caps)?;
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
                "{},\"{}\",{:e},{:e},{},{}",
                subject.case,
                sample.kernels,
                sample.seconds,
                predicted,
                index == chosen,
                index == best
            );
        }
    }
    Ok((table.to_string(), csv))
}
