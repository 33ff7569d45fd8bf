//! `dtln IN.wav OUT.wav`: a recording without its noise, as a whole, as a stream, or as many callers at once.

mod callers;
mod wav;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wgru::{Device, DeviceInfo};
use wgru_dtln::{Dtln, HOP, LATENCY, RATE};

const USAGE: &str = "\
usage: dtln IN.wav OUT.wav [--cpu | --gpu | --device NAME] [--stream | --streams N] [--threads N] [--models FOLDER]

  --cpu      compute on the CPU (the default)
  --gpu      compute on the best GPU
  --device   compute on the device of this name, as `wgru devices` lists them, such as cpu:1 or vulkan
  --stream   compute 128 samples at a time, as in a call, with one thread unless a device is named
  --streams  play IN to so many callers at once, in real time, and report missed deadlines; each hears it from another
             place on, and OUT is that of the first, who hears it from its beginning
  --threads  of --streams: threads with a pool of callers each; by default as many as the processor has, or one if a
             device is named
  --models   the folder of model_1.onnx and model_2.onnx, which uses/dtln/fetch.py fetches; uses/dtln/models by default

IN has 16,000 samples a second; each channel is computed by itself. OUT has IN's format, and is not delayed.";

/// The most callers.
const MOST: usize = 1_000_000;

type Anything<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match Request::parse(&arguments) {
        Ok(Some(request)) => run(&request),
        Ok(None) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(problem) => Err(format!("{problem}\n{USAGE}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dtln: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Request {
    files: [PathBuf; 2],
    device: Option<String>,
    how: How,
    models: PathBuf,
}

/// How the samples are computed.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Whole,
    Stream,
    Callers { callers: usize, threads: Option<usize> },
}

impl Request {
    /// `None` for a request of help.
    fn parse(arguments: &[String]) -> Result<Option<Self>, String> {
        let (mut files, mut device, mut stream) = (Vec::new(), None, false);
        let (mut callers, mut threads) = (None, None);
        let mut models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let mut rest = arguments.iter();
        let mut name_device = |name: &str| match device.replace(name.to_owned()) {
            Some(other) => Err(format!("two devices, {other} and {name}: name one")),
            None => Ok(()),
        };
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                "--cpu" => name_device("cpu")?,
                "--gpu" => name_device("auto")?,
                "--device" => name_device(value()?)?,
                "--stream" => stream = true,
                "--streams" => callers = Some(number(argument, value()?)?),
                "--threads" => threads = Some(number(argument, value()?)?),
                "--models" => models = value()?.into(),
                option if option.starts_with('-') => return Err(format!("unknown option {option}")),
                file => files.push(PathBuf::from(file)),
            }
        }
        let count = files.len();
        let files =
            files.try_into().map_err(|_| format!("expected two files, IN.wav and OUT.wav, got {count}"))?;
        let how = match (stream, callers, threads) {
            (true, Some(_), _) => return Err("--stream and --streams: name one".into()),
            (_, None, Some(_)) => return Err("--threads is of --streams".into()),
            (_, Some(callers), threads) => How::Callers { callers, threads },
            (true, None, None) => How::Stream,
            (false, None, None) => How::Whole,
        };
        Ok(Some(Self { files, device, how, models }))
    }
}

fn number(option: &str, value: &str) -> Result<usize, String> {
    let number = value.parse().ok().filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| format!("{option} {value}: expected a number from 1 to {MOST}"))
}

