//! Bad input to the library, on every adapter and on the CPU: an error that names the argument and gives the numbers,
//! never a panic. Later runs are not affected.

mod plans;

use crate::common::{adapters, everywhere};
use wgru::dtype::Precision;
use wgru::model::{Forget, Reset, Update};
use wgru::plan::{Caps, plan};
use wgru::{
    Batch, Cell, Device, Dims, Direction, Error, Layer, Merge, Model, Output, Readout, ReadoutSteps, State,
    Weights,
};

fn length(name: &str, shape: &[usize], got: usize) -> String {
    fields(Error::Length { name: name.into(), shape: shape.to_vec(), got })
}

/// Variant and fields, for comparison.
fn fields(error: Error) -> String {
    format!("{error:?}")
}

/// The error, after a check that its text contains `words`.
#[track_caller]
fn refused<T>(result: wgru::Result<T>, words: &str) -> Error {
    let Err(error) = result else { panic!("accepted, should be refused with: {words}") };
    let text = error.to_string();
    assert!(text.contains(words), "\"{text}\" does not say \"{words}\"");
    error
}

/// Weights of the right sizes.
fn weights(cell: Cell, input: usize, hidden: usize) -> Weights {
    let rows = cell.gates() * hidden;
    Weights {
        w_ih: vec![0.25; rows * input],
        w_hh: vec![-0.25; rows * hidden],
        b_ih: Some(vec![0.5; rows]),
        b_hh: Some(vec![0.125; rows]),
        ..Weights::default()
    }
}

fn layer(cell: Cell, input: usize, hidden: usize) -> Layer {
    let weights = weights(cell, input, hidden);
    Layer::new(cell, Direction::Forward, input, hidden, vec![weights]).expect("sizes fit")
}

fn model(cell: Cell, input: usize, hidden: usize) -> Model {
    Model::new(vec![layer(cell, input, hidden)]).expect("one layer")
}

#[test]
fn batches_of_nothing_or_of_another_length() {
    for (shape, word) in [([0, 1, 1], "B (batch)"), ([1, 0, 1], "T (steps)"), ([1, 1, 0], "I (input")] {
        let error = refused(Batch::new(&[], shape), word);
        assert!(matches!(error, Error::Zero { .. }), "{error}");
    }
    assert_eq!(fields(Batch::new(&[0.0; 23], [2, 3, 4]).unwrap_err()), length("x", &[2, 3, 4], 23));
    assert_eq!(fields(Batch::new(&[0.0; 25], [2, 3, 4]).unwrap_err()), length("x", &[2, 3, 4], 25));
    assert_eq!(fields(Batch::new(&[], [2, 3, 4]).unwrap_err()), length("x", &[2, 3, 4], 0));
    assert!(matches!(Dims::new(0, 1), Err(Error::Zero { .. })));
    assert!(matches!(Dims::new(1, 0), Err(Error::Zero { .. })));
}

#[test]
fn products_that_overflow() {
    for shape in [
        [usize::MAX / 2, 3, 1],
        [usize::MAX, usize::MAX, usize::MAX],
        [1 << 22, 1 << 21, 1 << 21],
        [usize::MAX, 1, 1],
    ] {
        let error = refused(Batch::new(&[0.0; 4], shape), "overflows");
        assert_eq!(fields(error), fields(Error::Overflow { name: "x".into(), sizes: shape.to_vec() }));
    }
    for (input, hidden) in
        [(usize::MAX / 2, 3), (1, usize::MAX), (usize::MAX, usize::MAX), (1, usize::MAX / 2)]
    {
        let nothing = Weights { w_ih: vec![], w_hh: vec![], ..Weights::default() };
        let result = Layer::new(Cell::GRU, Direction::Forward, input, hidden, vec![nothing]);
        assert!(matches!(result, Err(Error::Overflow { .. })), "I {input}, H {hidden}: {result:?}");
        let result = Layer::original_gru(input, hidden, &[], &[], &[]);
        assert!(matches!(result, Err(Error::Overflow { .. })), "I {input}, H {hidden}: {result:?}");
    }
    let result = Readout::new(usize::MAX, 2, ReadoutSteps::Every, vec![], None);
    assert!(matches!(result, Err(Error::Overflow { .. })), "{result:?}");

    // A batch of one value of x whose y would not fit.
    for device in everywhere() {
        let engine = device.load(&model(Cell::GRU, 1, 2)).unwrap();
        for dims in [Dims { batch: usize::MAX / 2, steps: 3 }, Dims { batch: 1, steps: usize::MAX }] {
            let error = refused(engine.output(dims), "overflows");
            assert!(matches!(error, Error::Overflow { .. }), "{}: {error}", device.info());
        }
    }
}

