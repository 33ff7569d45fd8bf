//! One suite for every adapter found and the CPU path: each case against the f64 reference.

#[cfg(feature = "gpu")]
use crate::common::adapters;
use crate::common::{Draw, Inputs, assert_close, bits, devices, options};
#[cfg(feature = "gpu")]
use wgru::DeviceInfo;
use wgru::model::{Activation, Activations, Function};
use wgru::{Cell, Dims, Direction, ReadoutSteps};

/// B, T, I, H: ones, odd and prime sizes, the edges of tiles and blocks.
const SHAPES: [[usize; 4]; 11] = [
    [1, 1, 1, 1],
    [1, 7, 3, 5],
    [2, 3, 1, 17],
    [3, 11, 13, 4],
    [4, 5, 64, 64],
    [5, 2, 65, 63],
    [1, 33, 31, 65],
    [7, 4, 128, 129],
    [33, 6, 7, 37],
    [66, 3, 19, 66],
    [131, 2, 5, 23],
];

#[test]
fn every_cell_and_shape_matches_the_reference() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in Cell::ALL {
            for [batch, steps, input, hidden] in SHAPES {
                let layers = draw.size(1..=3);
                let mut model = draw.any_model(cell, input, hidden, layers);
                if draw.chance() {
                    let steps = if draw.chance() { ReadoutSteps::Every } else { ReadoutSteps::Last };
                    let outputs = draw.size(1..=70);
                    model = draw.with_readout(model, outputs, steps);
                }
                let inputs = Inputs::draw(&mut draw, &model, batch, steps);
                let inputs = if draw.chance() { inputs.ragged(&mut draw) } else { inputs };
                let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
                let output = engine.run(&inputs.batch()).unwrap();
                let (info, dims, lengths) = (device.info(), inputs.dims, &inputs.lengths);
                let context = format!("{info}, {model}, {dims:?}, {lengths:?}, seed {}", draw.seed);
                assert_close(&model, &inputs.batch(), &output, &context);
            }
        }
    }
}

#[test]
fn random_sizes_match_the_reference() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in Cell::ALL {
            for _ in 0..3 {
                let [batch, steps] = [draw.size(1..=40), draw.size(1..=20)];
                let [input, hidden, layers] = [draw.size(1..=150), draw.size(1..=200), draw.size(1..=2)];
                let model = draw.any_model(cell, input, hidden, layers);
                let inputs = Inputs::draw(&mut draw, &model, batch, steps);
                let inputs = if draw.chance() { inputs.ragged(&mut draw) } else { inputs };
                let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
                let output = engine.run(&inputs.batch()).unwrap();
                let (info, dims, lengths) = (device.info(), inputs.dims, &inputs.lengths);
                let context = format!("{info}, {model}, {dims:?}, {lengths:?}, seed {}", draw.seed);
                assert_close(&model, &inputs.batch(), &output, &context);
            }
        }
    }
}

/// Every function of ONNX's list in every position, different ones in each direction, with and without a clip.
#[test]
fn every_activation_and_clip_matches_the_reference() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM, Cell::ALL[5]] {
            for function in Function::ALL {
                let (alpha, beta) = function.parameters();
                let number = |takes: bool, value: f32| if takes { value } else { 0.0 };
                let activation = Activation::new(function, number(alpha, 0.4), number(beta, 0.3)).unwrap();
                let own = Activations::of(cell);
                let places = [
                    Activations { gate: activation, ..own },
                    Activations { candidate: activation, output: activation, ..own },
                ];
                let model = draw.model_of(cell, Direction::Bidirectional, 3, 9, 1);
                let layer = model.layers()[0].clone().with_activations(places.to_vec()).unwrap();
                let layer = if draw.chance() { layer.with_clip(0.6).unwrap() } else { layer };
                let model = wgru::Model::new(vec![layer]).unwrap();
                let inputs = Inputs::draw(&mut draw, &model, 5, 6);
                let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
                let output = engine.run(&inputs.batch()).unwrap();
                let clip = model.layers()[0].clip();
                let info = device.info();
                let context = format!("{info}, {model}, {activation}, clip {clip:?}, seed {}", draw.seed);
                assert_close(&model, &inputs.batch(), &output, &context);
            }
        }
    }
}

