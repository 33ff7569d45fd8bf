//! NaN and infinity on every backend: the results are those of the reference, in their own row, from their own step
//! on. `shaders/shared/not_finite.wgsl` explains what kernels do for it, and what is left to a driver.

#[cfg(feature = "gpu")]
use crate::common::assert_close_in;
use crate::common::{Draw, Inputs, adapters, assert_close, bits};
#[cfg(feature = "gpu")]
use wgru::dtype::Precision;
#[cfg(feature = "gpu")]
use wgru::engine::Exchange;
use wgru::model::{Activation, Activations, Function, Merge};
#[cfg(feature = "gpu")]
use wgru::plan::{self, Fault, Only, Strategy};
use wgru::{
    Batch, Cell, CpuOptions, Device, Direction, InstructionSet, Layer, Model, Options, Output, State,
    Storage, Weights, reference,
};

/// Every adapter, and the CPU path in every instruction set; or the device that `WGRU_DEVICE` names.
fn backends() -> Vec<Device> {
    if std::env::var("WGRU_DEVICE").is_ok() {
        return crate::common::devices();
    }
    let cpu = |set| Device::cpu_with(CpuOptions::default().instructions(set)).expect("it is available");
    adapters().into_iter().chain(InstructionSet::available().map(cpu)).collect()
}

/// With parameters for which no function has a jump, so that rounding decides nothing.
fn activation(index: usize) -> Activation {
    let function = Function::ALL[index % Function::ALL.len()];
    let (alpha, beta) = function.parameters();
    let alpha = if alpha && function != Function::ThresholdedRelu { 0.5 } else { 0.0 };
    Activation::new(function, alpha, if beta { 0.25 } else { 0.0 }).expect("finite")
}

/// `model` with the same activations and clips in every layer and direction.
fn with(model: &Model, activations: Activations, clip: Option<f32>) -> Model {
    let layers = model.layers().iter().map(|layer| {
        let sets = vec![activations; layer.direction().count()];
        let layer = layer.clone().with_activations(sets).expect("one set per direction");
        clip.map_or(Ok(layer.clone()), |clip| layer.with_clip(clip)).expect("positive")
    });
    Model::new(layers.collect()).expect("layers fit")
}

const ROWS: usize = 5;
const STEPS: usize = 24;
const INPUT: usize = 2;

/// A layer whose state grows a few hundred times in every step, if its functions allow it.
fn growing(draw: &mut Draw, cell: Cell, hidden: usize, positive: bool) -> Model {
    let rows = cell.gates() * hidden;
    let mut weights = Weights {
        w_ih: draw.values(rows * INPUT, 1.0),
        w_hh: draw.values(rows * hidden, 300.0),
        ..Weights::default()
    };
    if positive {
        weights.w_hh.iter_mut().for_each(|w| *w = w.abs());
    }
    let layer = Layer::new(cell, Direction::Forward, INPUT, hidden, vec![weights]);
    Model::new(vec![layer.expect("sizes fit")]).expect("one layer")
}

/// Whether a number equals the reference's for the same state. `near`: whether the state is small enough to check its
/// roundings.
fn agrees(truth: f64, got: f32, near: bool, scale: f64) -> bool {
    if !truth.is_finite() || truth.abs() > f64::from(f32::MAX) {
        return !got.is_finite();
    }
    got.is_finite() && (!near || (truth - f64::from(got)).abs() <= 1e-2 * scale)
}

/// h and c of a row, of a batch of ROWS.
fn row_of<T: Copy>(h: &[T], c: Option<&[T]>, row: usize) -> Vec<T> {
    let of = |values: &[T]| values[row * (values.len() / ROWS)..][..values.len() / ROWS].to_vec();
    [of(h), c.map(of).unwrap_or_default()].concat()
}

/// Steps of rows that began with an infinity but no NaN, with a NaN, with neither.
type Seen = [usize; 3];

