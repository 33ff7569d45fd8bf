//! Shared by the Rust peers: a case's folder, the check, the clock and the record.
//!
//! A peer is called as `peer-NAME FOLDER --threads N --seconds S [--device SEL]` and prints one JSON line for each
//! figure (the fields of `cli/src/bench/record.rs`). It ends with status 0; with [`SKIPPED`] and a reason on stderr if
//! the engine cannot run the case; or with another status and a reason if it failed. The figures are computed as in
//! `benches/peers/common.py`.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

/// Why a peer ended.
pub type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The exit status of a peer that cannot run the case.
pub const SKIPPED: u8 = 3;

/// At least so many runs are timed, unless [`TIME_LIMIT`] is reached.
const RUNS: usize = 20;
/// No case is timed for more than so many times `--seconds`.
const TIME_LIMIT: f64 = 10.0;
/// At least so many runs are timed, whatever the limit.
const FEWEST_RUNS: usize = 5;
/// The most samples that are kept.
const MOST_RUNS: usize = 200_000;

/// The reason for which a case is left out.
#[derive(Debug)]
pub struct Skip(pub String);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Skip {}

/// An error that leaves the case out, by name.
pub fn skip<T>(reason: impl Into<String>) -> Result<T> {
    Err(Box::new(Skip(reason.into())))
}

/// The cell of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// Gates r z n.
    Gru,
    /// Gates i f g o.
    Lstm,
    /// One gate, tanh.
    Rnn,
}

/// `case.json`, which `cases.py` writes.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// The case's name.
    pub case: String,
    /// Its cell.
    pub cell: Cell,
    /// Whether a GRU resets before the product.
    pub reset_before: bool,
    /// B.
    pub batch: usize,
    /// T of a run.
    pub steps: usize,
    /// Steps of x: T, or more if one step at a time is checked.
    pub frames: usize,
    /// I.
    pub input: usize,
    /// H.
    pub hidden: usize,
    /// L.
    pub layers: usize,
    /// Both directions.
    pub bidirectional: bool,
    /// `f32`, `f16` or `bf16`.
    pub dtype: String,
    /// The tolerance of y.
    pub tolerance: f64,
    /// Floating-point operations of a run.
    pub flops: f64,
    /// Bytes of the weights, x, y and the states.
    pub bytes: u64,
    /// The project's commit.
    pub commit: String,
    /// The day, UTC.
    pub date: String,
    #[serde(skip)]
    folder: PathBuf,
}

impl Case {
    fn open(folder: &Path) -> Result<Self> {
        let text = fs::read_to_string(folder.join("case.json"))?;
        Ok(Self { folder: folder.to_owned(), ..serde_json::from_str(&text)? })
    }

    /// A file of the case.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether one step at a time is timed, with the states carried.
    pub fn is_step(&self) -> bool {
        self.steps == 1
    }

    /// Directions.
    pub fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    /// The width of a layer's input.
    pub fn width(&self, layer: usize) -> usize {
        if layer == 0 { self.input } else { self.directions() * self.hidden }
    }

    /// The weights by PyTorch's names: `weight_ih_l0` `[G·H, I]`, `weight_hh_l0` `[G·H, H]`, `bias_ih_l0`, `bias_hh_l0` `[G·H]`.
    pub fn weights(&self) -> Result<HashMap<String, Array>> {
        read(&self.file("model.safetensors"))
    }

    /// x `[B, frames, I]`.
    pub fn x(&self) -> Result<Vec<f32>> {
        Ok(read(&self.file("inputs.safetensors"))?.remove("x").ok_or("inputs.safetensors: no x")?.values)
    }

    /// Compares y `[B, frames, D·H]` with PyTorch's float64 result; returns the largest error.
    pub fn check(&self, y: &[f32]) -> Result<f64> {
        let bytes = fs::read(self.file("expected.safetensors"))?;
        let file = SafeTensors::deserialize(&bytes)?;
        let expected = file.tensor("y")?.data().chunks_exact(8);
        if expected.len() != y.len() {
            return Err(format!("y has {} values, expected {}", y.len(), expected.len()).into());
        }
        let expected = expected.map(|bytes| f64::from_le_bytes(bytes.try_into().expect("chunks of 8")));
        let mut largest: f64 = 0.0;
        for (got, expected) in y.iter().zip(expected) {
            let error = (f64::from(*got) - expected).abs();
            // A NaN must not pass: max() would drop it.
            largest = if error.is_nan() { f64::INFINITY } else { largest.max(error) };
        }
        if largest <= self.tolerance {
            return Ok(largest);
        }
        Err(format!("verification failed: y is off by {largest:.3e}, allowed {:.3e}", self.tolerance).into())
    }
}

/// An array of a file.
#[derive(Debug, Clone)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row by row.
    pub values: Vec<f32>,
}

fn read(path: &Path) -> Result<HashMap<String, Array>> {
    let bytes = fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let array = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let values =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("chunks of 4")));
        (name, Array { shape: view.shape().to_vec(), values: values.collect() })
    };
    Ok(file.tensors().into_iter().map(array).collect())
}

