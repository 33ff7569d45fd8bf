//! `dtln IN.wav OUT.wav`: a recording without its noise.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use wgru::{Device, DeviceInfo};
use wgru_dtln::{Dtln, HOP, LATENCY, RATE};

const USAGE: &str = "\
usage: dtln IN.wav OUT.wav [--cpu | --gpu | --device NAME] [--stream] [--models FOLDER]

  --cpu      compute on the CPU (the default)
  --gpu      compute on the best GPU
  --device   compute on the device of this name, as `wgru devices` lists them, such as cpu:1 or vulkan
  --stream   compute 128 samples at a time, as in a call, with one thread unless a device is named
  --models   the folder of model_1.onnx and model_2.onnx, which uses/dtln/fetch.py fetches; uses/dtln/models by default

IN has 16,000 samples a second; each channel is computed by itself. OUT has IN's format, and is not delayed.";

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
    stream: bool,
    models: PathBuf,
}

impl Request {
    /// `None` for a request of help.
    fn parse(arguments: &[String]) -> Result<Option<Self>, String> {
        let (mut files, mut device, mut stream) = (Vec::new(), None, false);
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
                "--models" => models = value()?.into(),
                option if option.starts_with('-') => return Err(format!("unknown option {option}")),
                file => files.push(PathBuf::from(file)),
            }
        }
        let count = files.len();
        let files =
            files.try_into().map_err(|_| format!("expected two files, IN.wav and OUT.wav, got {count}"))?;
        Ok(Some(Self { files, device, stream, models }))
    }
}

fn run(request: &Request) -> Anything<()> {
    let [from, to] = &request.files;
    let (spec, channels) = read(from)?;
    let model = |name: &str| {
        let path = request.models.join(name);
        let advice = "fetch it by `python uses/dtln/fetch.py`, or name its folder by --models";
        std::fs::read(&path).map_err(|error| format!("{}: {error}: {advice}", path.display()))
    };
    let models = [model("model_1.onnx")?, model("model_2.onnx")?];
    // A stream's steps are too small for threads.
    let selector = match (request.device.as_deref(), request.stream) {
        (None | Some("cpu"), true) => "cpu:1",
        (None, false) => "cpu",
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
    let mut hops = Vec::new();
    let start = Instant::now();
    let mut outputs = Vec::with_capacity(channels.len());
    for (channel, samples) in (1..).zip(&channels) {
        let named = |error| format!("{}, channel {channel}: {error}", from.display());
        let output = if request.stream { stream(&dtln, samples, &mut hops) } else { dtln.denoise(samples) };
        outputs.push(output.map_err(named)?);
    }
    let took = start.elapsed().as_secs_f64();
    write(to, spec, &outputs).map_err(|error| format!("{}: {error}", to.display()))?;

    let seconds = channels[0].len() as f64 / f64::from(RATE);
    let factor = took / seconds;
    let how = if request.stream { "128 samples at a time" } else { "8 s at a time" };
    println!("{}, {how}, loaded in {:.1} ms", device.info(), loaded.as_secs_f64() * 1e3);
    println!(
        "{seconds:.2} s of sound in {took:.4} s, real-time factor {factor:.5}, {:.0} times as fast as it plays",
        1.0 / factor
    );
    hops.sort_unstable();
    if let (Some(median), Some(slowest)) = (hops.get(hops.len() / 2), hops.last()) {
        println!("a hop of 8 ms took {median:.1?}, at most {slowest:.1?}");
    }
    Ok(())
}

/// A channel hop by hop; the time of each is added to `hops`.
fn stream(dtln: &Dtln, samples: &[f32], hops: &mut Vec<Duration>) -> wgru_dtln::Result<Vec<f32>> {
    let mut stream = dtln.stream()?;
    let count = (samples.len() + LATENCY).div_ceil(HOP);
    let mut out = Vec::with_capacity(count * HOP);
    hops.reserve(count);
    for hop in 0..count {
        let (mut given, mut got) = ([0.0; HOP], [0.0; HOP]);
        let rest = samples.get(hop * HOP..).unwrap_or_default();
        let known = rest.len().min(HOP);
        given[..known].copy_from_slice(&rest[..known]);
        let start = Instant::now();
        stream.process(&given, &mut got)?;
        hops.push(start.elapsed());
        out.extend(got);
    }
    out.drain(..LATENCY);
    out.truncate(samples.len());
    Ok(out)
}

/// The samples of each channel, full scale 1.
fn read(path: &Path) -> Anything<(WavSpec, Vec<Vec<f32>>)> {
    let named = |reason: String| format!("{}: {reason}", path.display());
    let file = WavReader::open(path).map_err(|error| named(format!("not a readable WAV file: {error}")))?;
    let spec = file.spec();
    if spec.sample_rate != RATE {
        let found = spec.sample_rate;
        return Err(named(format!(
            "{found} samples a second, expected {RATE}: resample it, as by `sox IN.wav -r 16k OUT.wav`"
        ))
        .into());
    }
    let (count, expected) = (usize::from(spec.channels.max(1)), file.len());
    let samples: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        SampleFormat::Float => file.into_samples::<f32>().collect(),
        SampleFormat::Int => {
            let full = full_scale(spec);
            file.into_samples::<i32>().map(|sample| Ok(sample? as f32 / full)).collect()
        }
    };
    let truncated =
        |error| named(format!("truncated, or not what its header says ({expected} samples): {error}"));
    let samples = samples.map_err(truncated)?;
    if samples.is_empty() {
        return Err(named("it has no samples".into()).into());
    }
    let channel = |channel: usize| samples.iter().skip(channel).step_by(count).copied().collect();
    Ok((spec, (0..count).map(channel).collect()))
}

fn full_scale(spec: WavSpec) -> f32 {
    (1i64 << spec.bits_per_sample.saturating_sub(1)) as f32
}

fn write(path: &Path, spec: WavSpec, channels: &[Vec<f32>]) -> Result<(), hound::Error> {
    let mut file = WavWriter::create(path, spec)?;
    for at in 0..channels[0].len() {
        for channel in channels {
            match spec.sample_format {
                SampleFormat::Float => file.write_sample(channel[at])?,
                SampleFormat::Int => {
                    let full = full_scale(spec);
                    // The largest integer is one below full scale; f32 rounds that of 32 bits up, and `as` saturates.
                    let sample = (channel[at] * full).round().clamp(-full, full - 1.0) as i32;
                    file.write_sample(sample)?;
                }
            }
        }
    }
    file.finalize()
}
