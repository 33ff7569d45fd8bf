//! A small network with random weights, in ONNX files of the published models' structure, against f64; streams, pools, recordings
//! and refusals.

#[path = "../../../../tests/numbers/allocator.rs"]
#[allow(dead_code)]
mod allocator;
#[path = "../network/mod.rs"]
mod network;
mod pool;

use network::onnx_file::Graph;
use network::{FEATURES, HIDDEN, KERAS, Network, ONNX, sound};
use wgru::{CpuOptions, Device};
use wgru_dtln::{Dtln, Error, HOP, LATENCY, PUSH_LATENCY, Stream};

fn one_thread() -> Device {
    Device::cpu_with(CpuOptions::default().threads(1)).unwrap()
}

fn open(network: &Network) -> Dtln {
    let [one, two] = network.files(KERAS);
    Dtln::from_onnx(&one, &two, &one_thread()).unwrap()
}

/// Whole hops through a stream.
fn stream(stream: &mut Stream, samples: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    for hop in samples.as_chunks().0 {
        let mut got = [f32::NAN; HOP];
        stream.process(hop, &mut got).unwrap();
        out.extend(got);
    }
    out
}

#[track_caller]
fn assert_close(got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    let loudest = expected.iter().fold(0.0f64, |all, x| all.max(x.abs()));
    assert!(loudest > 0.05, "the expected samples are almost silent, at most {loudest}");
    let off = got.iter().zip(expected).fold(0.0f64, |all, (g, e)| all.max((f64::from(*g) - e).abs()));
    assert!(off <= tolerance, "off by {off}, {tolerance} is allowed");
}

#[test]
fn a_stream_computes_what_f64_does_in_any_order_of_gates() {
    for (seed, order) in [(1, KERAS), (2, ONNX), (3, [3, 2, 1, 0]), (4, [2, 0, 3, 1])] {
        let network = Network::new(seed);
        let [one, two] = network.files(order);
        let dtln = Dtln::from_onnx(&one, &two, &one_thread()).unwrap();
        let samples = sound(40 * HOP, seed);
        assert_close(&stream(&mut dtln.stream().unwrap(), &samples), &network.reference(&samples), 2e-5);
    }
}

#[test]
fn every_device_computes_it() {
    let network = Network::new(5);
    let [one, two] = network.files(KERAS);
    let samples = sound(20 * HOP + 5, 5);
    let padded = [&samples[..], &vec![0.0; LATENCY + HOP][..]].concat();
    let expected = network.reference(&padded)[LATENCY..][..samples.len()].to_vec();
    let mut devices = vec![Device::cpu(), Device::reference()];
    if cfg!(feature = "gpu") {
        devices.extend(Device::all_adapters().unwrap());
    }
    for device in devices {
        println!("{}", device.info());
        let dtln = Dtln::from_onnx(&one, &two, &device).unwrap();
        assert_close(&dtln.denoise(&samples).unwrap(), &expected, 2e-5);
        let whole = stream(&mut dtln.stream().unwrap(), &padded);
        assert_close(&whole[LATENCY..][..samples.len()], &expected, 2e-5);
    }
}

#[test]
fn a_recording_has_the_bits_of_a_stream() {
    let dtln = open(&Network::new(6));
    // More than one chunk of 1,024 hops; lengths that are no hops; none.
    for len in [1100 * HOP + 77, HOP, 1, 5 * HOP - 1, 0] {
        let samples = sound(len, 6);
        let padded = [&samples[..], &vec![0.0; LATENCY + HOP][..]].concat();
        let expected = stream(&mut dtln.stream().unwrap(), &padded);
        assert_eq!(dtln.denoise(&samples).unwrap(), expected[LATENCY..][..len], "{len} samples");
    }
}

#[test]
fn quanta_of_any_size_give_the_same_samples_a_hop_later() {
    let dtln = open(&Network::new(7));
    let samples = sound(30 * HOP, 7);
    let expected = stream(&mut dtln.stream().unwrap(), &samples);
    let mut pushed = dtln.stream().unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    for most in [1, 100, HOP, 3 * HOP + 1] {
        pushed.reset();
        let (mut got, mut rest) = (Vec::new(), &samples[..]);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rng.usize(0..=most).min(rest.len()));
            let mut out = vec![f32::NAN; now.len()];
            pushed.push(now, &mut out).unwrap();
            got.extend(out);
            rest = later;
        }
        assert_eq!(got[..HOP], [0.0; HOP]);
        assert_eq!(got[HOP..], expected[..samples.len() - HOP], "quanta up to {most}");
    }
    assert_eq!(PUSH_LATENCY, LATENCY + HOP);
}