#[test]
fn layers_of_wrong_sizes_or_numbers() {
    for cell in Cell::ALL {
        let good = weights(cell, 2, 3);
        let rows = cell.gates() * 3;
        let with = |change: &dyn Fn(&mut Weights)| {
            let mut bad = good.clone();
            change(&mut bad);
            Layer::new(cell, Direction::Forward, 2, 3, vec![bad]).expect_err("a change for the worse")
        };
        assert_eq!(fields(with(&|w| w.w_ih.truncate(1))), length("w_ih", &[rows, 2], 1));
        assert_eq!(fields(with(&|w| w.w_hh.push(0.0))), length("w_hh", &[rows, 3], rows * 3 + 1));
        assert_eq!(fields(with(&|w| w.b_ih = Some(vec![]))), length("b_ih", &[rows], 0));
        assert_eq!(fields(with(&|w| w.b_hh = Some(vec![0.0; rows + 1]))), length("b_hh", &[rows], rows + 1));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let place = |error: Error, name: &str, at: usize| {
                let Error::NotFinite { name: named, index, value, .. } = &error else { panic!("{error}") };
                assert_eq!((named.as_str(), *index, value.to_bits()), (name, at, bad.to_bits()));
            };
            place(with(&|w| w.w_ih[1] = bad), "w_ih", 1);
            place(with(&|w| w.w_hh[2] = bad), "w_hh", 2);
            place(with(&|w| w.b_ih.as_mut().unwrap()[0] = bad), "b_ih", 0);
            place(with(&|w| w.b_hh.as_mut().unwrap()[2] = bad), "b_hh", 2);
        }
        for (direction, sets) in [
            (Direction::Forward, 0),
            (Direction::Forward, 2),
            (Direction::Reverse, 2),
            (Direction::Bidirectional, 1),
            (Direction::Bidirectional, 3),
        ] {
            let result = Layer::new(cell, direction, 2, 3, vec![good.clone(); sets]);
            let error = refused(result, &format!("got {sets}"));
            assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        }
        for (input, hidden, word) in [(0, 3, "I (input"), (2, 0, "H (hidden")] {
            let result = Layer::new(cell, Direction::Forward, input, hidden, vec![good.clone()]);
            assert!(matches!(refused(result, word), Error::Zero { .. }));
        }
    }
    let w = [0.5; 10];
    assert_eq!(fields(Layer::original_gru(3, 2, &w, &w[1..], &w).unwrap_err()), length("w_z", &[2, 5], 9));
    assert!(matches!(Layer::original_gru(3, 0, &[], &[], &[]), Err(Error::Zero { .. })));
    assert!(matches!(Layer::original_gru(0, 2, &w, &w, &w), Err(Error::Zero { .. })));
}

