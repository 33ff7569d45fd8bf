//! Streams real inputs frame by frame through a recurrent layer of a published model, and compares the outputs with
//! those in a file.
//!
//! ```sh
//! cargo run --release --example stream_onnx -- MODEL.onnx IO.safetensors [FRAMES [DEVICE]]
//! ```
//!
//! MODEL has one recurrent node. IO has its `X` `[T, B, I]` and, for the comparison, `Y` `[T, 1, B, H]`; also
//! `initial_h` and `initial_c` `[1, B, H]` if the node reads them. Each of the B sequences becomes a stream of its
//! own that gets FRAMES frames (1) at a time. For a layer that takes one sample of sound a step, as amplifier models
//! do, use 64 or so, the block size of a sound card. DEVICE is what `wgru run --device` takes.

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use safetensors::SafeTensors;
use wgru::import::Onnx;
use wgru::{Device, PoolOptions, State, TickOutput};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stream_onnx: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, io, rest @ ..] = &arguments[..] else {
        return Err("usage: stream_onnx MODEL.onnx IO.safetensors [FRAMES [DEVICE]]".into());
    };
    let frames: usize = rest.first().map_or(Ok(1), |text| text.parse())?;
    let device = Device::open(rest.get(1).map_or("cpu", |selector| selector))?;

    let imported = Onnx::new().read_graph(model)?;
    let bytes = std::fs::read(io).map_err(|error| format!("{io}: {error}"))?;
    let arrays = SafeTensors::deserialize(&bytes).map_err(|error| format!("{io}: {error}"))?;
    // IO must give a state that the graph computes.
    imported.check_given(&arrays.names())?;
    let array = |name: &str| arrays.tensor(name).ok().map(|tensor| f32s(tensor.data()));
    let x = array("X").ok_or("IO has no X")?;
    let &[steps, streams, input] = arrays.tensor("X")?.shape() else {
        return Err("X does not have three dimensions".into());
    };
    let hidden = imported.model.state_size();
    println!(
        "{}: {}, {streams} streams of {steps} frames on {}",
        imported.node,
        imported.model,
        device.info()
    );

    // A pool with a stream for each sequence, starting from the node's initial states.
    let engine = device.load(&imported.model)?;
    let mut pool = engine.pool(PoolOptions::fixed(streams).frames(frames))?;
    let [h, c] = ["initial_h", "initial_c"].map(array);
    let mut ids = Vec::new();
    for stream in 0..streams {
        let of = |all: &Vec<f32>, features: usize| all[stream * features..][..features].to_vec();
        let c =
            imported.model.cell().has_c().then(|| c.as_ref().map_or(vec![0.0; hidden], |c| of(c, hidden)));
        let h = h.as_ref().map_or(vec![0.0; hidden], |h| of(h, hidden));
        ids.push(pool.open_with(&State { h, c })?);
    }

    pool.prepare(streams, frames)?;
    let mut output = TickOutput::default();
    let (mut y, mut slowest, start) = (vec![0.0f32; steps * streams * hidden], 0.0f64, Instant::now());
    for first in (0..steps).step_by(frames) {
        let count = frames.min(steps - first);
        for (stream, &id) in ids.iter().enumerate() {
            for step in first..first + count {
                pool.push(id, &x[(step * streams + stream) * input..][..input])?;
            }
        }
        let tick = Instant::now();
        pool.tick_into(&mut output)?;
        slowest = slowest.max(tick.elapsed().as_secs_f64());
        for (stream, &id) in ids.iter().enumerate() {
            let frames = output.of(id).ok_or("a stream got frames but has no outputs")?;
            for (step, h) in (first..).zip(frames.y.chunks_exact(hidden)) {
                y[(step * streams + stream) * hidden..][..hidden].copy_from_slice(h);
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let ticks = steps.div_ceil(frames);
    println!(
        "{ticks} ticks of {frames} frames in {seconds:.3} s, {:.1} µs each, the slowest {:.1} µs",
        seconds / ticks as f64 * 1e6,
        slowest * 1e6
    );
    match array("Y") {
        Some(expected) if expected.len() == y.len() => {
            let off = y.iter().zip(&expected).fold(0.0f32, |all, (a, b)| all.max((a - b).abs()));
            println!("off by at most {off:e} from the file's Y");
        }
        Some(expected) => {
            println!("the file's Y has {} numbers, the streams gave {}", expected.len(), y.len())
        }
        None => println!("the file has no Y to compare with"),
    }
    Ok(())
}

fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}
