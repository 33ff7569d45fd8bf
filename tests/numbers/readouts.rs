//! Activations of readouts on every device: numbers against the reference, bits that depend on nothing but the row, large and
//! missing numbers.

#[cfg(feature = "gpu")]
use wgru::plan::Strategy;
use wgru::{
    Batch, Cell, CpuOptions, Device, Model, Options, Readout, ReadoutActivation, ReadoutSteps, reference,
};

#[cfg(feature = "gpu")]
use crate::common::adapters;
use crate::common::{Draw, Inputs, assert_close, bits, devices, options};

/// `model` with a readout of `activation`, with weights of up to `scale`.
fn with(draw: &mut Draw, model: &Model, outputs: usize, scale: f32, activation: ReadoutActivation) -> Model {
    let input = model.output();
    let steps = if draw.chance() { ReadoutSteps::Every } else { ReadoutSteps::Last };
    let (w, b) = (draw.values(outputs * input, scale), draw.values(outputs, scale));
    let readout = Readout::new(input, outputs, steps, w, Some(b)).unwrap().with_activation(activation);
    model.clone().with_readout(readout).unwrap()
}

/// Widths beside powers of two, the vectors of the CPU path and a workgroup of 64 threads; for functions of one number, two.
#[test]
fn every_activation_matches_the_reference() {
    let mut draw = Draw::new();
    for device in devices() {
        for activation in ReadoutActivation::ALL {
            let is_of_row = matches!(activation, ReadoutActivation::Softmax | ReadoutActivation::LogSoftmax);
            for outputs in if is_of_row { &[1, 5, 17, 40, 65, 300][..] } else { &[5, 65] }.iter().copied() {
                let hidden = draw.size(1..=40);
                let model = draw.any_model(Cell::GRU, 3, hidden, 1);
                let model = with(&mut draw, &model, outputs, 3.0, activation);
                let (batch, steps) = (draw.size(1..=9), draw.size(1..=9));
                let inputs = Inputs::draw(&mut draw, &model, batch, steps);
                let inputs = if draw.chance() { inputs.ragged(&mut draw) } else { inputs };
                let output = device.load_with(&model, options().fill_nan(true)).unwrap().run(&inputs.batch());
                let context = format!("{}, {model}, {:?}, seed {}", device.info(), inputs.dims, draw.seed);
                let output = output.unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_close(&model, &inputs.batch(), &output, &context);
                if activation == ReadoutActivation::Softmax {
                    for row in output.out.unwrap().chunks_exact(outputs) {
                        let sum: f32 = row.iter().sum();
                        assert!((sum - 1.0).abs() < 1e-5, "{context}: a row sums to {sum}");
                    }
                }
            }
        }
    }
}

/// The outputs of a row alone are those of the row in a batch, whatever computes the steps before them.
#[test]
fn bits_of_an_activation_depend_on_the_row_alone() {
    let mut draw = Draw::new();
    for device in devices() {
        for activation in ReadoutActivation::ALL {
            let (hidden, outputs) = (draw.size(1..=40), draw.size(2..=90));
            let model = draw.model(Cell::LSTM, 3, hidden, 1);
            let model = with(&mut draw, &model, outputs, 2.0, activation);
            let (batch, steps) = (7, 5);
            let inputs =
                Inputs { layouts: Default::default(), ..Inputs::draw(&mut draw, &model, batch, steps) };
            let whole = Batch::new(&inputs.x, [batch, steps, 3]).unwrap();
            let run = |options: Options, batch: &Batch<'_>| {
                bits(device.load_with(&model, options).unwrap().run(batch).unwrap().out.as_ref().unwrap())
            };
            let all = run(options(), &whole);
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            for (x, expected) in inputs.x.chunks_exact(steps * 3).zip(all.chunks_exact(all.len() / batch)) {
                let one = Batch::new(x, [1, steps, 3]).unwrap();
                assert_eq!(run(options(), &one), expected, "{context}");
            }
        }
    }
}