#[test]
fn stacks_that_contradict_themselves() {
    let error = refused(Model::new(vec![]), "L (layers)");
    assert!(matches!(error, Error::Zero { .. }), "{error}");
    let takes = Cell::Gru { reset: Reset::After, update: Update::Takes };
    let coupled = Cell::Lstm { forget: Forget::Coupled };
    for (a, b) in
        [(Cell::GRU, Cell::LSTM), (Cell::GRU, takes), (Cell::ORIGINAL_GRU, takes), (Cell::LSTM, coupled)]
    {
        let error = refused(Model::new(vec![layer(a, 2, 3), layer(b, 3, 3)]), "cell of layer 1");
        assert!(error.to_string().contains(&b.to_string()), "{error}");
    }
    let gru = |input, hidden| layer(Cell::GRU, input, hidden);
    let error = refused(Model::new(vec![gru(2, 3), gru(3, 3), gru(3, 4)]), "H of layer 2");
    assert!(error.to_string().contains("expected 3") && error.to_string().contains("got 4"), "{error}");
    refused(Model::new(vec![gru(2, 3), gru(2, 3)]), "input of layer 1: expected 3");
    let both =
        Layer::new(Cell::GRU, Direction::Bidirectional, 3, 3, vec![weights(Cell::GRU, 3, 3); 2]).unwrap();
    let error = refused(Model::new(vec![gru(2, 3), both.clone()]), "D, the number of directions, of layer 1");
    assert!(error.to_string().contains("bidirectional"), "{error}");
    // Both directions merged into one have P features.
    let merged = both.with_merge(Merge::Sum).unwrap();
    assert_eq!(merged.output(), 3);
    refused(Model::new(vec![merged.clone(), gru(3, 3)]), "D, the number of directions, of layer 1");
    Model::new(vec![merged.clone(), merged]).unwrap();
    for merge in [Merge::Sum, Merge::Mul, Merge::Average] {
        let error = refused(gru(2, 3).with_merge(merge), &merge.to_string());
        assert!(matches!(&error, Error::Mismatch { reason, .. } if reason.contains("forward")), "{error}");
    }
    gru(2, 3).with_merge(Merge::Concat).unwrap();
}

#[test]
fn readouts_that_do_not_fit() {
    let readout = |input, outputs, w: usize, b: Option<usize>| {
        Readout::new(input, outputs, ReadoutSteps::Every, vec![0.5; w], b.map(|b| vec![0.5; b]))
    };
    assert_eq!(fields(readout(3, 2, 5, None).unwrap_err()), length("readout weight", &[2, 3], 5));
    assert_eq!(fields(readout(3, 2, 6, Some(3)).unwrap_err()), length("readout bias", &[2], 3));
    assert!(matches!(readout(0, 2, 0, None), Err(Error::Zero { .. })));
    assert!(matches!(readout(3, 0, 0, None), Err(Error::Zero { .. })));
    let nan = Readout::new(1, 1, ReadoutSteps::Last, vec![f32::NAN], None);
    assert!(matches!(refused(nan, "readout weight"), Error::NotFinite { .. }));
    let nan = Readout::new(1, 1, ReadoutSteps::Last, vec![1.0], Some(vec![f32::INFINITY]));
    assert!(matches!(refused(nan, "readout bias"), Error::NotFinite { .. }));
    let result = model(Cell::GRU, 2, 3).with_readout(readout(4, 2, 8, None).unwrap());
    assert!(matches!(refused(result, "reads 4 features, the stack gives 3"), Error::Mismatch { .. }));
}

#[test]
fn sessions_of_directions_that_begin_at_the_end() {
    let of = |direction: Direction, input: usize| {
        let sets = vec![weights(Cell::GRU, input, 3); direction.count()];
        Layer::new(Cell::GRU, direction, input, 3, sets).unwrap()
    };
    let merged = of(Direction::Bidirectional, 2).with_merge(Merge::Sum).unwrap();
    for (direction, layers) in [
        (Direction::Reverse, vec![of(Direction::Reverse, 2)]),
        (Direction::Reverse, vec![of(Direction::Forward, 2), of(Direction::Reverse, 3)]),
        (Direction::Bidirectional, vec![of(Direction::Bidirectional, 2)]),
        (Direction::Bidirectional, vec![merged]),
    ] {
        let model = Model::new(layers).unwrap();
        for device in everywhere() {
            let engine = device.load(&model).unwrap();
            let error = refused(engine.session(1), &direction.to_string());
            assert!(matches!(error, Error::Unsupported { .. }), "{}: {error}", device.info());
        }
    }
}

