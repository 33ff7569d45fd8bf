//! Options of a layer and a batch beyond the plain case, on every device: options of the cell, layouts, the rules for
//! padding, storage types.

use crate::common::{Draw, Inputs, assert_close, assert_close_in, bits, devices, options};
use wgru::dtype::Precision;
use wgru::model::{Activation, Activations};
#[cfg(feature = "gpu")]
use wgru::plan::Strategy;
use wgru::{
    Batch, Cell, Device, DeviceInfo, Dims, Direction, Error, Layer, Layout, Merge, Model, Options, Padding,
    ReadoutSteps, Storage, Weights,
};

fn filled() -> Options {
    options().fill_nan(true)
}

/// Peepholes, projections, coupled gates, clips and activations, in stacks and in both directions.
#[test]
fn every_option_matches_the_reference() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in Cell::ALL {
            for [batch, steps] in [[1, 5], [9, 4]] {
                let (input, hidden, layers) = (draw.size(1..=9), draw.size(1..=80), draw.size(1..=2));
                let model = draw.any_model(cell, input, hidden, layers);
                let model = draw.with_options(model);
                let inputs = Inputs::draw(&mut draw, &model, batch, steps);
                let inputs = if draw.chance() { inputs.ragged(&mut draw) } else { inputs };
                let output = device.load_with(&model, filled()).unwrap().run(&inputs.batch()).unwrap();
                let context = format!("{}, {model}, B {batch}, seed {}", device.info(), draw.seed);
                assert_close(&model, &inputs.batch(), &output, &context);
            }
        }
    }
}

/// A projection on one of two layers alone, as wide as H.
#[test]
fn one_layer_may_project_where_the_other_does_not() {
    let mut draw = Draw::new();
    for device in devices() {
        for which in [0, 1] {
            let layer = |draw: &mut Draw, index: usize| {
                let w_hr = (index == which).then(|| draw.values(16, 0.4));
                let (w_ih, w_hh) = (draw.values(64, 0.4), draw.values(64, 0.4));
                let weights = Weights { w_ih, w_hh, w_hr, ..Weights::default() };
                Layer::new(Cell::LSTM, Direction::Forward, 4, 4, vec![weights]).unwrap()
            };
            let model = Model::new(vec![layer(&mut draw, 0), layer(&mut draw, 1)]).unwrap();
            assert!(model.to_string().contains("projection to 4"), "{model}");
            let inputs = Inputs::draw(&mut draw, &model, 3, 4);
            let output = device.load_with(&model, filled()).unwrap().run(&inputs.batch()).unwrap();
            assert_close(&model, &inputs.batch(), &output, &format!("{}, {which}", device.info()));
        }
    }
}

/// A projection wider than a block of the product and than a workgroup, and sessions of one.
#[test]
fn sessions_of_projected_layers_give_the_bits_of_a_sequence() {
    let mut draw = Draw::new();
    for device in devices() {
        for (hidden, state) in [(70, 5), (7, 130), (1, 1)] {
            let layer = |draw: &mut Draw, input: usize| {
                let weights = Weights {
                    w_ih: draw.values(4 * hidden * input, 0.5),
                    w_hh: draw.values(4 * hidden * state, 0.3),
                    w_hr: Some(draw.values(state * hidden, 0.3)),
                    peepholes: Some(draw.values(3 * hidden, 0.5)),
                    ..Weights::default()
                };
                Layer::new(Cell::LSTM, Direction::Forward, input, hidden, vec![weights]).unwrap()
            };
            let layers = vec![layer(&mut draw, 3), layer(&mut draw, state)];
            let model = draw.with_readout(Model::new(layers).unwrap(), 4, ReadoutSteps::Every);
            let (streams, steps) = (5, 4);
            let inputs = Inputs::draw(&mut draw, &model, streams, steps);
            let inputs = Inputs { h0: None, c0: None, ..inputs };
            let engine = device.load_with(&model, filled()).unwrap();
            let all = engine.run(&inputs.batch()).unwrap();
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            assert_close(&model, &inputs.batch(), &all, &context);
            let mut session = engine.session(streams).unwrap();
            for t in 0..steps {
                let x: Vec<f32> =
                    (0..streams).flat_map(|b| inputs.x[(b * steps + t) * 3..][..3].to_vec()).collect();
                let step = session.step(&x).unwrap();
                for b in 0..streams {
                    let y = &all.y[(b * steps + t) * state..][..state];
                    assert_eq!(bits(&step.y[b * state..][..state]), bits(y), "{context}: step {t}, row {b}");
                }
            }
            let state = session.state().unwrap();
            assert_eq!((bits(&state.h), state.c), (bits(&all.h_n), all.c_n), "{context}");
        }
    }
}