/// A clip and an activation change the numbers: a path that ignored them would fail the test above.
#[test]
fn activations_and_clip_are_not_ignored() {
    let mut draw = Draw::new();
    let plain = draw.model(Cell::GRU, 3, 9, 1);
    let inputs = Inputs::draw(&mut draw, &plain, 2, 5);
    let hard = Activation::hard_sigmoid(0.2, 0.5).unwrap();
    let layer = || plain.layers()[0].clone();
    let gate = Activations { gate: hard, ..Activations::of(Cell::GRU) };
    let variants = [layer().with_clip(0.1), layer().with_activations(vec![gate])];
    for device in devices() {
        let before = device.load_with(&plain, options()).unwrap().run(&inputs.batch()).unwrap();
        for variant in &variants {
            let model = wgru::Model::new(vec![variant.clone().unwrap()]).unwrap();
            let after = device.load_with(&model, options()).unwrap().run(&inputs.batch()).unwrap();
            let change = before.y.iter().zip(&after.y).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(change > 1e-3, "{}: {change}", device.info());
        }
    }
}

/// The contents of padding have no effect. A sequence in a ragged batch has the bits that it has alone, and one of no
/// steps gives zeros and its initial state.
#[test]
fn a_sequence_in_a_ragged_batch_is_as_if_alone() {
    let mut draw = Draw::new();
    for device in devices() {
        for (cell, direction) in [(Cell::GRU, Direction::Bidirectional), (Cell::LSTM, Direction::Reverse)] {
            let model = draw.model_of(cell, direction, 4, 7, 2);
            let model = draw.with_readout(model, 3, ReadoutSteps::Last);
            let mut inputs = Inputs::draw(&mut draw, &model, 6, 9).ragged(&mut draw);
            (inputs.h0, inputs.c0) = (None, None);
            inputs.lengths.as_mut().unwrap()[0] = 0;
            inputs.x[..9 * 4].fill(f32::NAN);
            let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
            let all = engine.run(&inputs.batch()).unwrap();
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            assert_close(&model, &inputs.batch(), &all, &context);
            let width = model.output();
            for (b, &length) in inputs.lengths.as_ref().unwrap().iter().enumerate() {
                let length = length as usize;
                let y = &all.y[b * 9 * width..][..9 * width];
                assert!(y[length * width..].iter().all(|&v| v == 0.0), "{context}: y past the end of {b}");
                if length == 0 {
                    assert!((0..model.num_states()).all(|s| all.h_n[(s * 6 + b) * 7..][..7] == [0.0; 7]));
                    continue;
                }
                let x = &inputs.x[b * 36..][..length * 4];
                let one = engine.run(&wgru::Batch::new(x, [1, length, 4]).unwrap()).unwrap();
                assert_eq!(bits(&one.y), bits(&y[..length * width]), "{context}: row {b}");
                assert_eq!(one.out.unwrap(), all.out.as_ref().unwrap()[b * 3..][..3], "{context}: row {b}");
            }
        }
    }
}

/// Chunks of a long bidirectional sequence: each direction begins its chunks at its own end.
#[test]
fn both_directions_of_a_sequence_in_chunks() {
    let mut draw = Draw::new();
    for device in devices() {
        for direction in [Direction::Reverse, Direction::Bidirectional] {
            let model = draw.model_of(Cell::GRU, direction, 2, 3, 2);
            let inputs = Inputs::draw(&mut draw, &model, 2, 4096 + 57);
            let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
            let output = engine.run(&inputs.batch()).unwrap();
            let context = format!("{}, {model}, {direction}, seed {}", device.info(), draw.seed);
            assert_close(&model, &inputs.batch(), &output, &context);
        }
    }
}

