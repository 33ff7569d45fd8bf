//! Fits the planner's numbers to measured candidates, adds the samples that correct the predictions, and rates the
//! resulting choices.

use std::fmt;

use wgru::plan::{Candidate, Caps, Measured, Only, Speed};
use wgru::{Dims, Model};

use crate::failure::Outcome;
use wgru_harness::case::Case;
use wgru_harness::number::three;

/// One measured candidate.
pub struct Sample {
    /// The candidate.
    pub only: Only,
    /// The names of its kernels.
    pub kernels: String,
    /// The measured time of a run.
    pub seconds: f64,
}

/// A case with its candidates.
pub struct Subject {
    /// The case.
    pub case: Case,
    /// Its model.
    pub model: Model,
    /// Its batch.
    pub dims: Dims,
    /// Its candidates.
    pub samples: Vec<Sample>,
}

impl Sample {
    fn is_of(&self, candidate: &Candidate) -> bool {
        self.only.rows == Some(candidate.rows) && self.only.has(candidate)
    }
}

impl Subject {
    /// The planner's alternatives in each layer.
    ///
    /// # Errors
    /// The planner's error.
    pub fn candidates(&self, caps: &Caps) -> wgru::Result<Vec<Vec<Candidate>>> {
        wgru::plan::alternatives(&self.model, self.dims, self.case.options().precision(), caps)
    }

    /// The prediction for each sample.
    ///
    /// # Errors
    /// The planner's error.
    pub fn predictions(&self, caps: &Caps) -> wgru::Result<Vec<f64>> {
        let all = self.candidates(caps)?;
        let of = |sample: &Sample| {
            let is = |c: &&Candidate| sample.is_of(c);
            let cost = |c: &Candidate| c.outcome.as_ref().ok().map(|(_, cost)| cost.seconds());
            let of_layer =
                |layer: &Vec<Candidate>| layer.iter().find(is).and_then(cost).unwrap_or(f64::INFINITY);
            all.iter().map(of_layer).sum()
        };
        Ok(self.samples.iter().map(of).collect())
    }

    /// The sample with the least of `values`.
    pub fn least(values: &[f64]) -> usize {
        let least = values.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
        least.map_or(0, |(index, _)| index)
    }

    /// The time of the sample predicted fastest, as a multiple of the fastest sample's.
    fn regret(&self, predictions: &[f64]) -> f64 {
        let measured: Vec<f64> = self.samples.iter().map(|sample| sample.seconds).collect();
        measured[Self::least(predictions)] / measured[Self::least(&measured)]
    }
}

/// The objective of the fit: the mean square of the predictions' logarithmic errors, plus the cost of wrong choices,
/// which has more weight.
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

/// The fitted numbers. The last is fitted only if workgroups exchange values, since otherwise nothing depends on it.
const FITTED: [&str; 9] =
    ["dispatch", "step", "barrier", "fma", "fma4", "load", "share", "chain", "exchange"];

fn fitted(caps: &Caps) -> &'static [&'static str] {
    if caps.exchange.is_some() { &FITTED } else { &FITTED[..FITTED.len() - 1] }
}

/// The best of several descents: from the device's present numbers, and from random ones around them.
pub fn fit(subjects: &[Subject], caps: &Caps) -> Speed {
    const DESCENTS: usize = 24;
    let mut rng = fastrand::Rng::with_seed(1);
    let descents = (0..DESCENTS).map(|index| {
        let mut start = caps.clone();
        for name in fitted(caps).iter().filter(|_| index > 0) {
            if let Some(field) = start.speed.field_mut(name) {
                // Up to thirty times as long, or as short; a descent cannot leave 0.
                *field = (*field.max(&mut 1000) as f64 * 30f64.powf(2.0 * rng.f64() - 1.0)) as u64;
            }
        }
        descend(subjects, start)
    });
    let best = descents.min_by(|(_, a), (_, b)| a.total_cmp(b));
    best.map_or(caps.speed, |(speed, _)| speed)
}

/// Changes one number at a time, by ever smaller factors, while that improves the fit.
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

/// The measurements in the planner's form. Single layers of a stack are not measured.
///
/// # Errors
/// The planner's error.
pub fn measured<'a>(subjects: impl IntoIterator<Item = &'a Subject>, caps: &Caps) -> Outcome<Measured> {
    let caps = caps.clone().with_table(caps.speed.into());
    let mut samples = Vec::new();
    for subject in subjects {
        if let [layer] = &subject.candidates(&caps)?[..] {
            let own = |sample: &Sample| {
                let candidate = layer.iter().find(|candidate| sample.is_of(candidate))?;
                wgru::plan::Sample::new(candidate, sample.seconds)
            };
            samples.extend(subject.samples.iter().filter_map(own));
        }
    }
    Ok(samples.into_iter().collect())
}

/// The accuracy of the predictions, and of the choices that follow from them.
pub struct Quality {
    cases: usize,
    /// Cases whose choice takes at most a tenth longer than the best.
    within: usize,
    /// The time of the choice, as a multiple of the best: the geometric mean.
    mean: f64,
    /// The same of the worst choice.
    worst: f64,
    /// The root mean square factor between predictions and measurements.
    off: f64,
}

impl Quality {
    /// With the caps that `of` gives for each case.
    ///
    /// # Errors
    /// The planner's error.
    pub fn new(subjects: &[Subject], of: impl Fn(usize) -> Outcome<Caps>) -> Outcome<Self> {
        let (mut squares, mut count, mut logs, mut worst, mut within) = (0.0, 0, 0.0, 1.0f64, 0);
        for (index, subject) in subjects.iter().enumerate() {
            let predictions = subject.predictions(&of(index)?)?;
            for (sample, predicted) in subject.samples.iter().zip(&predictions) {
                squares += (predicted / sample.seconds).ln().powi(2);
                count += 1;
            }
            let regret = subject.regret(&predictions);
            logs += regret.ln();
            worst = worst.max(regret);
            within += usize::from(regret <= 1.1);
        }
        let off = (squares / f64::from(count)).sqrt().exp();
        let mean = (logs / subjects.len() as f64).exp();
        Ok(Self { cases: subjects.len(), within, mean, worst, off })
    }

    /// With all of `caps`; with each case's own measurements left out; and by the model without measurements.
    ///
    /// # Errors
    /// The planner's error.
    pub fn of_table(subjects: &[Subject], caps: &Caps) -> Outcome<[(&'static str, Self); 3]> {
        let others = |left_out: usize| {
            let rest = subjects.iter().enumerate().filter(|(index, _)| *index != left_out);
            let measured = measured(rest.map(|(_, subject)| subject), caps)?;
            Ok(Caps { measured, ..caps.clone() })
        };
        let model = caps.clone().with_table(caps.speed.into());
        Ok([
            ("with this table", Self::new(subjects, |_| Ok(caps.clone()))?),
            ("each case by the measurements of the others", Self::new(subjects, others)?),
            ("by the model alone", Self::new(subjects, |_| Ok(model.clone()))?),
        ])
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cases, within, mean, worst, off } = self;
        let (mean, worst, off) = (three(*mean), three(*worst), three(*off));
        write!(
            f,
            "the choice is within 10 % of the best in {within} of {cases} cases, on average {mean} times it, at worst \
             {worst} times; predicted within a factor of {off} (root mean square)"
        )
    }
}
