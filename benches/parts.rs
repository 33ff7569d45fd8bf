//! The parts of a run: planning, packing, one kernel each.
//!
//! The kernels run on every adapter as a staged batch, so no data is transferred. A recurrent kernel runs, with each
//! strategy, as a sequence of few features, whose projection is small beside it. The projection's matmul runs as a
//! sequence of many features. Steps of a session are in `engine.rs`. Every recurrent kernel is verified before it is
//! timed.

mod tables;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wgru::dtype::Precision;
use wgru::model::{Constant, Forget, pack};
use wgru::plan::{Caps, Strategy, plan};
use wgru::program::{check, constant_words, lower};
use wgru::reference::{self, Tolerance, compare};
use wgru::{Batch, Cell, Device, Dims, Direction, Layer, Model, Storage, Weights};

fn values(rng: &mut fastrand::Rng, len: usize, scale: f32) -> Vec<f32> {
    (0..len).map(|_| (rng.f32() * 2.0 - 1.0) * scale).collect()
}

/// A layer, with a projection to P if P is not H.
fn model(cell: Cell, input: usize, hidden: usize, state: usize) -> Model {
    let mut rng = fastrand::Rng::with_seed(1);
    let (rows, scale) = (cell.gates() * hidden, 1.0 / (hidden as f32).sqrt());
    let weights = Weights {
        w_ih: values(&mut rng, rows * input, scale),
        w_hh: values(&mut rng, rows * state, scale),
        b_ih: Some(values(&mut rng, rows, scale)),
        b_hh: Some(values(&mut rng, rows, scale)),
        w_hr: (state != hidden).then(|| values(&mut rng, state * hidden, scale)),
        ..Weights::default()
    };
    let layer = Layer::new(cell, Direction::Forward, input, hidden, vec![weights]).expect("sizes fit");
    Model::new(vec![layer]).expect("one layer")
}

fn planning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("host/plan, lower, check");
    let caps = Caps::webgpu_minimum();
    let model = model(Cell::GRU, 256, 256, 256);
    for steps in [1, 100, 1000] {
        let dims = Dims::new(16, steps).expect("sizes");
        group.bench_function(BenchmarkId::from_parameter(format!("gru-b16-t{steps}-i256-h256")), |bencher| {
            bencher.iter(|| {
                let plan = plan(black_box(&model), dims, Precision::default(), &caps).expect("a plan");
                let program = lower(&model, &plan).expect("a program");
                check(&program, &caps).expect("a sound one");
                program
            });
        });
    }
    group.finish();
}

fn packing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("host/pack");
    let model = model(Cell::GRU, 256, 256, 256);
    let constant = Constant::WHh(0);
    group.throughput(Throughput::Bytes(3 * 256 * 256 * 4));
    group.bench_function("transposed", |bencher| bencher.iter(|| pack(black_box(&model), constant)));
    for weights in [Storage::F32, Storage::F16, Storage::Bf16] {
        let precision = Precision { weights, ..Precision::default() };
        group.bench_function(format!("words of {weights}"), |bencher| {
            bencher.iter(|| constant_words(black_box(&model), constant, precision).expect("in range"));
        });
    }
    group.finish();
}

fn kernels(criterion: &mut Criterion) {
    let coupled = Cell::Lstm { forget: Forget::Coupled };
    let (batch, steps, few, hidden) = (16, 64, 4, 128);
    for device in Device::all_adapters().expect("every adapter opens") {
        let mut group = criterion.benchmark_group(format!("{}/kernel", device.info()));
        let cells = [
            ("gru_after", Cell::GRU, few, hidden, Storage::F32),
            ("gru_after, f16 weights", Cell::GRU, few, hidden, Storage::F16),
            ("gru_before", Cell::ORIGINAL_GRU, few, hidden, Storage::F32),
            ("lstm", Cell::LSTM, few, hidden, Storage::F32),
            ("lstm, coupled", coupled, few, hidden, Storage::F32),
            ("lstm_cell, project", Cell::LSTM, few, 64, Storage::F32),
            ("rnn", Cell::Rnn, few, hidden, Storage::F32),
            ("gru_after, 2048 features", Cell::GRU, 2048, hidden, Storage::F32),
        ];
        let every = |strategy| cells.iter().map(move |cell| (strategy, cell));
        for (strategy, &(name, cell, input, state, storage)) in Strategy::ALL.into_iter().flat_map(every) {
            // A projection of the state is always computed by steps; x's is the same with any strategy.
            if (state != hidden || input != few) && strategy != Strategy::Step {
                continue;
            }
            let name = format!("{strategy} {name}");
            let model = model(cell, input, hidden, state);
            let x = values(&mut fastrand::Rng::with_seed(2), batch * steps * input, 1.0);
            let inputs = Batch::new(&x, [batch, steps, input]).expect("x fits");
            let options = tables::options(&device).weights(storage).strategy(strategy);
            let engine = device.load_with(&model, options.clone()).expect("it fits");
            let truth = reference::run(&model, &inputs).expect("the reference runs");
            let output = engine.run(&inputs).expect("the batch runs");
            for comparison in
                compare(&truth, &output, Tolerance::stored(&model, &inputs, options.precision()))
            {
                assert!(comparison.passes(), "{name}: {comparison:?}");
            }
            let mut staged = engine.stage(&inputs).expect("the batch fits");
            group.throughput(Throughput::Elements(steps as u64));
            group.bench_function(name, |bencher| bencher.iter(|| staged.run().expect("the batch runs")));
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = planning, packing, kernels
}
criterion_main!(benches);