#[test]
fn a_large_layer_matches_the_reference() {
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model(Cell::GRU, 300, 700, 1);
        let inputs = Inputs::draw(&mut draw, &model, 21, 4);
        let engine = device.load_with(&model, options()).unwrap();
        let output = engine.run(&inputs.batch()).unwrap();
        assert_close(&model, &inputs.batch(), &output, &device.info().to_string());
    }
}

/// Software drivers end an invocation after 65,535 loop iterations, summed over all its loops, without an error. T ×
/// H here is 1,500 × 64 and 900 × 100, both beyond that.
#[test]
fn steps_times_inner_loop_beyond_65535_iterations() {
    let mut draw = Draw::new();
    for device in devices() {
        for (cell, steps, hidden) in [(Cell::GRU, 1500, 64), (Cell::LSTM, 900, 100)] {
            let model = draw.model(cell, 3, hidden, 1);
            let inputs = Inputs::draw(&mut draw, &model, 1, steps);
            let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
            let output = engine.run(&inputs.batch()).unwrap();
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            assert_close(&model, &inputs.batch(), &output, &context);
        }
    }
}

/// One sum of more terms than the same limit: it passes because the loop is unrolled. Longer ones are refused.
#[test]
fn a_projection_of_more_than_65535_features() {
    let mut draw = Draw::new();
    for device in devices() {
        let input = 66_000;
        let mut model = draw.model(Cell::GRU, input, 2, 1);
        // Scaled so that the sum stays of the order of 1.
        let layer = &model.layers()[0];
        let mut weights = layer.weights()[0].clone();
        weights.w_ih.iter_mut().for_each(|w| *w /= 256.0);
        let layer = wgru::Layer::new(Cell::GRU, layer.direction(), input, 2, vec![weights]).unwrap();
        model = wgru::Model::new(vec![layer]).unwrap();
        for batch in [1, 40] {
            let inputs = Inputs::draw(&mut draw, &model, batch, 2);
            let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
            let output = engine.run(&inputs.batch()).unwrap();
            let context = format!("{}, {model}, B {batch}, seed {}", device.info(), draw.seed);
            assert_close(&model, &inputs.batch(), &output, &context);
        }
    }
}

#[cfg(feature = "gpu")]
#[test]
fn more_iterations_than_a_driver_runs_are_refused() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 300_000, 1, 1);
    for device in adapters() {
        let DeviceInfo::Gpu(info) = device.info() else { unreachable!("an adapter") };
        let inputs = Inputs::draw(&mut draw, &model, 1, 1);
        let result = device.load_with(&model, options()).and_then(|engine| engine.run(&inputs.batch()));
        if info.caps.max_iterations.is_some() {
            let error = result.expect_err("more iterations than the driver runs").to_string();
            assert!(error.contains("loop iterations"), "{error}");
        } else {
            assert_close(&model, &inputs.batch(), &result.unwrap(), &info.caps.device);
        }
    }
}

#[test]
fn a_session_gives_the_bits_of_the_sequence_run() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in Cell::ALL {
            for [batch, steps, input, hidden] in [[1, 9, 3, 70], [6, 8, 67, 33], [40, 5, 4, 12]] {
                let model = draw.model(cell, input, hidden, 2);
                let model = draw.with_readout(model, 3, ReadoutSteps::Every);
                let inputs = Inputs { h0: None, c0: None, ..Inputs::draw(&mut draw, &model, batch, steps) };
                let engine = device.load_with(&model, options()).unwrap();
                let whole = engine.run(&inputs.batch()).unwrap();

                let mut session = engine.session(batch).unwrap();
                let mut output = session.output().unwrap();
                let (features, outputs) = (model.output(), 3);
                for t in 0..steps {
                    let x: Vec<f32> = (0..batch)
                        .flat_map(|b| &inputs.x[(b * steps + t) * input..][..input])
                        .copied()
                        .collect();
                    session.step_into(&x, &mut output).unwrap();
                    let context = format!("{}, {model}, step {t}, seed {}", device.info(), draw.seed);
                    for b in 0..batch {
                        let y = &whole.y[(b * steps + t) * features..][..features];
                        let y_t = &output.y[b * features..][..features];
                        assert_eq!(bits(y_t), bits(y), "y: {context}");
                        let out = &whole.out.as_ref().unwrap()[(b * steps + t) * outputs..][..outputs];
                        let out_t = &output.out.as_ref().unwrap()[b * outputs..][..outputs];
                        assert_eq!(bits(out_t), bits(out), "out: {context}");
                    }
                }
                let state = session.state().unwrap();
                assert_eq!(bits(&state.h), bits(&whole.h_n));
                assert_eq!(state.c.as_deref().map(bits), whole.c_n.as_deref().map(bits));
            }
        }
    }
}