/// The same numbers, bit for bit, in every layout.
#[test]
fn layouts_move_numbers_and_change_none() {
    let mut draw = Draw::new();
    for device in devices() {
        for (cell, [below, last]) in [
            (
                Cell::GRU,
                [(Direction::Bidirectional, draw.merge()), (Direction::Bidirectional, Merge::Concat)],
            ),
            (Cell::GRU, [(Direction::Bidirectional, draw.merge()), (Direction::Bidirectional, Merge::Mul)]),
            (Cell::LSTM, [(Direction::Reverse, Merge::Concat), (Direction::Forward, Merge::Concat)]),
            (Cell::ORIGINAL_GRU, [(Direction::Reverse, Merge::Concat); 2]),
        ] {
            let model = draw.stack(cell, &[below, last], 3, 5);
            let dirs = model.output() / 5;
            let model = if dirs == 1 { draw.with_readout(model, 2, ReadoutSteps::Every) } else { model };
            let (batch, steps) = (6, 7);
            let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
            let engine = device.load_with(&model, filled()).unwrap();
            let plain = engine.run(&inputs.batch()).unwrap();
            let mut inputs = inputs;
            for x in [Layout::BatchMajor, Layout::TimeMajor] {
                for y in [Layout::BatchMajor, Layout::TimeMajor, Layout::DirectionMajor] {
                    inputs = inputs.laid_out((x, y));
                    let moved = engine.run(&inputs.batch()).unwrap();
                    let context = format!("{}, {model}, {x:?} to {y:?}", device.info());
                    assert_close(&model, &inputs.batch(), &moved, &context);
                    let at = |b: usize, t: usize, d: usize| match y {
                        Layout::BatchMajor => (b * steps + t) * dirs + d,
                        Layout::TimeMajor => (t * batch + b) * dirs + d,
                        Layout::DirectionMajor => (t * dirs + d) * batch + b,
                    };
                    for (b, t, d) in (0..batch)
                        .flat_map(|b| (0..steps).flat_map(move |t| (0..dirs).map(move |d| (b, t, d))))
                    {
                        let own = &plain.y[((b * steps + t) * dirs + d) * 5..][..5];
                        assert_eq!(bits(own), bits(&moved.y[at(b, t, d) * 5..][..5]), "{context}");
                    }
                    assert_eq!((bits(&plain.h_n), &plain.c_n), (bits(&moved.h_n), &moved.c_n), "{context}");
                }
            }
        }
    }
}

/// Combinations that a layout cannot express are refused.
#[test]
fn a_readout_across_separated_directions_is_refused() {
    let mut draw = Draw::new();
    let model = draw.model_of(Cell::GRU, Direction::Bidirectional, 2, 3, 1);
    let model = draw.with_readout(model, 2, ReadoutSteps::Last);
    let x = [0.5; 8];
    let batch = Batch::time_major(&x, [2, 2, 2]).unwrap().output_layout(Layout::DirectionMajor);
    for device in devices().into_iter().chain([Device::reference()]) {
        let error = device.load_with(&model, options()).unwrap().run(&batch).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("direction-major"), "{error}");
    }
}

/// Keras' rule: a forward direction repeats its last output, a reverse one has 0 where padding comes first.
#[test]
fn padding_repeats_the_last_output_if_set() {
    let mut draw = Draw::new();
    for device in devices().into_iter().chain([Device::reference()]) {
        for cell in [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM, Cell::Rnn] {
            let model = draw.model_of(cell, Direction::Bidirectional, 2, 3, 1);
            // A readout on every step reads the padding.
            let model = draw.with_readout(model, 2, ReadoutSteps::Every);
            let (batch, steps) = (6, 5);
            let mut inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
            inputs.lengths.as_mut().unwrap()[1] = 0;
            inputs.x[steps * 2..2 * steps * 2].fill(f32::NAN);
            inputs.padding = Padding::Last;
            let output = device.load_with(&model, filled()).unwrap().run(&inputs.batch()).unwrap();
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            assert_close(&model, &inputs.batch(), &output, &context);
            for (b, &length) in inputs.lengths.as_ref().unwrap().iter().enumerate() {
                let row = |t: usize| &output.y[(b * steps + t) * 6..][..6];
                for t in length as usize..steps {
                    let last = if length > 0 { &row(length as usize - 1)[..3] } else { &[0.0; 3] };
                    assert_eq!((&row(t)[..3], &row(t)[3..]), (last, &[0.0; 3][..]), "{context}: {b}, {t}");
                }
            }
        }
    }
}

