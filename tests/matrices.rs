//! Products by cooperative matrices, on every adapter that has usable ones: where the device may sum in any order, and weights
//! and activations are f16.

mod common;

use common::{Draw, Inputs, adapters, assert_close_in, bits, cells};
use wgru::dtype::Precision;
use wgru::model::{Activation, Activations};
use wgru::plan::{Only, Speed, Strategy};
use wgru::{Device, DeviceInfo, DeviceOptions, Direction, Layer, Model, Options, Storage, Weights};

/// Every adapter that has such matrices, opened with them. `WGRU_MATRICES` demands that there is one, where a driver of them was
/// installed; elsewhere there need be none.
fn devices() -> Vec<Device> {
    let mut found = Vec::new();
    for adapter in adapters() {
        let DeviceInfo::Gpu(info) = adapter.info() else { continue };
        assert_eq!(adapter.matrices(), None, "{}: opened without matrices", adapter.info());
        if info.matrices.is_none() {
            continue;
        }
        let selector = format!("{}:{}", info.backend, info.name);
        let device = Device::select_with(&selector, &DeviceOptions::default().matrices(true)).unwrap();
        assert_eq!(device.matrices(), info.matrices, "{selector}");
        found.push(device);
    }
    assert!(!found.is_empty() || std::env::var_os("WGRU_MATRICES").is_none(), "no adapter has matrices");
    if found.is_empty() {
        eprintln!("left out: no adapter has cooperative matrices of f16 with sums in f32");
    }
    found
}

/// What lets a plan make use of matrices, and has it believe that they are fast.
fn options() -> Options {
    let speed = Speed { matrix: 1, ..Speed::DISCRETE };
    let options = Options::default().poison(true).reproducible(false).speed(speed);
    options.weights(Storage::F16).activations(Storage::F16)
}

const PRECISION: Precision = Precision { weights: Storage::F16, activations: Storage::F16 };

/// `options` with each of the candidates that step by matrices.
fn with_matrices(device: &Device, model: &Model, inputs: &Inputs, options: &Options) -> Vec<Options> {
    let engine = device.load_with(model, options.clone()).unwrap();
    let all = engine.alternatives(inputs.batch().form()).unwrap();
    let of = |candidate: &wgru::plan::Candidate| {
        let (recipe, _) = candidate.outcome.as_ref().ok()?;
        recipe.recurrence.to_string().contains("matrices").then_some(Only {
            strategy: Some(candidate.strategy),
            rows: Some(candidate.rows),
            variant: Some(candidate.variant),
            wave: None,
        })
    };
    let only = all.iter().take(1).flatten().filter_map(of);
    only.map(|only| {
        let mut options = options.clone();
        options.only = only;
        options
    })
    .collect()
}

#[test]
fn every_cell_holds_against_the_reference() {
    let mut draw = Draw::new();
    for device in devices() {
        for (index, cell) in cells().into_iter().enumerate() {
            for layers in [1 + index % 2] {
                // Less than a matrix, ends beside one, more than a workgroup has.
                let hidden = [draw.size(1..=7), draw.size(15..=18), draw.size(63..=70)][(index + layers) % 3];
                let input = [draw.size(1..=5), draw.size(31..=34), 64][index % 3];
                let direction = draw.direction();
                let model = draw.model_of(cell, direction, input, hidden, layers);
                let model = if draw.chance() { draw.with_options(model) } else { model };
                let (batch, steps) = (draw.size(2..=150), draw.size(1..=9));
                let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
                let all = with_matrices(&device, &model, &inputs, &options());
                let context = format!("{}, {model}, B = {batch}, seed {}", device.info(), draw.seed);
                assert!(!all.is_empty(), "{context}: no candidate by matrices");
                for options in all {
                    let engine = device.load_with(&model, options).unwrap();
                    let plan = engine.explain(inputs.batch().form()).unwrap();
                    let context = format!("{context}: {plan}");
                    assert!(plan.contains("units, matrices of"), "{context}");
                    let rows = batch.next_multiple_of(4) * steps;
                    assert_eq!(plan.contains("matmul_matrices"), rows >= 32, "{context}");
                    let output = engine.run(&inputs.batch()).unwrap();
                    assert_close_in(PRECISION, &model, &inputs.batch(), &output, &context);
                }
            }
        }
    }
}