#[test]
fn a_saved_state_continues_a_sequence() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in [Cell::GRU, Cell::LSTM] {
            let model = draw.model(cell, 5, 9, 2);
            let (batch, x) = (3, draw.values(3 * 5, 1.0));
            let engine = device.load_with(&model, options()).unwrap();
            let mut session = engine.session(batch).unwrap();
            session.step(&x).unwrap();
            let saved = session.state().unwrap();
            let expected = session.step(&x).unwrap();
            session.step(&x).unwrap();

            session.set_state(&saved).unwrap();
            assert_eq!(session.step(&x).unwrap(), expected);
            let mut other = engine.session(batch).unwrap();
            other.set_state(&saved).unwrap();
            assert_eq!(other.step(&x).unwrap(), expected);

            session.reset();
            let mut fresh = engine.session(batch).unwrap();
            assert_eq!(session.step(&x).unwrap(), fresh.step(&x).unwrap());
        }
    }
}

/// Large and small runs in turn through one engine: data that an earlier run left behind must have no effect.
#[test]
fn dirty_buffers_have_no_effect() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM] {
            let model = draw.model(cell, 6, 30, 2);
            let engine = device.load_with(&model, options()).unwrap();
            let mut output = engine.output(Dims::new(5, 8).unwrap()).unwrap();
            for _ in 0..3 {
                let inputs = Inputs::draw(&mut draw, &model, 5, 8);
                output.y.fill(f32::NAN);
                output.h_n.fill(f32::NAN);
                engine.run_into(&inputs.batch(), &mut output).unwrap();
                assert_close(&model, &inputs.batch(), &output, &device.info().to_string());
                let other = Inputs::draw(&mut draw, &model, 17, 3);
                let output = engine.run(&other.batch()).unwrap();
                assert_close(&model, &other.batch(), &output, &device.info().to_string());
            }
        }
    }
}

#[test]
fn the_same_run_gives_the_same_bits() {
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model(Cell::ORIGINAL_GRU, 20, 40, 2);
        let inputs = Inputs::draw(&mut draw, &model, 9, 12);
        let engine = device.load_with(&model, options()).unwrap();
        let first = engine.run(&inputs.batch()).unwrap();
        for _ in 0..3 {
            assert_eq!(engine.run(&inputs.batch()).unwrap(), first, "{}", device.info());
        }
        let asynchronous = pollster::block_on(engine.run_async(&inputs.batch())).unwrap();
        assert_eq!(asynchronous, first, "{}", device.info());
    }
}

