//! A file in place of a microphone: sound arrives in real time, is converted to features every ten milliseconds, and
//! runs through a recurrent layer whose states stay on the device.
//!
//! ```sh
//! cargo run --release --example stream_wav -- SOUND.wav [MODEL.onnx|MODEL.safetensors [DEVICE]]
//! ```
//!
//! One thread reads the file at the pace of its sampling rate, like a sound card; the main thread takes the samples
//! that have arrived and ticks. The features are the logarithms of the energy in as many bands as the model has
//! inputs, with the same number of bands in every octave. Without a model it runs a GRU of 64 units with random
//! weights, which shows only the speed. If a model has one output per step, such as voice activity, the output is
//! drawn. Each line is a second.

use std::error::Error;
use std::f32::consts::TAU;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use wgru::{Cell, Device, Direction, Layer, Model, PoolOptions, TickOutput, Weights};

/// Frames a second.
const RATE: u32 = 100;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stream_wav: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sound, rest @ ..] = &arguments[..] else {
        return Err("usage: stream_wav SOUND.wav [MODEL.onnx|MODEL.safetensors [DEVICE]]".into());
    };
    let model = match rest.first() {
        Some(path) if path.ends_with(".onnx") => Model::from_onnx(path)?.model,
        Some(path) => Model::from_pytorch(path)?.model,
        None => untrained(40, 64)?,
    };
    let device = Device::open(rest.get(1).map_or("cpu", |selector| selector))?;
    let (sender, receiver) = channel();
    let rate = microphone(Path::new(sound), sender)?;
    println!("{model} on {}, {} samples a frame", device.info(), rate / RATE);
    listen(&model, &device, rate, &receiver)
}

/// Runs frames through the model as they arrive; prints a line for each second.
fn listen(model: &Model, device: &Device, rate: u32, frames: &Receiver<Frame>) -> Result<(), Box<dyn Error>> {
    let mut pool = device.load(model)?.pool(PoolOptions::fixed(1))?;
    let stream = pool.open()?;
    pool.prepare(1, 16)?;
    let bands = Bands::new(model.input(), rate);
    let (mut features, mut output) = (vec![0.0; model.input()], TickOutput::default());
    let (mut late, mut energy, mut shown, mut count) = (Vec::new(), 0.0f32, 0.0f32, 0);
    while let Ok(frame) = frames.recv() {
        bands.energies(&frame.samples, &mut features);
        pool.push(stream, &features)?;
        // More may have arrived meanwhile: a tick takes them too.
        while let Ok(frame) = frames.try_recv() {
            bands.energies(&frame.samples, &mut features);
            pool.push(stream, &features)?;
        }
        let mut last = 0.0;
        while pool.ready() > 0 {
            pool.tick_into(&mut output)?;
            let given = output.of(stream).ok_or("a frame was pushed, but there is no output")?;
            last = match given.out {
                Some(out) => out[out.len() - 1],
                None => given.y.iter().map(|y| y.abs()).sum::<f32>() / given.y.len() as f32,
            };
        }
        late.push(frame.came.elapsed());
        energy += frame.samples.iter().map(|s| s * s).sum::<f32>() / frame.samples.len() as f32;
        (shown, count) = (shown + last, count + 1);
        if count == RATE {
            line(energy / RATE as f32, shown / RATE as f32, &mut late);
            (energy, shown, count) = (0.0, 0.0, 0);
        }
    }
    if count > 0 {
        line(energy / count as f32, shown / count as f32, &mut late);
    }
    Ok(())
}

/// Level, output, and the time from a frame to its output.
fn line(energy: f32, shown: f32, late: &mut Vec<Duration>) {
    late.sort();
    let level = 10.0 * energy.max(1e-10).log10();
    let bar = "#".repeat((level + 80.0).clamp(0.0, 80.0) as usize / 4);
    let (median, worst) = (late[late.len() / 2], late[late.len() - 1]);
    println!("{level:6.1} dB {bar:20} output {shown:8.4}   after {median:.1?}, at worst {worst:.1?}");
    late.clear();
}

/// Ten milliseconds of sound, −1 to 1.
struct Frame {
    samples: Vec<f32>,
    came: Instant,
}

/// Plays a file to `to` in real time, on a thread that ends with the file; returns samples a second.
fn microphone(path: &Path, to: Sender<Frame>) -> Result<u32, Box<dyn Error>> {
    let mut file = hound::WavReader::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let spec = file.spec();
    if spec.sample_rate < RATE {
        return Err(format!("{}: {} samples a second are too few", path.display(), spec.sample_rate).into());
    }
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => file.samples::<f32>().collect::<Result<_, _>>()?,
        hound::SampleFormat::Int => {
            let full = (1i64 << (spec.bits_per_sample - 1)) as f32;
            file.samples::<i32>().map(|s| s.map(|s| s as f32 / full)).collect::<Result<_, _>>()?
        }
    };
    let channels = usize::from(spec.channels.max(1));
    let mono: Vec<f32> =
        samples.chunks_exact(channels).map(|all| all.iter().sum::<f32>() / channels as f32).collect();
    let frame = (spec.sample_rate / RATE) as usize;
    std::thread::spawn(move || {
        let start = Instant::now();
        for (number, samples) in mono.chunks_exact(frame).enumerate() {
            let due = Duration::from_secs_f64((number + 1) as f64 / f64::from(RATE));
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            if to.send(Frame { samples: samples.to_vec(), came: Instant::now() }).is_err() {
                return;
            }
        }
    });
    Ok(spec.sample_rate)
}

/// Energies in bands, each measured by a resonator at its frequency (Goertzel 1958).
struct Bands {
    /// Twice the cosine of the phase per sample.
    turns: Vec<f32>,
}

impl Bands {
    /// So many bands, from 80 Hz to just below half the sampling rate.
    fn new(count: usize, rate: u32) -> Self {
        let (lowest, highest) = (80.0f32, rate as f32 * 0.47);
        let frequency = |band: usize| lowest * (highest / lowest).powf(band as f32 / count.max(2) as f32);
        Self { turns: (0..count).map(|band| 2.0 * (TAU * frequency(band) / rate as f32).cos()).collect() }
    }

    /// log10 of the energy in each band, about −1 to 1 for speech.
    fn energies(&self, samples: &[f32], to: &mut [f32]) {
        for (turn, to) in self.turns.iter().zip(to) {
            let (mut one, mut two) = (0.0f32, 0.0f32);
            for (at, sample) in samples.iter().enumerate() {
                // Hann's window; without it a tone would be in every band.
                let window = 0.5 - 0.5 * (TAU * at as f32 / samples.len() as f32).cos();
                (one, two) = (sample * window + turn * one - two, one);
            }
            let energy = one * one + two * two - turn * one * two;
            *to = (energy / samples.len() as f32 + 1e-8).log10() / 4.0 + 1.0;
        }
    }
}

/// A GRU with random weights.
fn untrained(input: usize, hidden: usize) -> wgru::Result<Model> {
    let (mut rng, scale) = (fastrand::Rng::with_seed(1), 1.0 / (hidden as f32).sqrt());
    let mut draw = |len: usize| (0..len).map(|_| (rng.f32() * 2.0 - 1.0) * scale).collect::<Vec<f32>>();
    let weights =
        Weights { w_ih: draw(3 * hidden * input), w_hh: draw(3 * hidden * hidden), ..Weights::default() };
    Model::new(vec![Layer::new(Cell::GRU, Direction::Forward, input, hidden, vec![weights])?])
}