/// If a layer merges its directions, y is computed from the numbers of the concatenated layer, with any padding, and
/// rounded once more if it is stored in 16 bits. The final states are those of the concatenated layer.
#[test]
fn merged_directions_have_the_bits_of_concatenated_ones() {
    let mut draw = Draw::new();
    for device in devices() {
        for (index, storage) in [Storage::F32, Storage::F16, Storage::Bf16].into_iter().enumerate() {
            let cell = [Cell::GRU, Cell::LSTM, Cell::Rnn][index];
            // The last case takes several rows of workgroups.
            let (hidden, batch) = [(draw.size(1..=9), 6), (5, 7), (131, 60)][index];
            let apart = draw.model_of(cell, Direction::Bidirectional, 3, hidden, 1);
            let mut inputs = Inputs::draw(&mut draw, &apart, batch, 5).ragged(&mut draw);
            inputs.lengths.as_mut().unwrap()[0] = 0;
            inputs.padding = [Padding::Last, Padding::Zero, Padding::Last][index];
            let inputs = inputs.laid_out(draw.layouts());
            let run = |model: &Model| {
                let engine = device.load_with(model, filled().activations(storage)).unwrap();
                let plan = engine.explain(inputs.batch().run_shape()).unwrap();
                (engine.run(&inputs.batch()).unwrap(), plan)
            };
            let (both, plan) = run(&apart);
            assert!(!plan.contains("merge"), "{plan}");
            for merge in [Merge::Sum, Merge::Mul, Merge::Average] {
                let model = Model::new(vec![apart.layers()[0].clone().with_merge(merge).unwrap()]).unwrap();
                let (one, plan) = run(&model);
                let context = format!("{}, {model}, {storage}: {plan}, seed {}", device.info(), draw.seed);
                assert!(context.contains(&format!("bidirectional ({merge})")), "{context}");
                if matches!(device.info(), DeviceInfo::Gpu(_)) {
                    assert!(plan.contains(&format!("then merge ({merge}, ")), "{context}");
                }
                let expected = both.y.chunks_exact(2 * hidden).flat_map(|y| {
                    let (forward, reverse) = y.split_at(hidden);
                    let of = move |(f, r): (&f32, &f32)| match merge {
                        Merge::Mul => f * r,
                        Merge::Average => (f + r) / 2.0,
                        _ => f + r,
                    };
                    forward.iter().zip(reverse).map(of)
                });
                let expected: Vec<f32> = expected.map(|value| storage.round(value)).collect();
                assert_eq!(bits(&one.y), bits(&expected), "{context}");
                assert_eq!((bits(&one.h_n), &one.c_n), (bits(&both.h_n), &both.c_n), "{context}");
            }
        }
    }
}

/// Sums of the layers beyond the range of f16: the merged result is the largest number of f16, as y is, and never an
/// infinity.
#[test]
fn merged_directions_stay_within_f16() {
    let relu = Activations { gate: Activation::RELU, ..Activations::of(Cell::Rnn) };
    for device in devices() {
        let weights = Weights { w_ih: vec![40_960.0; 3], w_hh: vec![0.0; 9], ..Weights::default() };
        let layer = Layer::new(Cell::Rnn, Direction::Bidirectional, 1, 3, vec![weights; 2]).unwrap();
        let layer = layer.with_activations(vec![relu; 2]).unwrap().with_merge(Merge::Sum).unwrap();
        let model = Model::new(vec![layer]).unwrap();
        let engine = device.load_with(&model, filled().activations(Storage::F16)).unwrap();
        let output = engine.run(&Batch::new(&[1.0, 0.5], [1, 2, 1]).unwrap()).unwrap();
        let context = device.info().to_string();
        assert_eq!(output.y, [65_504.0, 65_504.0, 65_504.0, 40_960.0, 40_960.0, 40_960.0], "{context}");
    }
}