#[test]
fn a_stream_begins_again_after_a_reset() {
    let dtln = open(&Network::new(8));
    let samples = sound(9 * HOP, 8);
    let mut one = dtln.stream().unwrap();
    let first = stream(&mut one, &samples);
    assert_ne!(stream(&mut one, &samples), first);
    one.reset();
    assert_eq!(stream(&mut one, &samples), first);
}

#[test]
fn a_hop_allocates_nothing() {
    let dtln = open(&Network::new(9));
    let mut one = dtln.stream().unwrap();
    let samples: [f32; HOP] = sound(HOP, 9).try_into().unwrap();
    let mut out = [0.0; HOP];
    one.process(&samples, &mut out).unwrap();
    let before = allocator::calls();
    for _ in 0..10 {
        one.process(&samples, &mut out).unwrap();
        one.push(&samples[..50], &mut out[..50]).unwrap();
        one.push(&samples[..78], &mut out[..78]).unwrap();
    }
    one.reset();
    one.process(&samples, &mut out).unwrap();
    assert_eq!(allocator::calls() - before, 0);
}

#[test]
fn samples_that_are_no_samples_are_refused_and_change_nothing() {
    let dtln = open(&Network::new(10));
    let mut one = dtln.stream().unwrap();
    let samples = sound(4 * HOP, 10);
    let expected = stream(&mut dtln.stream().unwrap(), &samples);
    let mut got = stream(&mut one, &samples[..2 * HOP]);
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -40_000.0] {
        let mut hop = [0.1; HOP];
        hop[5] = wrong;
        let mut out = [0.0; HOP];
        let refused = |result: Result<(), Error>| {
            let error = result.expect_err("it must be refused");
            assert!(matches!(error, Error::Sample { at: 5, .. }), "{error}");
            assert!(error.to_string().contains("full scale is 1"), "{error}");
        };
        refused(one.process(&hop, &mut out));
        refused(one.push(&hop, &mut out));
        refused(dtln.denoise(&hop).map(|_| ()));
    }
    assert!(matches!(one.push(&[0.0; 3], &mut [0.0; 4]), Err(Error::Lengths { given: 3, out: 4 })));
    got.extend(stream(&mut one, &samples[2 * HOP..]));
    assert_eq!(got, expected);
}

/// The error of files that are not the two cores.
#[track_caller]
fn refused(one: &[u8], two: &[u8]) -> String {
    let error = Dtln::from_onnx(one, two, &one_thread()).expect_err("it must be refused");
    let text = error.to_string();
    assert!(text.len() < 2048 && !text.contains("Some("), "{text}");
    text
}

#[test]
fn files_that_are_not_the_cores_are_refused_by_what_they_are() {
    let network = Network::new(11);
    let [one, two] = network.files(KERAS);
    let swapped = refused(&two, &one);
    assert!(
        swapped.starts_with("core 1 of DTLN: the mask at the first output: expected Sigmoid, found Conv"),
        "{swapped}"
    );
    assert!(
        refused(&one, &one).starts_with("core 2 of DTLN: the decoder at the first output: expected Conv")
    );
    for cut in [0, 1, 100, two.len() / 2, two.len() - 1] {
        let text = refused(&one, &two[..cut]);
        assert!(text.starts_with("core 2 of DTLN: ") && text.contains("fetch"), "{text}");
    }
    assert!(refused(b"RIFF", &two).contains("not a readable ONNX file"));
}

