//! Synthetic records in the form of real ones, for tests.

use crate::record::{Record, Timed, Timing};

/// A plausible suite: batches, hidden sizes, layers, directions, cells, storage.
pub const SEQUENCES: [&str; 14] = [
    "gru-b1-t100-i256-h256",
    "gru-b4-t100-i256-h256",
    "gru-b16-t100-i256-h256",
    "gru-b64-t100-i256-h256",
    "gru-b256-t100-i256-h256",
    "gru-b16-t100-i128-h128",
    "gru-b16-t100-i512-h512",
    "gru-b16-t100-i1024-h1024",
    "gru-b16-t100-i256-h256-l2",
    "gru-b16-t100-i256-h256-bi",
    "gru-b16-t100-i256-h256-f16",
    "lstm-b16-t100-i256-h256",
    "rnn-b16-t100-i256-h256",
    "gru-b16-t100-i256-h256-l2-bi-f16",
];

const STEPS: [&str; 4] =
    ["gru-b1-t1-i64-h256", "gru-b8-t1-i64-h256", "gru-b64-t1-i64-h256", "gru-b512-t1-i64-h256"];

/// A record of one measurement on one device.
pub fn record(case: &str, timed: Timed, median_s: f64) -> Record {
    Record {
        engine: "wgru".into(),
        timed,
        case: case.into(),
        device: "H200".into(),
        backend: "vulkan".into(),
        driver: "580.1".into(),
        strategy: "persistent".into(),
        dtype: "f32".into(),
        threads: 0,
        verified: true,
        max_error: 1e-6,
        tolerance: 1e-5,
        median_s,
        p05_s: median_s * 0.97,
        p95_s: median_s * 1.06,
        p99_s: median_s * 1.2,
        p999_s: None,
        spread: 0.005,
        runs: 50,
        timing: Timing::Wall,
        record_s: (timed == Timed::Sequence).then_some(1e-6),
        gflops: 100.0,
        peak_share: Some(0.01),
        peak_gflops: Some(10_000.0),
        peak_gbs: Some(3_000.0),
        bytes: 4_000_000,
        batch: 16,
        steps: 100,
        rate_hz: None,
        seconds: None,
        frames: None,
        missed: None,
        overloaded: None,
        most_streams: None,
        commit: "0123abc".into(),
        date: "2026-11-20".into(),
    }
}

/// A record of a load of a thousand streams at 100 frames a second, a minute long.
pub fn load(case: &str, median_s: f64) -> Record {
    Record {
        rate_hz: Some(100.0),
        seconds: Some(60.0),
        frames: Some(6_000_000),
        missed: Some(6_000),
        overloaded: Some(false),
        most_streams: Some(1_400),
        ..record(case, Timed::Tick, median_s)
    }
}

/// Three devices and a peer, each with the whole suite.
pub fn machine() -> Vec<Record> {
    let engines = [
        ("wgru", "NVIDIA H200", "vulkan", 0, 38_000.0, 3_900.0, 25e-6, Timing::Wall),
        ("wgru", "NVIDIA H200", "vulkan", 0, 38_000.0, 3_900.0, 8e-6, Timing::Device),
        ("torch", "NVIDIA H200", "cudnn", 0, 38_000.0, 3_900.0, 40e-6, Timing::Wall),
        ("wgru", "llvmpipe (LLVM 19.1.7, 256 bits)", "vulkan", 0, 55.0, 14.0, 300e-6, Timing::Wall),
        ("wgru", "cpu", "cpu", 2, 130.0, 20.0, 2e-6, Timing::Wall),
    ];
    let mut records = Vec::new();
    for (engine, device, backend, threads, peak, gbs, latency, timing) in engines {
        for (timed, cases) in [(Timed::Sequence, &SEQUENCES[..]), (Timed::Step, &STEPS)] {
            for case in cases {
                let (batch, steps, bytes, flops) = size(case);
                // A step waits for the previous one: its latency, plus its work at the rate of its batch.
                let rate = peak * 1e9 * 0.6 * (batch as f64 / (batch as f64 + 24.0));
                let median = steps as f64 * latency / 8.0 + latency + flops / rate;
                let gflops = flops / median / 1e9;
                records.push(Record {
                    engine: engine.into(),
                    device: device.into(),
                    backend: backend.into(),
                    threads,
                    timing,
                    bytes,
                    batch,
                    steps,
                    gflops,
                    peak_share: Some(gflops / peak),
                    peak_gflops: Some(peak),
                    peak_gbs: Some(gbs),
                    dtype: if case.ends_with("f16") { "f16".into() } else { "f32".into() },
                    ..record(case, timed, median)
                });
            }
        }
    }
    records
}

/// Batch, steps, bytes and operations of a case.
fn size(case: &str) -> (usize, usize, u64, f64) {
    let part = |letter: char| {
        let mut parts = case.split('-').filter_map(|part| part.strip_prefix(letter)?.parse::<usize>().ok());
        parts.next_back().unwrap_or(1)
    };
    let (b, t, i, h) = (part('b'), part('t'), part('i'), part('h'));
    let gates = if case.starts_with("lstm") {
        4
    } else if case.starts_with("rnn") {
        1
    } else {
        3
    };
    let copies = part('l') * if case.contains("-bi") { 2 } else { 1 };
    let weights = copies * gates * h * (i + h);
    (b, t, 4 * (weights + b * t * (i + h)) as u64, 2.0 * (weights * b * t) as f64)
}

/// The records of another run of the same machine, `factor` times as slow. Every timed run has its own noise with a
/// tail, and each case drifts as a whole.
pub fn timed_again(records: &[Record], seed: u64, factor: impl Fn(&Record) -> f64) -> Vec<Record> {
    let mut random = fastrand::Rng::with_seed(seed);
    records
        .iter()
        .map(|record| {
            let drift = 1.0 + 0.025 * (2.0 * random.f64() - 1.0);
            let time = record.median_s * drift * factor(record);
            let mut times: Vec<f64> = (0..50)
                .map(|_| {
                    // A sum of uniforms is close to a normal draw; one run in fifteen is slowed by other work.
                    let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                    let met = if random.usize(..15) == 0 { 1.0 + random.f64() } else { 1.0 };
                    time * (1.0 + 0.02 * normal) * met
                })
                .collect();
            times.sort_by(f64::total_cmp);
            // The 95 % interval of a median of 50 is between the 18th and the 33rd.
            let (median, spread) = ((times[24] + times[25]) / 2.0, (times[32] - times[17]) / 2.0);
            Record {
                median_s: median,
                p05_s: times[2],
                p95_s: times[47],
                p99_s: times[49],
                p999_s: None,
                spread: spread / median,
                ..record.clone()
            }
        })
        .collect()
}
