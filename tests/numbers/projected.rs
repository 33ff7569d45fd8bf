//! Batches whose first layer is already projected: they give the reference's results, and if the products are exact,
//! the bits of a run that computes them.

use crate::common::{Draw, Inputs, assert_close_in, bits, devices, options};
use wgru::dtype::Precision;
use wgru::reference::{self, Tolerance, compare};
use wgru::{
    Batch, Cell, Device, DeviceInfo, Dims, Direction, Error, Layer, Layout, Model, Output, Padding,
    ReadoutSteps, RunShape, Storage, Weights,
};

/// w_ih x of the first layer, summed in f64, in the layout of x; NaN where x is.
fn project(model: &Model, inputs: &Inputs) -> Vec<f32> {
    let first = &model.layers()[0];
    let mut xw = Vec::new();
    for x in inputs.x.chunks_exact(inputs.input) {
        for row in first.weights().iter().flat_map(|weights| weights.w_ih.chunks_exact(inputs.input)) {
            xw.push(row.iter().zip(x).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum::<f64>() as f32);
        }
    }
    xw
}

/// `inputs` with `xw` in place of x.
fn batch<'a>(inputs: &'a Inputs, xw: &'a [f32]) -> Batch<'a> {
    let Dims { batch, steps } = inputs.dims;
    let features = xw.len() / (batch * steps);
    let batch = match inputs.layouts.0 {
        Layout::BatchMajor => Batch::projected(xw, [batch, steps, features]),
        _ => Batch::projected_time_major(xw, [steps, batch, features]),
    };
    inputs.dressed(batch.expect("xw fits"))
}

/// All arrays of a batch but x, at random.
fn drawn_inputs(draw: &mut Draw, model: &Model, batch: usize, steps: usize) -> Inputs {
    let mut inputs = Inputs::draw(draw, model, batch, steps);
    if draw.chance() {
        inputs = inputs.ragged(draw);
    }
    inputs.padding = if draw.chance() { Padding::Zero } else { Padding::Last };
    inputs.laid_out(draw.layouts())
}

fn with_readout(draw: &mut Draw, model: Model) -> Model {
    let steps = match draw.size(0..=2) {
        0 => return model,
        1 => ReadoutSteps::Every,
        _ => ReadoutSteps::Last,
    };
    let outputs = draw.size(1..=9);
    draw.with_readout(model, outputs, steps)
}

/// A GPU uses xw directly, in the first layer alone.
fn assert_taken(engine: &wgru::Engine, run_shape: RunShape, context: &str) {
    if matches!(engine.device().info(), DeviceInfo::Gpu(_)) {
        let taken = |run_shape: RunShape| engine.explain(run_shape).unwrap().matches("add_bias").count();
        assert_eq!(
            [taken(run_shape), taken(RunShape { projected: false, ..run_shape })],
            [1, 0],
            "{context}"
        );
    }
}

fn assert_same(got: &Output, want: &Output, context: &str) {
    assert!(bits(&got.y) == bits(&want.y), "{context}: y");
    assert!(bits(&got.h_n) == bits(&want.h_n), "{context}: h_n");
    assert!(got.c_n.as_deref().map(bits) == want.c_n.as_deref().map(bits), "{context}: c_n");
    assert!(got.out.as_deref().map(bits) == want.out.as_deref().map(bits), "{context}: out");
}

#[test]
fn every_cell_and_stack_matches_the_reference() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in Cell::ALL {
            for storage in [Storage::F32, Storage::F16, Storage::Bf16] {
                for layers in 1..=2 {
                    let [input, hidden] = [draw.size(1..=9), draw.size(1..=40)];
                    let mut model = draw.any_model(cell, input, hidden, layers);
                    if draw.chance() {
                        model = draw.with_options(model);
                    }
                    model = with_readout(&mut draw, model);
                    let [rows, steps] = [draw.size(1..=11), draw.size(1..=7)];
                    let inputs = drawn_inputs(&mut draw, &model, rows, steps);
                    let xw = project(&model, &inputs);
                    let batch = batch(&inputs, &xw);
                    let options = options().fill_nan(true).weights(storage).activations(storage);
                    let engine = device.load_with(&model, options.clone()).unwrap();
                    let (info, run_shape, lengths) = (device.info(), batch.run_shape(), &inputs.lengths);
                    let context = format!("{info}, {model}, {run_shape:?}, {lengths:?}, seed {}", draw.seed);
                    let output = engine.run(&batch).unwrap_or_else(|error| panic!("{context}: {error}"));
                    assert_close_in(options.precision(), &model, &batch, &output, &context);
                    assert_taken(&engine, run_shape, &context);
                }
            }
        }
    }
}

