//! Shared by every command that runs a model: choosing the device, running, timing, verifying.

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use wgru::io::OutputShape;
use wgru::reference::{self, Comparison, Tolerance, compare};
use wgru::{Batch, Device, DeviceInfo, Dims, Engine, Layout, Model, Output, Pieces};

use crate::args::WorkArgs;
use crate::devices::{check_matrices, choose, say_matrices, to_json};
use crate::failure::{Failure, Outcome};
use crate::warnings::IS_OPTIMISED;
use wgru_harness::number::{count, three};
use wgru_harness::outputs::{Axes, NotFinite, describe, not_finite};

/// A finished run.
pub struct Work {
    /// The outputs.
    pub output: Output,
    device: DeviceInfo,
    kernels: String,
    dims: Dims,
    prepare: Duration,
    run: Duration,
    verification: Option<Vec<Comparison>>,
    axes: Vec<Axes>,
    not_finite: Vec<NotFinite>,
}

impl Work {
    /// Runs `batch` through `model` on the device that `args` names.
    pub fn run(args: &WorkArgs, model: &Model, batch: &Batch<'_>) -> Outcome<Self> {
        batch.check_finite(model)?;
        check_matrices(args.matrices, "this run", args.options().precision())?;
        let (opened, options) = (args.device_options(), args.options());
        let run_shape = batch.run_shape();
        let (device, choice) = choose(&args.device, &opened, args.exchange, model, run_shape, options)?;
        match &choice {
            Some(choice) if choice.devices().len() > 1 => eprintln!("wgru: {choice}"),
            Some(_) => eprintln!("wgru: no GPU found, running on the CPU"),
            None => {}
        }
        say_matrices(&device, args.matrices);
        let info = device.info();
        let dims = run_shape.dims;
        let start = Instant::now();
        let engine = device.load_with(model, args.options())?;
        let mut output = engine.output(run_shape)?;
        with_bar("preparing", || 0.0, || prepare(&engine, batch, &mut output))?;
        let prepare = start.elapsed();

        let name = format!("{} on {info}", size(dims));
        let start = Instant::now();
        with_bar(&name, || engine.progress(), || engine.run_into(batch, &mut output))?;
        let run = start.elapsed();
        save_pipelines(args, &device);
        let axes = Axes::of(&OutputShape::new(model, run_shape)?, run_shape);
        let not_finite = not_finite(&axes, &output);
        not_finite.iter().for_each(|numbers| eprintln!("wgru: {numbers}"));
        let verification = if args.verify { Some(verify(&engine, batch, &output)?) } else { None };
        Ok(Self {
            output,
            device: info,
            kernels: engine.explain(run_shape)?,
            dims,
            prepare,
            run,
            verification,
            axes,
            not_finite,
        })
    }

    fn per_second(&self) -> f64 {
        self.dims.batch as f64 / self.run.as_secs_f64().max(1e-9)
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
            "sequences": self.dims.batch,
            "steps": self.dims.steps,
            "prepare_s": self.prepare.as_secs_f64(),
            "run_s": self.run.as_secs_f64(),
            "sequences_per_s": self.per_second(),
            "not_finite": self.not_finite.iter().map(|of| (of.array, of.count)).collect::<HashMap<_, _>>(),
            "verify": verification,
        })
    }

    /// # Errors
    /// [`Failure::Verification`] if a comparison failed.
    pub fn verdict(&self) -> Outcome {
        match self.verification.iter().flatten().find(|comparison| !comparison.passes()) {
            Some(comparison) => {
                let found = describe(comparison, &self.axes, None);
                Err(Failure::Verification(format!("{}: {found}", self.device)))
            }
            None => Ok(()),
        }
    }
}

/// `3 sequences of 1 step`.
pub fn size(dims: Dims) -> String {
    format!("{} of {}", count(dims.batch, "sequence"), count(dims.steps, "step"))
}