#[test]
fn lengths_that_do_not_fit_the_batch() {
    let x = [0.5; 12];
    for device in everywhere() {
        let engine = device.load(&model(Cell::GRU, 2, 4)).unwrap();
        let batch = Batch::new(&x, [2, 3, 2]).unwrap();
        let error = refused(engine.run(&batch.lengths(&[3, 4])), "lengths: sequence 1 has 4 steps, x has 3");
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        assert!(matches!(engine.run(&batch.lengths(&[3])), Err(Error::Length { .. })));
        engine.run(&batch.lengths(&[3, 0])).unwrap();
    }
}

#[test]
fn batches_that_do_not_fit_the_model() {
    let (batch, steps, input, hidden) = (2, 3, 4, 5);
    let zeros = [0.0; 64];
    for device in everywhere() {
        for cell in [Cell::GRU, Cell::LSTM] {
            let info = device.info();
            let engine = device.load(&model(cell, input, hidden)).unwrap();
            let good = Batch::new(&zeros[..24], [batch, steps, input]).unwrap();
            let states = [1, batch, hidden];

            let other = Batch::new(&zeros[..18], [batch, steps, 3]).unwrap();
            let expected = fields(Error::Shape {
                name: "x [B, T, I]".into(),
                expected: vec![batch, steps, input],
                got: vec![batch, steps, 3],
            });
            assert_eq!(fields(engine.run(&other).unwrap_err()), expected, "{info}");
            for len in [0, 9, 11, 20] {
                let error = engine.run(&good.h0(&zeros[..len])).unwrap_err();
                assert_eq!(fields(error), length("h0 [L·D, B, P]", &states, len), "{info}");
            }
            if cell.has_c() {
                let error = engine.run(&good.c0(&zeros[..9])).unwrap_err();
                assert_eq!(fields(error), length("c0 [L·D, B, H]", &states, 9), "{info}");
            } else {
                let error = refused(engine.run(&good.c0(&zeros[..10])), "c0");
                assert!(matches!(error, Error::Unsupported { .. }), "{info}: {error}");
            }
            let error = pollster::block_on(engine.run_async(&other)).unwrap_err();
            assert_eq!(fields(error), expected, "{info}");
            engine.run(&good).unwrap_or_else(|error| panic!("{info}, after the refusals: {error}"));
        }
    }
}

/// Padding is not read, so it may have any value. Elsewhere the error names the element by row, step and feature.
#[test]
fn non_finite_numbers_are_named_by_their_place() {
    let model = model(Cell::LSTM, 2, 3);
    let shape = [4usize, 5, 2];
    for (b, t, f) in [(0, 0, 0), (2, 1, 1), (3, 4, 1)] {
        for time_major in [false, true] {
            let mut x = vec![0.0; 40];
            x[if time_major { (t * 4 + b) * 2 + f } else { (b * 5 + t) * 2 + f }] = f32::NAN;
            let batch = match time_major {
                true => Batch::time_major(&x, [5, 4, 2]).unwrap(),
                false => Batch::new(&x, shape).unwrap(),
            };
            let error = batch.check_finite(&model).unwrap_err();
            let words = format!(
                "x [row, step, feature]: element [{b}, {t}, {f}] of [4, 5, 2] is NaN, must be finite"
            );
            assert_eq!(error.to_string(), words);
            let (shorter, as_long) = (vec![t as u32; 4], vec![t as u32 + 1; 4]);
            batch.lengths(&shorter).check_finite(&model).unwrap();
            assert_eq!(batch.lengths(&as_long).check_finite(&model).unwrap_err().to_string(), words);
        }
    }
    let x = vec![0.0; 40];
    let batch = Batch::new(&x, shape).unwrap();
    let states = [0.0; 7].into_iter().chain([f32::INFINITY]).chain([0.0; 4]).collect::<Vec<f32>>();
    for (name, batch) in [("h0", batch.h0(&states)), ("c0", batch.c0(&states))] {
        let words = format!("{name}: element [0, 2, 1] of [1, 4, 3] is inf, must be finite");
        assert_eq!(batch.check_finite(&model).unwrap_err().to_string(), words);
    }
    let error = refused(batch.lengths(&[6; 4]).check_finite(&model), "lengths");
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
}