/// Runs step by step and compares each step with the reference's from the same state. States between 10⁸ and the end
/// of f32's range are left out, because there f32 may overflow within a step, depending on the reduction order.
fn walk(device: &Device, model: &Model, x: &[f32], context: &str) -> Seen {
    let engine = device.load_with(model, Options::default()).unwrap();
    let mut session = engine.session(ROWS).unwrap();
    let mut before = session.state().unwrap();
    let mut seen = [0; 3];
    let mut y = Vec::new();
    for (step, x) in x.chunks_exact(ROWS * INPUT).enumerate() {
        session.step(x).unwrap();
        let after = session.state().unwrap();
        let mut batch = Batch::new(x, [ROWS, 1, INPUT]).unwrap().h0(&before.h);
        if let Some(c) = &before.c {
            batch = batch.c0(c);
        }
        let truth = reference::run(model, &batch).unwrap();
        for row in 0..ROWS {
            let own = row_of(&before.h, before.c.as_deref(), row);
            let finite = own.iter().filter(|v| v.is_finite());
            let largest = finite.fold(0.0, |all: f32, v| all.max(v.abs()));
            if largest > 1e8 {
                continue;
            }
            let kind = match own.iter().any(|v| v.is_nan()) {
                true => 1,
                false => {
                    if own.iter().any(|v| v.is_infinite()) {
                        0
                    } else {
                        2
                    }
                }
            };
            seen[kind] += 1;
            let truth = row_of(&truth.h_n, truth.c_n.as_deref(), row);
            let got = row_of(&after.h, after.c.as_deref(), row);
            let scale = truth.iter().filter(|v| v.is_finite()).fold(1.0, |all: f64, v| all.max(v.abs()));
            let scale = scale.max(f64::from(largest));
            let all = truth.iter().zip(&got).all(|(&truth, &got)| agrees(truth, got, largest < 1e3, scale));
            assert!(all, "{context}, step {step}, row {row}: {own:?} becomes {got:?}, expected {truth:?}");
        }
        y.extend_from_slice(&after.h);
        before = after;
    }
    // A run of the whole sequence gives the same.
    let whole = engine.run(&Batch::time_major(x, [STEPS, ROWS, INPUT]).unwrap()).unwrap();
    same(&whole.y, &y, context);
    seen
}

/// The same bits, except for those of a NaN.
fn same(got: &[f32], expected: &[f32], context: &str) {
    assert_eq!(got.len(), expected.len(), "{context}");
    for (index, (a, b)) in got.iter().zip(expected).enumerate() {
        let same = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        assert!(same, "{context}: element {index} is {a}, expected {b}");
    }
}

#[test]
fn a_state_that_leaves_the_range_of_f32_never_comes_back_as_a_number() {
    let mut draw = Draw::new();
    let backends = backends();
    let mut seen = vec![[0; 3]; backends.len()];
    for (place, cell) in Cell::ALL.into_iter().enumerate() {
        // Every function for an RNN; for the other cells, every function in some position of some cell.
        let turns: Vec<usize> =
            if cell == Cell::Rnn { (0..11).collect() } else { vec![0, place + 1, place + 5] };
        for turn in turns {
            let activations = Activations {
                gate: activation(turn),
                candidate: activation(turn + 2),
                output: activation(turn + 3),
            };
            let hidden = draw.size(3..=7);
            let clip = (turn % 4 == 3).then_some(1e4);
            // A relu RNN of weights above 0 goes to infinity and stays there, without a NaN.
            let positive = cell == Cell::Rnn && activations.gate == Activation::RELU;
            let model = with(&growing(&mut draw, cell, hidden, positive), activations, clip);
            let x = draw.values(STEPS * ROWS * INPUT, 1.0);
            for (device, seen) in backends.iter().zip(&mut seen) {
                let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
                let own = walk(device, &model, &x, &context);
                seen.iter_mut().zip(own).for_each(|(all, own)| *all += own);
            }
        }
    }
    for (device, seen) in backends.iter().zip(seen) {
        assert!(seen.iter().all(|&count| count > 20), "{}: {seen:?}, seed {}", device.info(), draw.seed);
    }
}

/// A NaN or an infinity at a random place of x, once of h0: no other row has other bits, nor do the steps before.
#[test]
fn what_is_not_finite_stays_in_its_row_and_behind_its_step() {
    let mut draw = Draw::new();
    let backends = backends();
    // Bounded functions, so that no other number leaves the range.
    let bounded = [0, 1, 6, 7, 9];
    for (place, cell) in Cell::ALL.into_iter().enumerate() {
        let turns: Vec<usize> =
            if cell == Cell::Rnn { (0..11).collect() } else { vec![place, place + 4, place + 7] };
        for turn in turns {
            let gate = if cell == Cell::Rnn { turn } else { bounded[turn % bounded.len()] };
            let activations = Activations {
                gate: activation(gate),
                candidate: activation(turn),
                output: activation(turn + 5),
            };
            let (hidden, layers) = (draw.size(1..=9), draw.size(1..=2));
            let model = draw.any_model(cell, 3, hidden, layers);
            let model = if draw.chance() { draw.with_options(model) } else { model };
            let model = with(&model, activations, None);
            let (rows, steps) = (draw.size(2..=9), 6);
            let clean = Inputs::draw(&mut draw, &model, rows, steps);
            let clean = if draw.chance() { clean.ragged(&mut draw) } else { clean };
            let lengths = clean.lengths.clone().unwrap_or_else(|| vec![steps as u32; rows]);
            let row = (0..rows).max_by_key(|&row| lengths[row]).expect("there are rows");
            if lengths[row] == 0 {
                continue;
            }
            let at = draw.size(0..=lengths[row] as usize - 1);
            let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][turn % 3];
            let mut dirty = clean.clone();
            dirty.x[(row * steps + at) * 3 + draw.size(0..=2)] = bad;
            for device in &backends {
                let what = format!("{bad} in row {row} of {rows}, step {at}");
                let context = format!("{}, {model}, {what}, seed {}", device.info(), draw.seed);
                let engine = device.load_with(&model, Options::default().fill_nan(true)).unwrap();
                let [expected, got] = [&clean, &dirty].map(|inputs| engine.run(&inputs.batch()).unwrap());
                assert_close(&model, &dirty.batch(), &got, &context);
                untouched(&model, [&expected, &got], [rows, steps], [row, at], &context);
            }
        }
    }
}

