//! The number `matrix` of a table, the time of a product of cooperative matrices. It is fitted by itself, after the
//! others, to steps that use them.

use wgru::plan::{Candidate, Caps, Only, Request, Speed, Strategy};
use wgru::{Batch, Device, Dims, Model};

use super::tune::least_disturbed;
use crate::failure::{Failure, Outcome, error};
use wgru_harness::case::{Case, values};
use wgru_harness::verify::{Inputs, require};

/// Steps whose projection is small beside them, from few rows to many.
const CASES: [&str; 4] = [
    "gru-b64-t20-i8-h256-f16",
    "gru-b256-t5-i8-h512-f16",
    "lstm-b32-t10-i8-h384-f16",
    "rnn-b512-t10-i8-h256-f16",
];
/// A candidate that computes steps with matrices, and its measured time.
struct Sample {
    model: Model,
    dims: Dims,
    request: Request,
    seconds: f64,
}

/// `caps.speed` with the number that best predicts the times of steps with matrices on `device`, which supports them.
///
/// # Errors
/// The error of the planner or the device; wrong results.
pub fn fit(device: &Device, caps: &Caps) -> Outcome<Speed> {
    let mut samples = Vec::new();
    for name in CASES {
        samples.extend(measure(name, device, caps)?);
    }
    Ok(Speed { matrix: least(|matrix| badness(&samples, caps, matrix)), ..caps.speed })
}

/// Every candidate of a case that computes steps with matrices, verified and timed.
fn measure(name: &str, device: &Device, caps: &Caps) -> Outcome<Vec<Sample>> {
    let case: Case = name.parse().map_err(|reason: String| error(name, reason))?;
    let mut rng = fastrand::Rng::with_seed(1);
    let model = case.model(&mut rng)?;
    let dims = Dims::new(case.batch, case.steps)?;
    let shape = [case.batch, case.steps, case.input];
    let x = values(&mut rng, shape.iter().product(), 1.0);
    let batch = Batch::new(&x, shape)?;
    let options = || case.options().reproducible(false).speed(caps.speed);
    let asked = Request { precision: options().precision(), any_reduction_order: true, ..Request::default() };
    let all = wgru::plan::alternatives(&model, dims, asked, caps)?;
    let mut samples = Vec::new();
    for candidate in all.into_iter().flatten().filter(is_by_matrices) {
        let only = Only {
            strategy: Some(Strategy::Step),
            rows: Some(candidate.rows),
            variant: Some(candidate.variant),
            ..Only::default()
        };
        let options = options().only(only);
        let engine = device.load_with(&model, options.clone())?;
        let mut staged = engine.stage(&batch)?;
        staged.run()?;
        let mut output = engine.output(dims)?;
        staged.read_into(&mut output)?;
        let inputs = Inputs { x: &x, shape, lengths: None };
        let flops = case.flops((case.batch * case.steps) as u64);
        require(&model, inputs, &output, options, flops)
            .map_err(|reason| Failure::Verification(format!("{name}: {reason}")))?;
        let seconds = least_disturbed(&mut staged)?;
        let request = Request { only, ..asked };
        samples.push(Sample { model: model.clone(), dims, request, seconds });
    }
    Ok(samples)
}

fn is_by_matrices(candidate: &Candidate) -> bool {
    candidate.outcome.as_ref().is_ok_and(|(recipe, _)| recipe.recurrence.is_by_matrices())
}

/// The sum of the squares of the predictions' logarithmic errors.
fn badness(samples: &[Sample], caps: &Caps, matrix: u64) -> f64 {
    let caps = Caps { speed: Speed { matrix, ..caps.speed }, ..caps.clone() };
    let error = |sample: &Sample| {
        let all = wgru::plan::alternatives(&sample.model, sample.dims, sample.request, &caps).ok()?;
        let candidate = all.into_iter().flatten().find(|candidate| {
            sample.request.only.rows == Some(candidate.rows) && sample.request.only.has(candidate)
        })?;
        Some((candidate.modelled()?.seconds() / sample.seconds).ln().powi(2))
    };
    samples.iter().map(|sample| error(sample).unwrap_or(f64::INFINITY)).sum()
}

/// Where `badness`, which falls and then rises, is least: from a femtosecond to a microsecond, to within a thousandth.
fn least(badness: impl Fn(u64) -> f64) -> u64 {
    let (mut low, mut high) = (0.0f64, 1e9f64.ln());
    let at = |log: f64| log.exp().round() as u64;
    while high - low > 1e-3 {
        let third = (high - low) / 3.0;
        match badness(at(low + third)) < badness(at(high - third)) {
            true => high -= third,
            false => low += third,
        }
    }
    at((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_a_valley_is_found() {
        for number in [3.0f64, 1_234.0, 1_200_000.0] {
            let found = least(|x| (x as f64 / number).ln().powi(2)) as f64;
            assert!(
                (found / number - 1.0).abs() < 0.01 || (found - number).abs() <= 1.0,
                "{found} of {number}"
            );
        }
    }
}