#[test]
fn outputs_of_another_shape_are_left_as_they_were() {
    let x = [0.5; 24];
    let batch = Batch::new(&x, [2, 3, 4]).unwrap();
    for device in everywhere() {
        let readout = Readout::new(5, 2, ReadoutSteps::Last, vec![0.5; 10], None).unwrap();
        let with_readout = model(Cell::LSTM, 4, 5).with_readout(readout).unwrap();
        let engine = device.load(&with_readout).unwrap();
        let good = engine.output(batch.dims()).unwrap();
        let mut bad: Vec<(&str, Output)> = vec![
            ("y", engine.output(Dims::new(2, 4).unwrap()).unwrap()),
            ("y", engine.output(Dims::new(1, 3).unwrap()).unwrap()),
            ("h_n", Output { h_n: vec![7.0; 9], ..good.clone() }),
            ("c_n", Output { c_n: Some(vec![7.0; 11]), ..good.clone() }),
            ("c_n", Output { c_n: None, ..good.clone() }),
            ("out", Output { out: None, ..good.clone() }),
            ("out", Output { out: Some(vec![7.0; 12]), ..good.clone() }),
        ];
        for (name, output) in &mut bad {
            output.y.fill(7.0);
            let before = output.clone();
            let error = refused(engine.run_into(&batch, output), name);
            assert!(matches!(error, Error::Length { .. }), "{}: {error}", device.info());
            assert_eq!(*output, before, "{}: an output that was refused has changed", device.info());
        }
        let gru = device.load(&model(Cell::GRU, 4, 5)).unwrap();
        let mut with_c = gru.output(batch.dims()).unwrap();
        with_c.c_n = Some(vec![0.0; 10]);
        refused(gru.run_into(&batch, &mut with_c), "c_n");
    }
}

#[test]
fn sessions_of_no_stream_or_of_too_many() {
    for device in everywhere() {
        let info = device.info();
        let engine = device.load(&model(Cell::GRU, 3, 4)).unwrap();
        let error = refused(engine.session(0), "B (batch)");
        assert!(matches!(error, Error::Zero { .. }), "{info}: {error}");
        for streams in [usize::MAX, usize::MAX / 2, usize::MAX / 8] {
            let error = refused(engine.session(streams), "overflows");
            assert!(matches!(error, Error::Overflow { .. }), "{info}: {error}");
        }
    }
    // Sizes that do not overflow are checked against the device before anything is allocated.
    for device in adapters() {
        let engine = device.load(&model(Cell::GRU, 3, 4)).unwrap();
        for streams in [usize::MAX / 64, 1 << 40, 1 << 33] {
            let error = engine.session(streams).expect_err("more streams than any device has room for");
            assert!(matches!(error, Error::TooLarge { .. }), "{}: {error}", device.info());
            // A batch of as many rows is run in pieces.
            let dims = Dims::new(streams, 1).unwrap();
            let pieces = engine.pieces(dims).unwrap().expect("more rows than any device has room for");
            assert!(pieces.count > 1 && pieces.rows < streams, "{}: {pieces}", device.info());
            assert!(engine.explain(dims).unwrap().starts_with(&pieces.to_string()), "{}", device.info());
        }
        engine.session(2).unwrap().step(&[0.5; 6]).unwrap();
    }
    for device in [Device::cpu(), Device::reference()] {
        let engine = device.load(&model(Cell::GRU, 3, 4)).unwrap();
        let error = refused(engine.session(1 << 50), "no memory for");
        assert!(matches!(error, Error::Memory { .. }), "{error}");
        let error = engine.output(Dims::new(1 << 50, 1).unwrap()).expect_err("nor is there an output");
        assert!(matches!(error, Error::Memory { .. }), "{error}");
    }
}