/// Where every product and sum is a whole number that f16 and f32 can hold, the order of sums does not matter, and h loses nothing:
/// so matrices give the very bits of the other kernels, and a wrong element is seen, however small.
#[test]
fn whole_numbers_come_out_exact() {
    let mut draw = Draw::new();
    for device in devices() {
        for (input, hidden, batch) in [(3, 5, 9), (40, 33, 70), (17, 64, 130), (64, 70, 33)] {
            let whole = |draw: &mut Draw, len: usize| -> Vec<f32> {
                (0..len).map(|_| draw.size(0..=2) as f32 - 1.0).collect()
            };
            let weights = (0..2).map(|_| Weights {
                w_ih: whole(&mut draw, hidden * input),
                w_hh: whole(&mut draw, hidden * hidden),
                b_ih: Some(whole(&mut draw, hidden)),
                ..Weights::default()
            });
            let cell = wgru::Cell::Rnn;
            let layer = Layer::new(cell, Direction::Bidirectional, input, hidden, weights.collect()).unwrap();
            let identity = Activation::new(wgru::model::Function::Affine, 1.0, 0.0).unwrap();
            let all = Activations { gate: identity, candidate: identity, output: identity };
            let layer = layer.with_activations(vec![all; 2]).unwrap();
            // What is beyond is cut off, so that nothing grows too large for an f16.
            let layer = layer.with_state_clip(64.0).unwrap();
            let model = Model::new(vec![layer]).unwrap();
            let x = whole(&mut draw, batch * 6 * input);
            let batch = wgru::Batch::new(&x, [batch, 6, input]).unwrap();
            let plain = device.load_with(&model, options().reproducible(true)).unwrap();
            let plan = plain.explain(batch.form()).unwrap();
            assert!(!plan.contains("matrices"), "{plan}");
            let expected = plain.run(&batch).unwrap();
            assert!(expected.y.iter().any(|y| *y != 0.0 && y.abs() < 64.0), "{model}");
            let engine = device.load_with(&model, options().strategy(Strategy::Step)).unwrap();
            for candidate in engine.alternatives(batch.form()).unwrap().iter().flatten() {
                let Ok((recipe, _)) = &candidate.outcome else { continue };
                if !recipe.recurrence.to_string().contains("matrices") {
                    continue;
                }
                let mut options = options().strategy(Strategy::Step);
                options.only.rows = Some(candidate.rows);
                options.only.variant = Some(candidate.variant);
                let engine = device.load_with(&model, options).unwrap();
                let context = format!("{}: {}", device.info(), engine.explain(batch.form()).unwrap());
                assert!(context.contains("matmul_matrices"), "{context}");
                assert!(context.contains("units, matrices of"), "{context}");
                let output = engine.run(&batch).unwrap();
                assert!(bits(&output.y) == bits(&expected.y), "{context}, seed {}", draw.seed);
                assert!(bits(&output.h_n) == bits(&expected.h_n), "{context}, seed {}", draw.seed);
            }
        }
    }
}

/// Matrices take what every run takes: sums in the order of all kernels unless it is given up, and f16 all over.
#[test]
fn nothing_but_f16_in_any_order_meets_matrices() {
    let mut draw = Draw::new();
    let model = draw.model(wgru::Cell::GRU, 20, 40, 1);
    let inputs = Inputs::draw(&mut draw, &model, 80, 4);
    for device in devices() {
        for (options, expected) in [
            (options(), true),
            (options().reproducible(true), false),
            (options().weights(Storage::F32).activations(Storage::F32), false),
            (options().activations(Storage::F32), false),
            (options().weights(Storage::F32), false),
            (options().weights(Storage::Bf16).activations(Storage::Bf16), false),
        ] {
            let engine = device.load_with(&model, options).unwrap();
            let plan = engine.explain(inputs.batch().form()).unwrap();
            assert_eq!(plan.contains("matmul_matrices"), expected, "{plan}");
        }
    }
}