/// Numbers that 16 bits represent exactly give the bits of f32: only the storage differs.
#[test]
fn weights_that_fit_sixteen_bits_change_no_bit() {
    let mut draw = Draw::new();
    for device in devices() {
        for storage in [Storage::F16, Storage::Bf16] {
            for cell in [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM, Cell::Rnn] {
                let (input, hidden) = (draw.size(1..=70), draw.size(1..=80));
                let model = draw.any_model(cell, input, hidden, 2);
                let model = rounded(&draw.with_options(model), storage);
                let batch = [1, 2, 40][draw.size(0..=2)];
                let inputs = Inputs::draw(&mut draw, &model, batch, 3);
                let plain = device.load_with(&model, options()).unwrap().run(&inputs.batch()).unwrap();
                let engine = device.load_with(&model, filled().weights(storage)).unwrap();
                let stored = engine.run(&inputs.batch()).unwrap();
                let context = format!("{}, {model}, {storage}, seed {}", device.info(), draw.seed);
                assert_eq!(bits(&stored.y), bits(&plain.y), "{context}");
                assert_eq!(bits(&stored.h_n), bits(&plain.h_n), "{context}");
                assert_eq!(stored.c_n, plain.c_n, "{context}");
            }
        }
    }
}

/// Weights and activations in 16 bits, against the f64 reference, which does not round. y has numbers of its type,
/// and a session gives the bits of a sequence.
#[test]
fn sixteen_bits_match_the_reference_within_their_roundoff() {
    let mut draw = Draw::new();
    for device in devices() {
        for storage in [Storage::F16, Storage::Bf16] {
            for (weights, activations) in [(storage, storage), (Storage::F32, storage)] {
                for cell in [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM] {
                    let (input, hidden) = (draw.size(1..=9), draw.size(1..=70));
                    let model = draw.any_model(cell, input, hidden, 2);
                    let model = draw.with_readout(model, 3, ReadoutSteps::Every);
                    let (batch, steps) = ([1, 5, 17][draw.size(0..=2)], 6);
                    let inputs = Inputs::draw(&mut draw, &model, batch, steps);
                    let inputs = if draw.chance() { inputs.ragged(&mut draw) } else { inputs };
                    let layouts =
                        (draw.layouts().0, [Layout::BatchMajor, Layout::TimeMajor][draw.size(0..=1)]);
                    let inputs = inputs.laid_out(layouts);
                    let options = filled().weights(weights).activations(activations);
                    let output = device.load_with(&model, options).unwrap().run(&inputs.batch()).unwrap();
                    let precision = Precision { weights, activations };
                    let context = format!("{}, {model}, {precision:?}, seed {}", device.info(), draw.seed);
                    assert_close_in(precision, &model, &inputs.batch(), &output, &context);
                    let kept: Vec<f32> = output.y.iter().map(|&v| activations.round(v)).collect();
                    assert_eq!(bits(&kept), bits(&output.y), "{context}");
                }
            }
        }
    }
}

#[test]
fn a_session_in_sixteen_bits_gives_the_bits_of_a_sequence() {
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model(Cell::GRU, 3, 7, 2);
        let (streams, steps) = (3, 4);
        let inputs = Inputs::draw(&mut draw, &model, streams, steps);
        let inputs = Inputs { h0: None, ..inputs }.laid_out((Layout::TimeMajor, Layout::TimeMajor));
        let options = filled().weights(Storage::F16).activations(Storage::F16);
        let engine = device.load_with(&model, options).unwrap();
        let all = engine.run(&inputs.batch()).unwrap();
        let mut session = engine.session(streams).unwrap();
        for (x, y) in inputs.x.chunks_exact(streams * 3).zip(all.y.chunks_exact(streams * 7)) {
            assert_eq!(bits(&session.step(x).unwrap().y), bits(y), "{}", device.info());
        }
    }
}