/// A graph with one piece of text replaced, which has the same length.
fn replaced(graph: &Graph, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = graph.model(11);
    let at = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .expect("the text is in the file");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn graphs_that_compute_something_else_are_refused_by_the_node() {
    let network = Network::new(12);
    let [one, two] = network.files(KERAS);
    let core = |from, to| refused(&one, &replaced(&network.core_2(KERAS), from, to));
    // Another operator in place of one of the cell's, the norm's and the decoder's.
    for (from, to, expected) in [
        ("Tanh", "Sinh", "expected Tanh, found Sinh \"g_0\""),
        ("Sqrt", "Cbrt", "the layer norm: expected Sqrt, found Cbrt \"deviation\""),
        ("Div", "Mod", "expected Div, found Mod"),
        ("ReduceMean", "ReduceLast", "expected ReduceMean, found ReduceLast"),
        ("Pad", "Max", "below the decoder: expected Mul, found Max"),
    ] {
        let text = core(from, to);
        assert!(text.contains(expected), "{from}: {text}");
    }
    // A logarithm below the LSTMs, as another training option has it.
    let log = network.core_1();
    let text = refused(&replaced(&log, "Transpose", "Logarithm"), &two);
    assert!(text.contains("magnitudes as they are") && text.contains("found Logarithm"), "{text}");
    let other = |from, to| refused(&one, &reads_instead(&network.core_2(KERAS), from, to));
    for (from, to, expected) in [
        ("features", "quotient", "the layer norm: it does not read the encoder's features"),
        ("block_t", "x_0_too", "the array \"x_0_too\" has no source"),
        ("part_0_1", "part_0_0", "its gates are not the four parts of a Split"),
        ("part_0_1", "part_1_1", "a gate is Split \"part_1_0\", expected a part of one Split"),
        ("c_0", "x_0", "c does not come from input 1 of the graph"),
        ("h_0", "x_0", "one of its two products should be of h"),
        ("R_0", "x_0", "expected a matrix of the file, found Add \"normed\""),
    ] {
        let text = other(from, to);
        assert!(text.starts_with("core 2 of DTLN: ") && text.contains(expected), "{from} as {to}: {text}");
    }
}

/// A graph in which the first node that reads `from` reads `to`, a name of the same length.
fn reads_instead(graph: &Graph, from: &str, to: &str) -> Vec<u8> {
    let input = |name: &str| String::from_utf8([&[10, name.len() as u8], name.as_bytes()].concat()).unwrap();
    replaced(graph, &input(from), &input(to))
}

#[test]
fn cycles_have_an_end() {
    let network = Network::new(13);
    let [one, two] = network.files(KERAS);
    let text = refused(&reads_instead(&network.core_1(), "X_0", "X_1"), &two);
    assert!(text.contains("more than 16 LSTMs in a row, or a cycle"), "{text}");
    for (from, to, expected) in [
        ("x_0", "x_1", "more than 16 LSTMs in a row, or a cycle"),
        ("hr_0", "su_0", "a sum of more than x W, h R and a bias"),
        ("masked", "padded", "the graph has a cycle at the array"),
    ] {
        let text = refused(&one, &reads_instead(&network.core_2(KERAS), from, to));
        assert!(text.contains(expected), "{from}: {text}");
    }
}

#[test]
fn broken_files_are_errors_and_not_panics() {
    let network = Network::new(14);
    let files = network.files(KERAS);
    let mut rng = fastrand::Rng::with_seed(14);
    let mut read = 0;
    for round in 0..600 {
        let mut both = files.clone();
        let broken = &mut both[round % 2];
        for _ in 0..rng.usize(1..4) {
            // The graph's nodes come first and are small; most of a file is weights.
            let most = if rng.bool() { broken.len() } else { 4000 };
            let at = rng.usize(..most.min(broken.len()));
            broken[at] = if rng.bool() { rng.u8(..) } else { broken[at] ^ (1 << rng.u32(..8)) };
        }
        if let Ok(dtln) = Dtln::from_onnx(&both[0], &both[1], &one_thread()) {
            read += 1;
            let _ = dtln.denoise(&[0.1; 300]);
        }
    }
    assert!(read > 0 && read < 600, "{read} of 600 were read");
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let network = Network::new(15);
    let [one, _] = network.files(KERAS);
    let mut narrow = Network::new(15);
    narrow.gamma.pop();
    let text = refused(&one, &narrow_file(&narrow));
    assert!(text.contains(&format!("[{}, {FEATURES}, {FEATURES}]", FEATURES - 1)), "{text}");
    let mut deep = Network::new(15);
    deep.lstms[1][1].b = vec![0.0; 4 * HIDDEN];
    deep.lstms[1][1].r[0][0] = f32::NAN;
    let text = refused(&one, &deep.files(KERAS)[1]);
    assert!(text.contains("NaN or infinite"), "{text}");
}

/// Core 2 with a gamma of fewer numbers than the graph's features.
fn narrow_file(network: &Network) -> Vec<u8> {
    let whole = network::onnx_file::floats("gamma", &[FEATURES as i64], &network.gamma);
    let right = network::onnx_file::floats("gamma", &[network.gamma.len() as i64], &network.gamma);
    let mut bytes = network.core_2(KERAS).model(11);
    let at = bytes.windows(whole.0.len()).position(|window| window == whole.0).expect("gamma is in the file");
    bytes[at..at + right.0.len()].copy_from_slice(&right.0);
    bytes
}
