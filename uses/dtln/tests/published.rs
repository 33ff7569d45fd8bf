//! The published models, where `fetch.py` has fetched them, against the samples of ONNX Runtime, where `compare.py expect` has
//! written them. Otherwise the tests are ignored, with the reason.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};
use wgru::Device;
use wgru_dtln::{Dtln, HOP, LATENCY, RATE};

/// The agreement with ONNX Runtime that a sample has; full scale is 1.
const TOLERANCE: f32 = 1e-4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    let trial = |name: &str, test: fn(&Path)| {
        Trial::ignorable_test(name, move || match models() {
            Ok(folder) => {
                test(&folder);
                Ok(Completion::Completed)
            }
            Err(reason) => Ok(Completion::ignored_with(reason)),
        })
    };
    let trials = vec![
        trial("dtln::published::a_stream_gives_onnx_runtimes_samples", a_stream),
        trial("dtln::published::streams_of_a_pool_give_onnx_runtimes_samples", a_pool),
        trial("dtln::published::recordings_give_onnx_runtimes_samples_on_every_device", recordings),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn models() -> Result<PathBuf, &'static str> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    match ["model_1.onnx", "model_2.onnx", "noisy.wav", "expected.wav"]
        .iter()
        .all(|name| folder.join(name).is_file())
    {
        true => Ok(folder),
        false => Err("without uses/dtln/models: uses/dtln/README.md"),
    }
}

fn open(folder: &Path, device: &Device) -> Dtln {
    let [one, two] = ["model_1.onnx", "model_2.onnx"].map(|name| std::fs::read(folder.join(name)).unwrap());
    Dtln::from_onnx(&one, &two, device).unwrap()
}

fn samples(path: PathBuf) -> Vec<f32> {
    let file = hound::WavReader::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(file.spec().sample_rate, RATE);
    file.into_samples().map(Result::unwrap).collect()
}

#[track_caller]
fn assert_close(got: &[f32], expected: &[f32], context: &str) {
    assert_eq!(got.len(), expected.len());
    assert!(expected.len() > 5 * RATE as usize && expected.iter().any(|sample| sample.abs() > 0.1));
    let off = got.iter().zip(expected).fold(0.0f32, |all, (g, e)| all.max((g - e).abs()));
    println!("{context}: off by at most {off:e}");
    assert!(off <= TOLERANCE, "{context}: off by {off}");
}

fn a_stream(folder: &Path) {
    let (noisy, expected) = (samples(folder.join("noisy.wav")), samples(folder.join("expected.wav")));
    let mut stream = open(folder, &Device::open("cpu:1").unwrap()).stream().unwrap();
    let mut got = Vec::new();
    for hop in noisy.as_chunks::<HOP>().0 {
        let mut out = [0.0; HOP];
        stream.process(hop, &mut out).unwrap();
        got.extend(out);
    }
    assert_close(&got, &expected, "a stream");
}

fn a_pool(folder: &Path) {
    let (noisy, expected) = (samples(folder.join("noisy.wav")), samples(folder.join("expected.wav")));
    let mut pool = open(folder, &Device::open("cpu:1").unwrap()).pool(3).unwrap();
    // The last is a hop behind the others.
    let streams = [0, 0, 1].map(|behind| (pool.open().unwrap(), behind));
    let mut got = vec![Vec::new(); streams.len()];
    let hops = noisy.as_chunks::<HOP>().0;
    for tick in 0..=hops.len() {
        for (stream, behind) in streams {
            if let Some(hop) = tick.checked_sub(behind).and_then(|at| hops.get(at)) {
                pool.push(stream, hop).unwrap();
            }
        }
        pool.tick(|stream, hop| {
            let caller = streams.iter().position(|(id, _)| *id == stream).unwrap();
            got[caller].extend(hop);
        })
        .unwrap();
    }
    for got in got {
        assert_close(&got, &expected, "a stream of a pool");
    }
}

fn recordings(folder: &Path) {
    let (noisy, expected) = (samples(folder.join("noisy.wav")), samples(folder.join("expected.wav")));
    let adapters = if cfg!(feature = "gpu") { Device::all_adapters().unwrap() } else { Vec::new() };
    for device in [vec![Device::cpu()], adapters].concat() {
        let got = open(folder, &device).denoise(&noisy).unwrap();
        assert_close(&got[..expected.len() - LATENCY], &expected[LATENCY..], &device.info().to_string());
    }
}