/// The same bits whichever kernels compute the steps before it, on each adapter.
#[cfg(feature = "gpu")]
#[test]
fn bits_of_an_activation_do_not_depend_on_the_strategy() {
    let mut draw = Draw::new();
    for device in adapters() {
        for activation in [ReadoutActivation::Linear, ReadoutActivation::Tanh, ReadoutActivation::Softmax] {
            let (hidden, outputs) = (draw.size(1..=40), draw.size(2..=90));
            let model = draw.any_model(Cell::GRU, 3, hidden, 1);
            let model = with(&mut draw, &model, outputs, 2.0, activation);
            let inputs = Inputs::draw(&mut draw, &model, 6, 5);
            let mut all = [Strategy::Step, Strategy::Persistent, Strategy::Streamed].map(|strategy| {
                let engine = device.load_with(&model, Options::default().strategy(strategy)).unwrap();
                let plan = engine.plan(inputs.batch().run_shape()).unwrap().unwrap();
                assert_eq!(plan.activation.is_some(), activation != ReadoutActivation::Linear, "{plan}");
                bits(engine.run(&inputs.batch()).unwrap().out.as_ref().unwrap())
            });
            all.sort_unstable();
            assert_eq!(all[0], all[2], "{}, {model}, seed {}", device.info(), draw.seed);
        }
    }
}

/// The same bits with any number of threads of the CPU path.
#[test]
fn bits_of_an_activation_do_not_depend_on_threads() {
    let mut draw = Draw::new();
    for activation in ReadoutActivation::ALL {
        let model = draw.any_model(Cell::GRU, 4, 20, 2);
        let model = with(&mut draw, &model, 37, 2.0, activation);
        let inputs = Inputs::draw(&mut draw, &model, 13, 11).ragged(&mut draw);
        let run = |threads| {
            let device = Device::cpu_with(CpuOptions::default().threads(threads)).unwrap();
            bits(device.load(&model).unwrap().run(&inputs.batch()).unwrap().out.as_ref().unwrap())
        };
        let one = run(1);
        for threads in [2, 3, 5] {
            assert_eq!(run(threads), one, "{model}, {threads} threads, seed {}", draw.seed);
        }
    }
}

/// Outputs of up to 1e30 before the activation: its limits, and no NaN. A row with a NaN is NaN, and no other.
#[test]
fn large_outputs_have_limits_and_nan_stays_in_its_row() {
    let mut draw = Draw::new();
    for device in [devices(), vec![Device::reference()]].concat() {
        for activation in ReadoutActivation::ALL {
            let model = draw.model(Cell::GRU, 3, 12, 1);
            let model = with(&mut draw, &model, 9, 1e30, activation);
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            let (batch, steps) = (4, 3);
            let mut x = draw.values(batch * steps * 3, 1.0);
            let engine = device.load(&model).unwrap();
            let whole = Batch::new(&x, [batch, steps, 3]).unwrap();
            let out = engine.run(&whole).unwrap().out.unwrap();
            let exact = reference::run(&model, &whole).unwrap().out.unwrap();
            for (row, exact) in out.chunks_exact(9).zip(exact.chunks_exact(9)) {
                let is_bounded = !matches!(
                    activation,
                    ReadoutActivation::Linear | ReadoutActivation::Relu | ReadoutActivation::LogSoftmax
                );
                for (got, exact) in row.iter().zip(exact) {
                    let near = 1e-3 * if is_bounded { 1.0 } else { 1e30 };
                    assert!((f64::from(*got) - exact).abs() <= near, "{context}: {got:e}, exactly {exact:e}");
                }
            }
            x[0] = f32::NAN;
            let whole = Batch::new(&x, [batch, steps, 3]).unwrap();
            let broken = engine.run(&whole).unwrap().out.unwrap();
            let own = broken.len() / batch;
            assert!(broken[..own].iter().all(|v| v.is_nan()), "{context}: {broken:?}");
            assert_eq!(bits(&broken[own..]), bits(&out[own..]), "{context}");
        }
    }
}
