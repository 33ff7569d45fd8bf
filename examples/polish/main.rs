//! Polishes an assembled genome: the consensus of windows of a pileup, by medaka's network.
//!
//! ```sh
//! cargo run --release --example polish -- MODEL.safetensors PILEUP.safetensors [--device SELECTOR] [--batch N] [--repeat N]
//!     [--output FILE.fastq] [--scores FILE.safetensors] [--logits]
//! ```
//!
//! `fetch.py` in this folder makes MODEL from the weights in medaka's wheel, whose licence allows research alone. `pileup.py` draws
//! PILEUP from a seed. `--output` gets a record for each window. `--scores` gets the probabilities of all columns, `[N, T, 5]`, or with
//! `--logits` the numbers before softmax. `--repeat` runs all windows so often, and prints the time of each run; nothing is prepared
//! in a later one. The guide's page on polishing has figures.

mod network;

use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Instant;

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use wgru::{Device, ReadoutActivation};

use network::{SYMBOLS, Windows, consensus, importer, scores};

const USAGE: &str = "usage: polish MODEL.safetensors PILEUP.safetensors [--device SELECTOR] [--batch N] [--repeat N] \
                     [--output FILE.fastq] [--scores FILE.safetensors] [--logits]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("polish: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    files: Vec<String>,
    device: String,
    batch: usize,
    repeat: usize,
    output: Option<String>,
    scores: Option<String>,
    activation: ReadoutActivation,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments {
        files: Vec::new(),
        device: "auto".into(),
        batch: 100,
        repeat: 1,
        output: None,
        scores: None,
        activation: ReadoutActivation::Softmax,
    };
    let mut all = std::env::args().skip(1);
    while let Some(name) = all.next() {
        let mut value = || all.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--device" => arguments.device = value()?,
            "--batch" => arguments.batch = value()?.parse()?,
            "--repeat" => arguments.repeat = value()?.parse()?,
            "--output" => arguments.output = Some(value()?),
            "--scores" => arguments.scores = Some(value()?),
            "--logits" => arguments.activation = ReadoutActivation::Linear,
            other if other.starts_with("--") => return Err(format!("{other} is unknown; {USAGE}").into()),
            _ => arguments.files.push(name),
        }
    }
    if arguments.files.len() != 2 || arguments.batch == 0 || arguments.repeat == 0 {
        return Err(USAGE.into());
    }
    if arguments.output.is_some() && arguments.activation == ReadoutActivation::Linear {
        return Err("--output has qualities, which are not made from --logits".into());
    }
    Ok(arguments)
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let read = |path: &str| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    let model = importer(arguments.activation).read(&arguments.files[0])?.model;
    let path = &arguments.files[1];
    let windows = Windows::parse(&read(path)?).map_err(|error| format!("{path}: {error}"))?;
    let [count, columns, _] = windows.shape;
    let device = Device::open(&arguments.device)?;
    let engine = device.load(&model)?;
    println!("{model}, on {}", device.info());
    let mut all = Vec::new();
    for _ in 0..arguments.repeat {
        let begin = Instant::now();
        all = scores(&engine, &windows, arguments.batch)?;
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "{count} windows of {columns} columns in {seconds:.4} s: {:.2} windows/s",
            count as f64 / seconds
        );
    }
    if let Some(path) = &arguments.scores {
        let bytes: Vec<u8> = all.iter().flat_map(|score| score.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![count, columns, SYMBOLS.len()], &bytes)?;
        std::fs::write(path, serialize([("scores", view)], None)?)
            .map_err(|error| format!("{path}: {error}"))?;
    }
    if let Some(path) = &arguments.output {
        let mut text = String::new();
        for (index, window) in all.chunks_exact(columns * SYMBOLS.len()).enumerate() {
            let [bases, qualities] = consensus(window);
            writeln!(text, "@window_{index}\n{bases}\n+\n{qualities}")?;
        }
        std::fs::write(path, text).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}