/// Inputs of ±1e20 drive every gate to its limit: no NaN, no infinity, and the exact limits in the outputs.
#[test]
fn saturated_gates_reach_their_limits() {
    for device in devices() {
        for cell in Cell::ALL {
            for batch in [1, 5] {
                let (hidden, steps) = (6, 3);
                let rows = cell.gates() * hidden;
                let weights = wgru::Weights {
                    w_ih: (0..rows).map(|row| if row % 2 == 0 { 1.0 } else { -1.0 }).collect(),
                    w_hh: vec![0.25; rows * hidden],
                    b_hh: Some(vec![0.1; rows]),
                    ..wgru::Weights::default()
                };
                let layer = wgru::Layer::new(cell, Direction::Forward, 1, hidden, vec![weights]);
                let model = wgru::Model::new(vec![layer.unwrap()]).unwrap();
                for size in [1e20f32, -1e20, 1e30] {
                    let x = vec![size; batch * steps];
                    let inputs = wgru::Batch::new(&x, [batch, steps, 1]).unwrap();
                    let output = device.load_with(&model, options()).unwrap().run(&inputs).unwrap();
                    // Far from cancellation, every path is at the limit or a few roundings off.
                    let truth = wgru::reference::run(&model, &inputs).unwrap();
                    for (truth, got) in truth.y.iter().zip(&output.y) {
                        let error = (truth - f64::from(*got)).abs();
                        assert!(error < 1e-6, "{}, {model}: {got} is not {truth}", device.info());
                    }
                    let exact = |v: &f32| [-1.0, 0.0, 1.0].contains(v);
                    // h of an LSTM is tanh of c, which has no limit.
                    if !cell.has_c() {
                        assert!(output.y.iter().all(exact), "{}, {model}: {:?}", device.info(), output.y);
                    }
                }
            }
        }
    }
}

/// A future that is dropped half-way, by a timeout for example, leaves the device and every engine on it usable.
#[cfg(feature = "gpu")]
#[test]
fn a_dropped_future_leaves_the_session_usable() {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    let mut draw = Draw::new();
    let mut seen_pending = false;
    for device in adapters() {
        let model = draw.model(Cell::GRU, 64, 300, 2);
        let x = draw.values(4 * 64, 1.0);
        let engine = device.load_with(&model, options()).unwrap();
        let mut session = engine.session(4).unwrap();
        let expected = session.step(&x).unwrap();
        for _ in 0..5 {
            session.reset();
            let mut task = Context::from_waker(Waker::noop());
            seen_pending |= matches!(pin!(session.step_async(&x)).poll(&mut task), Poll::Pending);
            seen_pending |= matches!(pin!(session.state_async()).poll(&mut task), Poll::Pending);
        }
        session.reset();
        assert_eq!(session.step(&x).unwrap(), expected, "{}", device.info());
        session.state().unwrap();
    }
    assert!(seen_pending, "no future was dropped before it was ready");
}

#[test]
fn a_nan_stays_in_its_own_sequence() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in Cell::ALL {
            let model = draw.model(cell, 3, 5, 1);
            let clean = Inputs { h0: None, c0: None, ..Inputs::draw(&mut draw, &model, 6, 4) };
            let engine = device.load_with(&model, options()).unwrap();
            let expected = engine.run(&clean.batch()).unwrap();
            let mut x = clean.x.clone();
            x[2 * 12 + 4] = f32::NAN;
            let got = engine.run(&wgru::Batch::new(&x, [6, 4, 3]).unwrap()).unwrap();
            for b in [0, 1, 3, 4, 5] {
                let row = b * 20..(b + 1) * 20;
                assert_eq!(bits(&got.y[row.clone()]), bits(&expected.y[row]), "{}, {cell}", device.info());
            }
            let behind = &got.y[2 * 20 + 5..3 * 20];
            assert!(behind.iter().all(|v| v.is_nan()), "{}, {cell}: {behind:?}", device.info());
        }
    }
}

#[test]
fn every_row_is_its_own() {
    // A row's result does not depend on its neighbours: the tile of four rows computes each as if alone.
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model(Cell::GRU, 10, 20, 1);
        let inputs = Inputs::draw(&mut draw, &model, 7, 6);
        let engine = device.load_with(&model, options()).unwrap();
        let all = engine.run(&wgru::Batch::new(&inputs.x, [7, 6, 10]).unwrap()).unwrap();
        for b in 0..7 {
            let x = &inputs.x[b * 60..][..60];
            let one = engine.run(&wgru::Batch::new(x, [1, 6, 10]).unwrap()).unwrap();
            assert_eq!(bits(&one.y), bits(&all.y[b * 120..][..120]), "{} row {b}", device.info());
        }
    }
}