/// Compares everything that the number in `row` at step `at` does not reach with a run without it.
fn untouched(
    model: &Model,
    outputs: [&Output; 2],
    [rows, steps]: [usize; 2],
    [row, at]: [usize; 2],
    context: &str,
) {
    let [expected, got] = outputs;
    let (width, state) = (model.output(), model.state_size());
    for other in (0..rows).filter(|&other| other != row) {
        let own = other * steps * width..(other + 1) * steps * width;
        assert_eq!(bits(&got.y[own.clone()]), bits(&expected.y[own]), "{context}: row {other}");
        for index in 0..model.num_states() {
            let own = (index * rows + other) * state..(index * rows + other + 1) * state;
            assert_eq!(
                bits(&got.h_n[own.clone()]),
                bits(&expected.h_n[own]),
                "{context}: h_n of row {other}"
            );
        }
    }
    // If directions are merged, the reverse one carries it to every step before.
    let [layer] = model.layers() else { return };
    if layer.merge() != Merge::Concat {
        return;
    }
    for step in 0..steps {
        for (index, own) in (0..width).step_by(state).enumerate() {
            let is_before = if layer.direction().is_reverse(index) { step > at } else { step < at };
            let own = (row * steps + step) * width + own..(row * steps + step) * width + own + state;
            let [got, expected] = [got, expected].map(|output| bits(&output.y[own.clone()]));
            assert!(!is_before || got == expected, "{context}: step {step}");
        }
    }
}

/// Every kernel that a planner can choose, in f32 and with two numbers packed in a word.
#[cfg(feature = "gpu")]
#[test]
fn every_strategy_treats_them_alike() {
    let mut draw = Draw::new();
    // With one step per dispatch workgroups have nothing to wait for, on any device.
    let exchange =
        plan::Exchange { workgroups: 1 << 16, workgroup_bytes: 1 << 16, steps: 1, fault: Fault::None };
    for device in adapters() {
        let mut strategies = Vec::new();
        for (index, cell) in Cell::ALL.into_iter().enumerate() {
            let storage = [Storage::F32, Storage::F16, Storage::Bf16][index % 3];
            // Sizes for one workgroup, and sizes that several share.
            let hidden = [draw.size(2..=40), draw.size(65..=70)][index % 2];
            let model = draw.any_model(cell, 3, hidden, 1);
            let relu = Activations {
                candidate: Activation::RELU,
                output: Activation::RELU,
                ..Activations::of(cell)
            };
            let relu = if cell == Cell::Rnn { Activations { gate: Activation::RELU, ..relu } } else { relu };
            let model = with(&model, if draw.chance() { relu } else { Activations::of(cell) }, None);
            let (rows, steps) = (draw.size(1..=9), 5);
            let mut inputs = Inputs::draw(&mut draw, &model, rows, steps);
            for bad in [f32::NAN, f32::INFINITY] {
                let at = draw.size(0..=inputs.x.len() - 1);
                inputs.x[at] = bad;
            }
            let mut options = Options::default().fill_nan(true).exchange(Exchange::Forced(exchange));
            options = options.weights(storage).activations(storage);
            let run_shape = inputs.batch().run_shape();
            let all = device.load_with(&model, options.clone()).unwrap().alternatives(run_shape).unwrap();
            let mut first: Option<Output> = None;
            for candidate in all.iter().flatten().filter(|c| c.outcome.is_ok() && c.variant == 0) {
                let (strategy, rows) = (Some(candidate.strategy), Some(candidate.rows));
                options = options.only(Only { strategy, rows, variant: Some(0), pipelining: None });
                let engine = device.load_with(&model, options.clone()).unwrap();
                let plan = engine.explain(run_shape).unwrap();
                let context = format!("{}, {model}, {storage}: {plan}, seed {}", device.info(), draw.seed);
                let got = engine.run(&inputs.batch()).unwrap();
                let precision = Precision { weights: storage, activations: storage };
                assert_close_in(precision, &model, &inputs.batch(), &got, &context);
                assert!(got.y.iter().any(|v| v.is_nan()), "{context}");
                strategies.push(candidate.strategy);
                match &first {
                    None => first = Some(got),
                    Some(first) => same(&got.y, &first.y, &context),
                }
            }
        }
        for strategy in [Strategy::Step, Strategy::Persistent, Strategy::Streamed, Strategy::MultiWorkgroup] {
            assert!(strategies.contains(&strategy), "{}: no {strategy}", device.info());
        }
    }
}