/// Values that f16 cannot represent, and two half types at once, are refused with the numbers.
#[test]
fn what_sixteen_bits_cannot_hold_is_refused() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 1, 2, 1);
    let mut weights = model.layers()[0].weights()[0].clone();
    weights.w_hh[1] = 70_000.0;
    let large = Layer::new(Cell::GRU, Direction::Forward, 1, 2, vec![weights]).unwrap();
    let large = Model::new(vec![large]).unwrap();
    let f16 = options().weights(Storage::F16);
    for device in devices() {
        let error = device.load_with(&large, f16.clone()).unwrap_err();
        assert!(error.to_string().contains("70000"), "{error}");
        device.load_with(&large, options().weights(Storage::Bf16)).unwrap();
        let error = device.load_with(&model, f16.clone().activations(Storage::Bf16)).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { what } if what.contains("bf16")), "{error}");

        let engine = device.load_with(&model, f16.clone().activations(Storage::F16)).unwrap();
        let x = [0.5, 1e5];
        let error = engine.run(&Batch::new(&x, [1, 2, 1]).unwrap()).unwrap_err();
        assert!(
            error.to_string().contains(
                "x [row, step, feature]: element [0, 1, 0] of [1, 2, 1] is 100000, beyond the range of f16"
            ),
            "{error}"
        );
        // The contents of padding do not matter.
        engine.run(&Batch::new(&x, [1, 2, 1]).unwrap().lengths(&[1])).unwrap();
        engine.run(&Batch::new(&[0.5, 6e4], [1, 2, 1]).unwrap()).unwrap();
        assert!(engine.prepare(Dims::new(2, 3).unwrap()).is_ok());
    }
}

/// `model` with its matrices rounded to `storage`.
fn rounded(model: &Model, storage: Storage) -> Model {
    let layers = model.layers().iter().map(|layer| {
        let round = |values: &[f32]| values.iter().map(|&v| storage.round(v)).collect::<Vec<f32>>();
        let weights = layer.weights().iter().map(|weights| Weights {
            w_ih: round(&weights.w_ih),
            w_hh: round(&weights.w_hh),
            w_hr: weights.w_hr.as_deref().map(round),
            ..weights.clone()
        });
        let (cell, direction) = (layer.cell(), layer.direction());
        let new = Layer::new(cell, direction, layer.input(), layer.hidden(), weights.collect()).unwrap();
        let new = new.with_activations(layer.activations().to_vec()).unwrap();
        let new = new.with_merge(layer.merge()).unwrap();
        let new = layer.clip().map_or(Ok(new.clone()), |clip| new.with_clip(clip)).unwrap();
        layer.state_clip().map_or(Ok(new.clone()), |clip| new.with_state_clip(clip)).unwrap()
    });
    Model::new(layers.collect()).unwrap()
}

