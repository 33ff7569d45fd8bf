//! The sequence run, the session step and a pool's tick, from host memory to host memory, on every adapter and the CPU path.
//!
//! Every case is verified against the f64 reference before it is timed. Ids have the form `device/timed/case`; `cargo
//! xtask record NAME` runs this and saves the figures as a CSV in `benches/records/`.

mod tables;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wgru::reference::{self, Tolerance, compare};
use wgru::{Batch, Cell, Device, DeviceInfo, Direction, Layer, Model, PoolOptions, TickOutput, Weights};

/// Cell, B, T, I, H.
const SEQUENCES: [(&str, Cell, [usize; 4]); 5] = [
    ("gru", Cell::GRU, [1, 100, 64, 64]),
    ("gru", Cell::GRU, [16, 100, 64, 64]),
    ("gru", Cell::GRU, [256, 12, 64, 64]),
    ("gru-before", Cell::ORIGINAL_GRU, [16, 100, 64, 64]),
    ("lstm", Cell::LSTM, [16, 100, 64, 64]),
];
/// Streams, I, H.
const STEPS: [[usize; 3]; 3] = [[1, 64, 64], [64, 64, 64], [1, 256, 256]];
/// Streams of a pool, the number of them that have a frame, I, H. The first three sizes are those of the steps.
const TICKS: [[usize; 4]; 5] =
    [[1, 1, 64, 64], [64, 64, 64, 64], [1, 1, 256, 256], [2000, 64, 64, 64], [2000, 1, 64, 64]];

fn devices() -> Vec<Device> {
    let mut devices = Device::all_adapters().expect("every adapter opens");
    devices.push(Device::cpu());
    devices
}

/// Prints the driver of each device, for the record, since a benchmark's id has no space for it.
fn drivers(_: &mut Criterion) {
    for device in devices() {
        if let DeviceInfo::Gpu(info) = device.info() {
            println!("driver of {} is {}", info.caps.device, info.driver);
        }
    }
}

fn values(rng: &mut fastrand::Rng, len: usize, scale: f32) -> Vec<f32> {
    (0..len).map(|_| (rng.f32() * 2.0 - 1.0) * scale).collect()
}

fn model(rng: &mut fastrand::Rng, cell: Cell, input: usize, hidden: usize) -> Model {
    let (rows, scale) = (cell.gates() * hidden, 1.0 / (hidden as f32).sqrt());
    let weights = Weights {
        w_ih: values(rng, rows * input, scale),
        w_hh: values(rng, rows * hidden, scale),
        b_ih: Some(values(rng, rows, scale)),
        b_hh: Some(values(rng, rows, scale)),
        ..Weights::default()
    };
    let layer = Layer::new(cell, Direction::Forward, input, hidden, vec![weights]);
    Model::new(vec![layer.expect("sizes fit")]).expect("one layer")
}

fn verified(model: &Model, batch: &Batch<'_>, output: &wgru::Output, id: &str) {
    let truth = reference::run(model, batch).expect("the reference runs");
    for comparison in compare(&truth, output, Tolerance::of(model, batch)) {
        assert!(comparison.passes(), "{id}: {comparison:?}; nothing is timed that is not verified");
    }
}

fn sequence(criterion: &mut Criterion) {
    let mut rng = fastrand::Rng::with_seed(1);
    for device in devices() {
        let mut group = criterion.benchmark_group(format!("{}/sequence", device.info()));
        for (kind, cell, [batch, steps, input, hidden]) in SEQUENCES {
            let model = model(&mut rng, cell, input, hidden);
            let x = values(&mut rng, batch * steps * input, 1.0);
            let inputs = Batch::new(&x, [batch, steps, input]).expect("x fits");
            let engine = device.load_with(&model, tables::options(&device)).expect("the model fits");
            let mut output = engine.run(&inputs).expect("the batch runs");
            let case = format!("{kind}-b{batch}-t{steps}-i{input}-h{hidden}");
            verified(&model, &inputs, &output, &case);
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::from_parameter(case), |bencher| {
                bencher.iter(|| engine.run_into(&inputs, &mut output).expect("the batch runs"));
            });
        }
        group.finish();
    }
}

fn step(criterion: &mut Criterion) {
    let mut rng = fastrand::Rng::with_seed(2);
    for device in devices() {
        let mut group = criterion.benchmark_group(format!("{}/step", device.info()));
        for [streams, input, hidden] in STEPS {
            let model = model(&mut rng, Cell::GRU, input, hidden);
            let x = values(&mut rng, streams * input, 1.0);
            let engine = device.load_with(&model, tables::options(&device)).expect("the model fits");
            let mut session = engine.session(streams).expect("the session fits");
            let mut output = session.output().expect("memory");
            let case = format!("gru-b{streams}-i{input}-h{hidden}");
            session.step_into(&x, &mut output).expect("the step runs");
            let first = Batch::new(&x, [streams, 1, input]).expect("x fits");
            let run = engine.run(&first).expect("the batch runs");
            assert_eq!(run.y, output.y, "{case}: a session gives the bits of a run");
            verified(&model, &first, &run, &case);
            group.throughput(Throughput::Elements(streams as u64));
            group.bench_function(BenchmarkId::from_parameter(case), |bencher| {
                bencher.iter(|| session.step_into(&x, &mut output).expect("the step runs"));
            });
        }
        group.finish();
    }
}

/// A frame for some streams of a pool, and the tick that computes them.
fn tick(criterion: &mut Criterion) {
    let mut rng = fastrand::Rng::with_seed(2);
    for device in devices() {
        let mut group = criterion.benchmark_group(format!("{}/tick", device.info()));
        for [streams, active, input, hidden] in TICKS {
            let model = model(&mut rng, Cell::GRU, input, hidden);
            let x = values(&mut rng, active * input, 1.0);
            let engine = device.load_with(&model, tables::options(&device)).expect("the model fits");
            let mut pool = engine.pool(PoolOptions::fixed(streams)).expect("the pool fits");
            let ids: Vec<_> = (0..streams).map(|_| pool.open().expect("there is room")).collect();
            let mut output = TickOutput::default();
            let mut tick = |output: &mut TickOutput| {
                for (frame, &stream) in x.chunks_exact(input).zip(&ids) {
                    pool.push(stream, frame).expect("the stream is open");
                }
                pool.tick_into(output).expect("the tick runs");
            };
            tick(&mut output);
            let case = format!("gru-b{active}-of-{streams}-i{input}-h{hidden}");
            let first = Batch::new(&x, [active, 1, input]).expect("x fits");
            let run = engine.run(&first).expect("the batch runs");
            let y: Vec<f32> =
                ids[..active].iter().flat_map(|&id| output.of(id).expect("a frame").y.to_vec()).collect();
            assert_eq!(run.y, y, "{case}: a pool gives the bits of a run");
            verified(&model, &first, &run, &case);
            group.throughput(Throughput::Elements(active as u64));
            group.bench_function(BenchmarkId::from_parameter(case), |bencher| {
                bencher.iter(|| tick(&mut output));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = drivers, sequence, step, tick
}
criterion_main!(benches);