/// Allocates and compiles all that a run of `batch` needs. Some drivers compile a kernel when it first runs. So every
/// kernel runs once on sequences of no steps, for which it computes nothing; if the batch is cut into pieces, with
/// the rows of one piece.
fn prepare(engine: &Engine, batch: &Batch<'_>, output: &mut Output) -> Result<(), wgru::Error> {
    let run_shape = batch.run_shape();
    engine.prepare(run_shape)?;
    match engine.pieces(run_shape)? {
        None => engine.run_into(&batch.lengths(&vec![0; run_shape.dims.batch]), output),
        Some(pieces) if pieces.by_steps => Ok(()),
        Some(Pieces { rows, steps, .. }) => {
            let features = batch.x().len() / (run_shape.dims.batch * run_shape.dims.steps);
            // The contents do not matter, since they are not read.
            let x = &batch.x()[..rows * steps * features];
            let piece = match run_shape.x {
                Layout::BatchMajor => Batch::new(x, [rows, steps, features])?,
                _ => Batch::time_major(x, [steps, rows, features])?,
            };
            let piece = piece.output_layout(run_shape.y).padding(run_shape.padding);
            let (lengths, resets) = (vec![0; rows], vec![0; rows * steps]);
            let piece = piece.lengths(&lengths);
            engine.run(&if run_shape.resets { piece.resets(&resets) } else { piece }).map(drop)
        }
    }
}

/// Writes the compiled kernels to the cache if the options name one. The run is done by then, so a failure is only a
/// warning.
fn save_pipelines(args: &WorkArgs, device: &Device) {
    let Some(folder) = &args.pipeline_cache else { return };
    let say = |reason: &str| eprintln!("wgru: --pipeline-cache {}: {reason}", folder.display());
    if !device.has_pipeline_cache() {
        say(&format!("{} does not give access to compiled kernels, nothing is cached", device.info()));
    } else if let Err(error) = device.save_pipelines() {
        say(&error.to_string());
    }
}

/// The device, the kernels, the time, the sequences a second; then each comparison.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = if IS_OPTIMISED { "" } else { ", in a build that is not optimised" };
        writeln!(
            f,
            "{}: {} in {:.1?} ({} sequences/s{build}), prepared and compiled before in {:.1?}; {}",
            self.device,
            size(self.dims),
            self.run,
            three(self.per_second()),
            self.prepare,
            self.kernels,
        )?;
        for comparison in self.verification.iter().flatten() {
            let Comparison { array, error, tolerance, .. } = comparison;
            let verdict = if comparison.passes() { "ok" } else { "BEYOND" };
            writeln!(f, "verify {array}: largest error {error:.2e}, tolerance {tolerance:.2e}: {verdict}")?;
        }
        Ok(())
    }
}

/// Compares with the f64 reference the timed run, and a second run whose arrays were filled with NaN before. Returns
/// the larger error of each array.
fn verify(engine: &Engine, batch: &Batch<'_>, output: &Output) -> Result<Vec<Comparison>, wgru::Error> {
    let (model, options) = (engine.model(), engine.options());
    let truth = with_bar("the f64 reference", || 0.0, || reference::run(model, batch))?;
    let filled = engine.device().load_with(model, options.clone().fill_nan(true))?.run(batch)?;
    let tolerance = Tolerance::stored(model, batch, options.precision());
    let pairs = compare(&truth, output, tolerance).into_iter().zip(compare(&truth, &filled, tolerance));
    Ok(pairs.map(|(a, b)| if a.error > b.error { a } else { b }).collect())
}

/// Runs `work`, and shows its progress once it has taken a while. indicatif shows nothing if standard error is not a
/// terminal.
fn with_bar<T>(name: &str, progress: impl Fn() -> f64 + Sync, work: impl FnOnce() -> T) -> T {
    const TIME_LIMIT: Duration = Duration::from_millis(500);
    const TICK: Duration = Duration::from_millis(100);
    let (done, is_done) = mpsc::channel::<()>();
    let progress = &progress;
    thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(TIME_LIMIT) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new(1000).with_message(name.to_owned());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {bar:30} {percent}% {elapsed}") {
                bar.set_style(style);
            }
            while is_done.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                bar.set_position((progress() * 1000.0) as u64);
                bar.tick();
            }
            bar.finish_and_clear();
        });
        let result = work();
        drop(done);
        result
    })
}