/// `[A, B, N]` as `[B, A, N]`.
pub fn swap(values: &[f32], [a, b, n]: [usize; 3]) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for j in 0..b {
        for i in 0..a {
            out.extend_from_slice(&values[(i * b + j) * n..][..n]);
        }
    }
    out
}

/// Step `t` of x `[B, frames, I]`, as `[B, I]`.
pub fn frame(x: &[f32], case: &Case, t: usize) -> Vec<f32> {
    let rows = x.chunks_exact(case.input).skip(t).step_by(case.frames);
    rows.flatten().copied().collect()
}

/// The timed engine, as in its records.
#[derive(Debug, Clone, Serialize)]
pub struct Engine {
    /// `burn`, `candle`, `tract`.
    pub engine: &'static str,
    /// The device.
    pub device: String,
    /// As the engine reports it.
    pub backend: String,
    /// Versions.
    pub driver: String,
    /// The function that was called.
    pub strategy: String,
    /// Threads; 0 if they cannot be set.
    pub threads: usize,
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    engine: &'a Engine,
    timed: &'a str,
    case: &'a str,
    dtype: &'a str,
    verified: bool,
    max_error: f64,
    tolerance: f64,
    median_s: f64,
    p05_s: f64,
    p95_s: f64,
    p99_s: f64,
    spread: f64,
    runs: usize,
    timing: &'a str,
    gflops: f64,
    peak_share: Option<f64>,
    peak_gflops: Option<f64>,
    peak_gbs: Option<f64>,
    bytes: u64,
    batch: usize,
    steps: usize,
    commit: &'a str,
    date: &'a str,
}

/// The command line of a peer.
#[derive(Debug)]
pub struct Call {
    /// The case.
    pub case: Case,
    /// Number of threads.
    pub threads: usize,
    /// The engine's device; empty for its first.
    pub device: String,
    seconds: f64,
}

impl Call {
    fn parse() -> Result<Self> {
        let mut words = std::env::args().skip(1);
        let folder = words.next().ok_or("usage: FOLDER [--threads N] [--seconds S] [--device SEL]")?;
        let mut call =
            Self { case: Case::open(folder.as_ref())?, threads: 1, device: String::new(), seconds: 1.0 };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word}: no value"))?;
            match word.as_str() {
                "--threads" => call.threads = value.parse()?,
                "--seconds" => call.seconds = value.parse()?,
                "--device" => call.device = value,
                _ => return Err(format!("{word}: unknown").into()),
            }
        }
        Ok(call)
    }

    /// Times `run` and prints its record. `error` is its largest error against the reference.
    pub fn time(
        &self,
        engine: &Engine,
        timed: &str,
        error: f64,
        mut run: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let mut samples = self.samples(&mut run)?;
        samples.sort_by(f64::total_cmp);
        let median = quantile(&samples, 0.5);
        let case = &self.case;
        let record = Record {
            engine,
            timed,
            case: &case.case,
            dtype: &case.dtype,
            verified: true,
            max_error: error,
            tolerance: case.tolerance,
            median_s: median,
            p05_s: quantile(&samples, 0.05),
            p95_s: quantile(&samples, 0.95),
            p99_s: quantile(&samples, 0.99),
            spread: half_width(&samples) / median,
            runs: samples.len(),
            timing: "wall",
            gflops: case.flops / median * 1e-9,
            peak_share: None,
            peak_gflops: None,
            peak_gbs: None,
            bytes: case.bytes,
            batch: case.batch,
            steps: case.steps,
            commit: &case.commit,
            date: &case.date,
        };
        println!("{}", serde_json::to_string(&record)?);
        Ok(())
    }

    fn samples(&self, run: &mut impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
        let began = Instant::now();
        for warm_up in 0.. {
            if warm_up >= 3 && began.elapsed() >= Duration::from_secs_f64(0.3 * self.seconds) {
                break;
            }
            run()?;
        }
        let mut samples = Vec::new();
        let began = Instant::now();
        while samples.len() < MOST_RUNS {
            let elapsed = began.elapsed().as_secs_f64();
            let enough = samples.len() >= RUNS && elapsed >= self.seconds;
            if enough || (samples.len() >= FEWEST_RUNS && elapsed >= TIME_LIMIT * self.seconds) {
                break;
            }
            let start = Instant::now();
            run()?;
            samples.push(start.elapsed().as_secs_f64());
        }
        Ok(samples)
    }
}

/// The quantile `q` of the sorted samples, interpolated linearly between neighbours.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// Half the width of the median's 95 % confidence interval, from order statistics.
fn half_width(sorted: &[f64]) -> f64 {
    let middle = sorted.len() as f64 / 2.0;
    let reach = 0.98 * (sorted.len() as f64).sqrt();
    let low = (middle - reach).floor().max(0.0) as usize;
    let high = ((middle + reach).ceil() as usize).min(sorted.len() - 1);
    (sorted[high] - sorted[low]) / 2.0
}

/// The `main` of a peer.
pub fn run(peer: impl FnOnce(&Call) -> Result<()>) -> ExitCode {
    match Call::parse().and_then(|call| peer(&call)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) if reason.is::<Skip>() => {
            eprintln!("{reason}");
            ExitCode::from(SKIPPED)
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