fn run(request: &Request) -> Anything<()> {
    let [from, to] = &request.files;
    let (spec, channels) = wav::read(from)?;
    if matches!(request.how, How::Callers { .. }) && channels.len() > 1 {
        let count = channels.len();
        return Err(format!("{}: {count} channels, --streams plays one: mix them", from.display()).into());
    }
    let model = |name: &str| {
        let path = request.models.join(name);
        let advice = "fetch it by `python uses/dtln/fetch.py`, or name its folder by --models";
        std::fs::read(&path).map_err(|error| format!("{}: {error}: {advice}", path.display()))
    };
    let models = [model("model_1.onnx")?, model("model_2.onnx")?];
    // A stream's steps are too small for threads.
    let selector = match (request.device.as_deref(), request.how) {
        (None, How::Whole) => "cpu",
        (None | Some("cpu"), How::Stream | How::Callers { .. }) => "cpu:1",
        (Some(name), _) => name,
    };
    let device = Device::open(selector)?;
    if selector == "auto" && !matches!(device.info(), DeviceInfo::Gpu(_)) {
        return Err(
            "--gpu: no GPU was found; a software driver is used only if it is named, as in --device vulkan"
                .into(),
        );
    }
    let start = Instant::now();
    let dtln = Dtln::from_onnx(&models[0], &models[1], &device)?;
    let loaded = start.elapsed();
    println!("{}, loaded in {:.1} ms", device.info(), loaded.as_secs_f64() * 1e3);
    let outputs = match request.how {
        How::Callers { callers, threads } => {
            let cores = || std::thread::available_parallelism().map_or(1, usize::from);
            let threads = threads.unwrap_or_else(|| if request.device.is_some() { 1 } else { cores() });
            let (out, report) = callers::play(&dtln, &channels[0], callers, threads)
                .map_err(|error| format!("{}: {error}", from.display()))?;
            println!("{report}");
            vec![in_time(out, &channels[0])]
        }
        how => one_by_one(&dtln, from, &channels, how == How::Stream)?,
    };
    wav::write(to, spec, &outputs)
}

/// The channels one after the other, and how long they took.
fn one_by_one(dtln: &Dtln, from: &Path, channels: &[Vec<f32>], is_stream: bool) -> Anything<Vec<Vec<f32>>> {
    let (mut times, mut outputs) = (Vec::new(), Vec::with_capacity(channels.len()));
    let start = Instant::now();
    for (channel, samples) in (1..).zip(channels) {
        let output = if is_stream { stream(dtln, samples, &mut times) } else { dtln.denoise(samples) };
        outputs.push(output.map_err(|error| format!("{}, channel {channel}: {error}", from.display()))?);
    }
    let took = start.elapsed().as_secs_f64();
    let seconds = channels[0].len() as f64 / f64::from(RATE);
    let factor = took / seconds;
    let how = if is_stream { "128 samples at a time" } else { "8 s at a time" };
    println!(
        "{seconds:.2} s of sound in {took:.4} s, {how}, real-time factor {factor:.5}, {:.0} times as fast as it plays",
        1.0 / factor
    );
    times.sort_unstable();
    if let (Some(median), Some(slowest)) = (times.get(times.len() / 2), times.last()) {
        println!("a hop of 8 ms took {median:.1?}, at most {slowest:.1?}");
    }
    Ok(outputs)
}

/// A channel hop by hop; the time of each is added to `times`.
fn stream(dtln: &Dtln, samples: &[f32], times: &mut Vec<Duration>) -> wgru_dtln::Result<Vec<f32>> {
    let (mut stream, count) = (dtln.stream()?, hops(samples));
    let mut out = Vec::with_capacity(count * HOP);
    times.reserve(count);
    for at in 0..count {
        let (given, mut got) = (hop(samples, at), [0.0; HOP]);
        let start = Instant::now();
        stream.process(&given, &mut got)?;
        times.push(start.elapsed());
        out.extend(got);
    }
    Ok(in_time(out, samples))
}

/// Hops until the last sample has come out.
fn hops(samples: &[f32]) -> usize {
    (samples.len() + LATENCY).div_ceil(HOP)
}

/// A hop of a recording; silence after its end.
fn hop(samples: &[f32], at: usize) -> [f32; HOP] {
    let mut hop = [0.0; HOP];
    let rest = samples.get(at * HOP..).unwrap_or_default();
    let known = rest.len().min(HOP);
    hop[..known].copy_from_slice(&rest[..known]);
    hop
}

/// The outputs of a stream without their delay, as many as `samples`.
fn in_time(mut out: Vec<f32>, samples: &[f32]) -> Vec<f32> {
    out.drain(..LATENCY);
    out.truncate(samples.len());
    out
}
