//! The part that every command which runs a model shares: choosing the device, running, timing, verifying.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use wgru::reference::{Comparison, Tolerance, compare};
use wgru::{Batch, Device, DeviceInfo, Model, Options, Output};

use crate::args::WorkArgs;
use crate::devices::to_json;
use crate::failure::{Failure, Outcome};

/// A run that is done.
pub struct Work {
    /// What came out.
    pub output: Output,
    device: DeviceInfo,
    kernels: String,
    sequences: usize,
    steps: usize,
    prepare: Duration,
    run: Duration,
    verification: Option<Vec<Comparison>>,
}

impl Work {
    /// Runs `batch` through `model` on the device that `args` names.
    pub fn run(args: &WorkArgs, model: &Model, batch: &Batch<'_>) -> Outcome<Self> {
        batch.check(model)?;
        let device = Device::select(&args.device)?;
        let info = device.info();
        if info == DeviceInfo::Cpu && args.device == "auto" {
            eprintln!("wgru: no GPU found, running on the CPU");
        }
        let bar = spinner();
        let dims = batch.dims();
        let start = Instant::now();
        bar.set_message("preparing");
        // A run that is verified is poisoned too: an element that no kernel writes shows as NaN.
        let engine = device.load_with(model, Options::default().poison(args.verify))?;
        engine.prepare(dims)?;
        let prepare = start.elapsed();

        bar.set_message(format!("{} sequences of {} steps on {info}", dims.batch, dims.steps));
        let mut output = engine.output(dims)?;
        let start = Instant::now();
        engine.run_into(batch, &mut output)?;
        let run = start.elapsed();

        let mut verification = None;
        if args.verify {
            bar.set_message("the f64 reference");
            let truth = wgru::reference::run(model, batch)?;
            verification = Some(compare(&truth, &output, Tolerance::of(model, dims)));
        }
        bar.finish_and_clear();
        Ok(Self {
            output,
            device: info,
            kernels: engine.explain(dims)?,
            sequences: dims.batch,
            steps: dims.steps,
            prepare,
            run,
            verification,
        })
    }

    fn per_second(&self) -> f64 {
        self.sequences as f64 / self.run.as_secs_f64().max(1e-9)
    }

    /// Which device, which kernels, how long, how many sequences a second; then each comparison.
    pub fn print(&self) {
        println!(
            "{}: {} sequences of {} steps in {:.1?} ({} sequences/s, prepared in {:.1?}); {}",
            self.device,
            self.sequences,
            self.steps,
            self.run,
            three_digits(self.per_second()),
            self.prepare,
            self.kernels,
        );
        for Comparison { array, error, tolerance } in self.verification.iter().flatten() {
            let verdict = if error <= tolerance { "ok" } else { "BEYOND" };
            println!("verify {array}: largest error {error:.2e}, tolerance {tolerance:.2e}: {verdict}");
        }
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        let verification = self.verification.as_ref().map(|comparisons| {
            comparisons
                .iter()
                .map(|comparison| {
                    // JSON has no infinity: an error that is not finite is null.
                    json!({
                        "array": comparison.array,
                        "max_error": comparison.error,
                        "tolerance": comparison.tolerance,
                        "passed": comparison.passes(),
                    })
                })
                .collect::<Vec<_>>()
        });
        json!({
            "device": to_json(&self.device),
            "kernels": self.kernels,
            "sequences": self.sequences,
            "steps": self.steps,
            "prepare_s": self.prepare.as_secs_f64(),
            "run_s": self.run.as_secs_f64(),
            "sequences_per_s": self.per_second(),
            "verify": verification,
        })
    }

    /// # Errors
    /// [`Failure::Verification`] where a comparison was made and failed.
    pub fn verdict(&self) -> Outcome {
        match self.verification.iter().flatten().find(|comparison| !comparison.passes()) {
            Some(Comparison { array, error, tolerance }) => Err(Failure::Verification(format!(
                "{array} is off by {error:.2e}, allowed {tolerance:.2e}, on {}",
                self.device
            ))),
            None => Ok(()),
        }
    }
}

/// Shown on a terminal only, and only once the work has taken a while.
fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(400));
    bar
}

/// A number to three significant digits, without an exponent.
fn three_digits(value: f64) -> String {
    let digits = (2.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}