/// Many rows and many columns: several workgroups of each, and rows that end within a tile.
#[test]
fn large_shapes_match_the_reference() {
    let mut draw = Draw::new();
    for device in devices() {
        for (cell, direction, [rows, steps, hidden]) in [
            (Cell::GRU, Direction::Bidirectional, [67, 9, 65]),
            (Cell::LSTM, Direction::Reverse, [1, 130, 129]),
            (Cell::Rnn, Direction::Forward, [131, 3, 1]),
        ] {
            let model = draw.model_of(cell, direction, 2, hidden, 2);
            let inputs = Inputs::draw(&mut draw, &model, rows, steps).ragged(&mut draw);
            let xw = project(&model, &inputs);
            let batch = batch(&inputs, &xw);
            let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
            let context = format!("{}, {model}, {:?}, seed {}", device.info(), inputs.dims, draw.seed);
            assert_close_in(Precision::default(), &model, &batch, &engine.run(&batch).unwrap(), &context);
        }
    }
}

/// More steps than one chunk has: each chunk takes its own part of xw, from either end.
#[test]
fn chunks_follow_each_other() {
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model_of(Cell::GRU, Direction::Bidirectional, 1, 3, 1);
        let inputs = Inputs::draw(&mut draw, &model, 2, 4200).ragged(&mut draw);
        let xw = project(&model, &inputs);
        let batch = batch(&inputs, &xw);
        let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
        if let Some(plan) = engine.plan(batch.run_shape()).unwrap() {
            assert!(plan.layers[0].chunk < 4200, "{plan}");
        }
        let context = format!("{}, {:?}, seed {}", device.info(), inputs.lengths, draw.seed);
        assert_close_in(Precision::default(), &model, &batch, &engine.run(&batch).unwrap(), &context);
    }
}

/// `model` with quarters from −1 to 1 in w_ih and the biases of the first layer. With such an x the products' sums
/// are exact, in bf16 too, and so are their sums with the biases in f32, in any reduction order.
fn in_quarters(draw: &mut Draw, model: &Model) -> Model {
    let mut layers = model.layers().to_vec();
    let first = &layers[0];
    let dress = |weights: &Weights| Weights {
        w_ih: quarters(draw, weights.w_ih.len()),
        b_ih: weights.b_ih.as_ref().map(|b| quarters(draw, b.len())),
        b_hh: weights.b_hh.as_ref().map(|b| quarters(draw, b.len())),
        ..weights.clone()
    };
    let weights = first.weights().iter().map(dress).collect();
    let (cell, direction) = (first.cell(), first.direction());
    let new = Layer::new(cell, direction, first.input(), first.hidden(), weights).unwrap();
    layers[0] = new.with_merge(first.merge()).unwrap();
    Model::new(layers).unwrap()
}

fn quarters(draw: &mut Draw, len: usize) -> Vec<f32> {
    (0..len).map(|_| draw.size(0..=8) as f32 / 4.0 - 1.0).collect()
}

/// Only the matmul differs between both runs: if it does not round, they have the same bits, on the reference too.
#[test]
fn exact_products_give_the_bits_of_a_run_that_computes_them() {
    let mut draw = Draw::new();
    for device in devices().into_iter().chain([Device::reference()]) {
        for cell in Cell::ALL {
            for storage in [Storage::F32, Storage::F16, Storage::Bf16] {
                let layers = draw.size(1..=3);
                let [input, hidden] = [draw.size(1..=9), draw.size(1..=20)];
                let model = draw.any_model(cell, input, hidden, layers);
                let model = in_quarters(&mut draw, &model);
                let model = with_readout(&mut draw, model);
                let [rows, steps] = [draw.size(1..=9), draw.size(1..=6)];
                let mut inputs = Inputs::draw(&mut draw, &model, rows, steps);
                inputs.x = quarters(&mut draw, inputs.x.len());
                let inputs = if draw.chance() { inputs.ragged(&mut draw) } else { inputs };
                let inputs = inputs.laid_out(draw.layouts());
                let xw = project(&model, &inputs);
                let batch = batch(&inputs, &xw);
                let options = options().fill_nan(true).weights(storage).activations(storage);
                let engine = device.load_with(&model, options).unwrap();
                let context =
                    format!("{}, {model}, {:?}, seed {}", device.info(), batch.run_shape(), draw.seed);
                let plain = engine.run(&inputs.batch()).unwrap();
                assert_same(&engine.run(&batch).unwrap(), &plain, &context);
            }
        }
    }
}