/// Options that a cell does not have, and contradictory sizes.
#[test]
fn options_that_do_not_fit_are_refused_by_name() {
    let mut draw = Draw::new();
    let plain = |draw: &mut Draw, cell: Cell, state: usize| Weights {
        w_ih: draw.values(cell.gates() * 6, 1.0),
        w_hh: draw.values(cell.gates() * 3 * state, 1.0),
        ..Weights::default()
    };
    let layer = |cell, weights| Layer::new(cell, Direction::Forward, 2, 3, vec![weights]);
    let refused = |result: wgru::Result<Layer>, words: &[&str]| {
        let error = result.unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error} does not say {words:?}");
    };
    let refuses = |result: wgru::Result<Layer>, expected: &str| {
        assert_eq!(result.unwrap_err().to_string(), expected);
    };
    for cell in [Cell::GRU, Cell::Rnn] {
        let peepholes = Weights { peepholes: Some(vec![0.5; 9]), ..plain(&mut draw, cell, 3) };
        refused(layer(cell, peepholes), &["peepholes", &cell.to_string()]);
        let projection = Weights { w_hr: Some(vec![0.5; 9]), ..plain(&mut draw, cell, 3) };
        refused(layer(cell, projection), &["w_hr", &cell.to_string()]);
    }
    let short = Weights { peepholes: Some(vec![0.5; 8]), ..plain(&mut draw, Cell::LSTM, 3) };
    refused(layer(Cell::LSTM, short), &["peepholes", "[3, 3]", "8"]);
    let short = Weights { w_hr: Some(vec![0.5; 8]), ..plain(&mut draw, Cell::LSTM, 2) };
    refused(layer(Cell::LSTM, short), &["w_hr", "[2, 3]", "8"]);
    let none = Weights { w_hr: Some(vec![]), ..plain(&mut draw, Cell::LSTM, 3) };
    refused(layer(Cell::LSTM, none), &["P (projection)"]);
    let infinite = Weights { w_hr: Some(vec![f32::INFINITY; 6]), ..plain(&mut draw, Cell::LSTM, 2) };
    refused(layer(Cell::LSTM, infinite), &["w_hr", "inf"]);

    let projected = |draw: &mut Draw, state: usize| Weights {
        w_hr: Some(draw.values(state * 3, 1.0)),
        ..plain(draw, Cell::LSTM, state)
    };
    let (one, two) = (projected(&mut draw, 1), projected(&mut draw, 2));
    let both = Layer::new(Cell::LSTM, Direction::Bidirectional, 2, 3, vec![two.clone(), one.clone()]);
    refused(both, &["w_hr", "1", "2"]);
    let stack = [layer(Cell::LSTM, two), layer(Cell::LSTM, one)].map(Result::unwrap);
    let error = Model::new(stack.to_vec()).unwrap_err().to_string();
    assert!(error.contains("P of layer 1"), "{error}");

    let gru = layer(Cell::GRU, plain(&mut draw, Cell::GRU, 3)).unwrap();
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let expected = format!("clip: needs a positive finite number, got {bad}");
        refuses(gru.clone().with_clip(bad), &expected);
        refuses(gru.clone().with_state_clip(bad), &format!("state {expected}"));
    }
    let sets = |count| vec![plain(&mut Draw::new(), Cell::GRU, 3); count];
    let both = |count| Layer::new(Cell::GRU, Direction::Bidirectional, 2, 3, sets(count));
    refuses(both(1), "weights of a bidirectional layer: needs 2 sets, got 1");
    refuses(both(3), "weights of a bidirectional layer: needs 2 sets, got 3");
    let two = Layer::new(Cell::GRU, Direction::Reverse, 2, 3, sets(2));
    refuses(two, "weights of a reverse layer: needs 1 set, got 2");
    let own = |count| vec![Activations::of(Cell::GRU); count];
    let both = both(2).unwrap();
    refuses(
        both.clone().with_activations(own(1)),
        "activations of a bidirectional layer: needs 2 sets, got 1",
    );
    refuses(gru.clone().with_activations(own(0)), "activations of a forward layer: needs 1 set, got 0");
    for (merge, name) in [(Merge::Sum, "sum"), (Merge::Mul, "mul"), (Merge::Average, "ave")] {
        let expected = format!("merge mode {name}: needs a bidirectional layer, this one is forward");
        refuses(gru.clone().with_merge(merge), &expected);
        assert_eq!(both.clone().with_merge(merge).unwrap().output(), 3);
    }
    assert_eq!(gru.clone().with_merge(Merge::Concat).unwrap(), gru);

    let original =
        |input, hidden, gate: &[f32]| Layer::original_gru(input, hidden, gate, &[0.0; 10], &[0.0; 10]);
    refuses(original(usize::MAX, 2, &[]), &format!("H + I: a size made of [2, {}] overflows", usize::MAX));
    refuses(original(0, 2, &[]), "I (input features): must be at least 1, got 0");
    refuses(original(3, 0, &[]), "H (hidden units): must be at least 1, got 0");
    refuses(original(3, 2, &[0.0; 9]), "w_r: expected 10 elements of shape [2, 5], got 9");
    assert!(original(3, 2, &[0.0; 10]).is_ok());
}

/// With a free reduction order the results are as accurate; with a fixed order a different plan gives the same bits.
#[cfg(feature = "gpu")]
#[test]
fn the_reduction_order_is_fixed_unless_it_is_set_free() {
    let mut draw = Draw::new();
    for device in crate::common::adapters() {
        let model = draw.model(Cell::GRU, 5, 150, 1);
        let inputs = Inputs::draw(&mut draw, &model, 9, 12);
        let run = |options: Options| device.load_with(&model, options).unwrap().run(&inputs.batch()).unwrap();
        let kept = run(Options::default());
        for strategy in Strategy::ALL {
            let other = run(Options::default().strategy(strategy));
            assert_eq!(bits(&other.y), bits(&kept.y), "{}, {strategy}, seed {}", device.info(), draw.seed);
        }
        let free = run(filled().strategy(Strategy::Step).reproducible(false));
        let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
        assert_close(&model, &inputs.batch(), &free, &context);
        assert_ne!(bits(&free.y), bits(&kept.y), "{context}: nothing was set free");
    }
}