/// The fields of Dims are public, so every function that takes them refuses sizes of 0.
#[test]
fn sizes_of_zero_get_no_plan_and_no_output() {
    for device in everywhere() {
        let engine = device.load(&model(Cell::GRU, 3, 4)).unwrap();
        for (batch, steps) in [(0, 1), (1, 0)] {
            let dims = Dims { batch, steps };
            let error = engine.prepare(dims).expect_err("there is nothing to prepare");
            assert!(matches!(error, Error::Zero { .. }), "{}: {error}", device.info());
            assert!(matches!(engine.output(dims), Err(Error::Zero { .. })));
            assert!(matches!(
                plan(engine.model(), dims, Precision::default(), &Caps::webgpu_minimum()),
                Err(Error::Zero { .. })
            ));
        }
    }
}

#[test]
fn a_device_without_threads_gets_no_plan() {
    let caps = Caps { max_threads: 0, ..Caps::webgpu_minimum() };
    let error =
        plan(&model(Cell::GRU, 3, 4), Dims::new(1, 1).unwrap(), Precision::default(), &caps).unwrap_err();
    assert!(matches!(error, Error::TooLarge { needed: 1, limit: 0, .. }), "{error}");
}

#[test]
fn session_steps_and_states_that_do_not_fit() {
    for device in everywhere() {
        for cell in [Cell::GRU, Cell::LSTM] {
            let info = device.info();
            let engine = device.load(&model(cell, 3, 4)).unwrap();
            let mut session = engine.session(2).unwrap();
            session.step(&[0.5; 6]).unwrap();
            let before = session.state().unwrap();

            for len in [0, 3, 5, 7, 12] {
                let error = session.step(&vec![0.5; len]).unwrap_err();
                assert_eq!(fields(error), length("x [B, I]", &[2, 3], len), "{info}");
            }
            let mut output = session.output().unwrap();
            output.y.pop();
            assert_eq!(
                fields(session.step_into(&[0.5; 6], &mut output).unwrap_err()),
                length("y [B, D·P]", &[2, 4], 7)
            );
            let mut output = session.output().unwrap();
            output.out = Some(vec![0.0; 2]);
            refused(session.step_into(&[0.5; 6], &mut output), "out");

            for len in [0, 7, 9] {
                let bad = State { h: vec![0.5; len], c: before.c.clone() };
                let error = session.set_state(&bad).unwrap_err();
                assert_eq!(fields(error), length("h [L·D, B, P]", &[1, 2, 4], len), "{info}");
            }
            if cell.has_c() {
                let bad = State { h: vec![0.5; 8], c: Some(vec![0.5; 7]) };
                let error = session.set_state(&bad).unwrap_err();
                assert_eq!(fields(error), length("c [L·D, B, H]", &[1, 2, 4], 7), "{info}");
                let error = refused(session.set_state(&State { h: vec![0.5; 8], c: None }), "LSTM");
                assert!(matches!(error, Error::Mismatch { .. }), "{info}: {error}");
            } else {
                let bad = State { h: vec![0.5; 8], c: Some(vec![0.5; 8]) };
                let error = refused(session.set_state(&bad), "no cell state");
                assert!(matches!(error, Error::Unsupported { .. }), "{info}: {error}");
            }
            assert_eq!(session.state().unwrap(), before, "{info}: a refused call has changed the state");
        }
    }
}

#[test]
fn unknown_devices_are_refused_with_a_list() {
    let listed: Vec<String> = Device::list().unwrap().iter().map(ToString::to_string).collect();
    let mut selectors = vec!["no such adapter", "vulkan:no such adapter", "gl:  no", "what:ever", "cpu2"];
    selectors.push(if cfg!(windows) { "metal" } else { "dx12" });
    for selector in selectors {
        let error = refused(Device::open(selector), selector);
        let Error::NoDevice { selector: named, found } = &error else { panic!("{error}") };
        assert_eq!(named, selector);
        assert!(!found.is_empty(), "\"{selector}\": nothing is listed");
        for name in found {
            assert!(listed.contains(name), "{name} is not among {listed:?}");
            assert!(error.to_string().contains(name.as_str()), "{error} does not list {name}");
        }
    }
    for (selector, name) in [("cpu", "cpu"), (" CPU ", "cpu"), ("reference", "reference")] {
        assert_eq!(Device::open(selector).unwrap().info().to_string(), name);
    }
}