/// For any weights, a reference that is given the products differs by no more than their rounding to f32.
#[test]
fn the_reference_takes_products_as_it_computes_them() {
    let mut draw = Draw::new();
    for cell in Cell::ALL {
        for layers in 1..=3 {
            let [rows, steps] = [draw.size(1..=5), draw.size(1..=9)];
            let model = draw.any_model(cell, 7, 13, layers);
            let model = draw.with_options(model);
            let model = with_readout(&mut draw, model);
            let inputs = drawn_inputs(&mut draw, &model, rows, steps);
            let xw = project(&model, &inputs);
            let truth = reference::run(&model, &inputs.batch()).unwrap();
            let got = Device::reference().load(&model).unwrap().run(&batch(&inputs, &xw)).unwrap();
            for comparison in compare(&truth, &got, Tolerance::of(&model, &inputs.batch())) {
                assert!(comparison.passes(), "{model}: {comparison:?}, seed {}", draw.seed);
            }
        }
    }
}

/// One engine runs both kinds of batch of the same sizes in turn, and keeps them apart; a staged batch gives the bits
/// of a run.
#[test]
fn both_kinds_take_turns() {
    let mut draw = Draw::new();
    for device in devices().into_iter().chain([Device::reference()]) {
        // D·G·H = I: only the run shape distinguishes the two.
        let model = draw.model_of(Cell::LSTM, Direction::Bidirectional, 40, 5, 2);
        assert_eq!(model.projected_input(), model.input());
        let inputs = Inputs::draw(&mut draw, &model, 6, 5).ragged(&mut draw);
        let xw = project(&model, &inputs);
        let projected = batch(&inputs, &xw);
        let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
        engine.prepare(projected.run_shape()).unwrap();
        let plain = engine.run(&inputs.batch()).unwrap();
        let first = engine.run(&projected).unwrap();
        let context = format!("{}, seed {}", device.info(), draw.seed);
        assert_same(&engine.run(&inputs.batch()).unwrap(), &plain, &context);
        let mut staged = engine.stage(&projected).unwrap();
        let mut output = engine.output(staged.run_shape()).unwrap();
        for _ in 0..2 {
            staged.run().unwrap();
            staged.read_into(&mut output).unwrap();
            assert_same(&output, &first, &context);
        }
    }
}

/// These tests can fail: directions or gates in another order are far outside the tolerance.
#[test]
fn another_order_of_features_is_detected() {
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model_of(Cell::GRU, Direction::Bidirectional, 4, 8, 1);
        let inputs = Inputs::draw(&mut draw, &model, 3, 4);
        let xw = project(&model, &inputs);
        let engine = device.load_with(&model, options()).unwrap();
        let right = batch(&inputs, &xw);
        let truth = reference::run(&model, &right).unwrap();
        for turned in [3 * 8, 8, 1] {
            let mut other = xw.clone();
            other.chunks_exact_mut(2 * 3 * 8).for_each(|step| step.rotate_left(turned));
            let got = engine.run(&batch(&inputs, &other)).unwrap();
            let all = compare(&truth, &got, Tolerance::of(&model, &right));
            assert!(all.iter().any(|comparison| !comparison.passes()), "{turned}, seed {}", draw.seed);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_numbers() {
    let mut draw = Draw::new();
    let model = draw.model_of(Cell::LSTM, Direction::Bidirectional, 3, 5, 2);
    assert_eq!(model.projected_input(), 2 * 4 * 5);
    let xw = vec![0.5; 2 * 4 * 40];
    for device in devices().into_iter().chain([Device::reference()]) {
        let engine = device.load_with(&model, options()).unwrap();
        // The features of x itself, and those of one direction.
        for features in [3, 20] {
            let batch = Batch::projected(&xw[..2 * 4 * features], [2, 4, features]).unwrap();
            let error = engine.run(&batch).unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{error}");
            let text = error.to_string();
            for part in ["xw [B, T, D·G·H]", "[2, 4, 40]", &format!("[2, 4, {features}]")] {
                assert!(text.contains(part), "{text}");
            }
            assert!(engine.stage(&batch).is_err());
        }
        // And the other way round.
        let error = engine.run(&Batch::new(&xw, [2, 4, 40]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("x [B, T, I]") && error.contains("[2, 4, 3]"), "{error}");
    }
    let error = Batch::projected(&xw[1..], [2, 4, 40]).unwrap_err();
    assert!(matches!(error, Error::Length { .. }), "{error}");
    assert!(error.to_string().contains("xw"), "{error}");
    let error = Batch::projected_time_major(&xw, [4, 2, 0]).unwrap_err();
    assert!(error.to_string().contains("D·G·H"), "{error}");

    let engine = Device::cpu().load_with(&model, options().activations(Storage::F16)).unwrap();
    let large = vec![7e4; 2 * 4 * 40];
    let batch = Batch::projected(&large, [2, 4, 40]).unwrap();
    let error = engine.run(&batch).unwrap_err().to_string();
    assert!(error.contains("xw") && error.contains("70000"), "{error}");
    // What padding holds is not read.
    let output = engine.run(&batch.lengths(&[0, 0])).unwrap();
    assert!(output.y.iter().all(|&y| y == 0.0));
}