/// A relu RNN that grows, once with positive weights alone, so that infinities stay, once with any.
#[test]
fn sixteen_bits_hold_nan_infinity_and_the_largest_number() {
    let mut draw = Draw::new();
    for sign in [1.0, -1.0f32] {
        for hidden in [4, 5] {
            let mut positive =
                |len, scale: f32| -> Vec<f32> { draw.values(len, scale).into_iter().map(f32::abs).collect() };
            let mut weights = Weights {
                w_ih: positive(hidden * INPUT, 1.0),
                w_hh: positive(hidden * hidden, 300.0),
                ..Weights::default()
            };
            // With one column, so that infinities of both signs meet in every sum.
            weights.w_hh.iter_mut().skip(1).step_by(hidden).for_each(|w| *w *= sign * 0.05);
            let x: Vec<f32> =
                positive(ROWS * STEPS * INPUT, 1.0).iter().map(|x| (x * 8.0).ceil() / 8.0).collect();
            let layer = Layer::new(Cell::Rnn, Direction::Forward, INPUT, hidden, vec![weights]).unwrap();
            let relu = Activations { gate: Activation::RELU, ..Activations::of(Cell::Rnn) };
            let model = with(&Model::new(vec![layer]).unwrap(), relu, None);
            let batch = Batch::new(&x, [ROWS, STEPS, INPUT]).unwrap();
            for device in backends() {
                let run = |options| device.load_with(&model, options).unwrap().run(&batch).unwrap();
                let whole = run(Options::default());
                for storage in [Storage::F16, Storage::Bf16] {
                    let got = run(Options::default().activations(storage));
                    let context = format!("{}, {storage}, seed {}", device.info(), draw.seed);
                    same(&got.h_n, &whole.h_n, &context);
                    let count = |of: fn(f32) -> bool| got.y.iter().filter(|v| of(**v)).count();
                    let not_finite = if sign > 0.0 { count(f32::is_infinite) } else { count(f32::is_nan) };
                    assert!(not_finite > 20, "{context}: {not_finite}");
                    assert!(storage == Storage::Bf16 || count(|v| v == 65_504.0) > 3, "{context}");
                    for (index, (&got, &h)) in got.y.iter().zip(&whole.y).enumerate() {
                        let is_right = match (h.is_nan(), h.is_infinite(), storage) {
                            (true, ..) => got.is_nan(),
                            (_, true, _) => got == h,
                            (_, _, Storage::F16) if h.abs() > 65_504.0 => got.abs() == 65_504.0,
                            // Some drivers truncate.
                            _ => (got - h).abs() <= 2.0 * storage.unit_roundoff() as f32 * h.abs().max(1e-4),
                        };
                        assert!(is_right, "{context}: element {index} is {got}, the state {h}");
                    }
                }
            }
        }
    }
}

/// The state in a pool's slots or a session continues from its last value.
#[test]
fn a_session_continues_from_a_state_that_is_not_finite() {
    let mut draw = Draw::new();
    for device in backends() {
        let model = draw.model(Cell::LSTM, INPUT, 5, 1);
        let engine = device.load_with(&model, Options::default()).unwrap();
        let mut session = engine.session(3).unwrap();
        let mut state = State { h: draw.values(15, 1.0), c: Some(draw.values(15, 1.0)) };
        state.h[5 + 2] = f32::NAN;
        session.set_state(&state).unwrap();
        let y = session.step(&draw.values(3 * INPUT, 1.0)).unwrap().y;
        assert!(y[5..10].iter().all(|v| v.is_nan()), "{}: {y:?}", device.info());
        assert!(y[..5].iter().chain(&y[10..]).all(|v| v.is_finite()), "{}: {y:?}", device.info());
    }
}
