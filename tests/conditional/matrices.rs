//! Products by cooperative matrices, on every adapter that supports them: with a free reduction order, and weights
//! and activations in f16.

use std::sync::LazyLock;

use crate::common::{Draw, Inputs, assert_close_in, bits};
use libtest_mimic::Trial;
use wgru::dtype::Precision;
use wgru::kernels::matrices::Matrices;
use wgru::model::{Activation, Activations, Function};
use wgru::plan::{self, Caps, Only, Request, Speed};
use wgru::{
    Batch, Cell, Device, DeviceInfo, DeviceOptions, Dims, Direction, Layer, Model, Options, Readout,
    ReadoutSteps, RunShape, Storage, Weights,
};

use crate::{Found, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("matrices::every_cell_holds_against_the_reference", devices, every_cell_holds),
        trial("matrices::whole_numbers_come_out_exact", devices, whole_numbers_come_out_exact),
        trial("matrices::stacks_pipelining_sessions_and_readouts_are_exact", devices, stacks_come_out_exact),
        trial(
            "matrices::plans_make_use_of_matrices_where_a_device_has_room_for_them",
            || Ok(()),
            |()| plans(),
        ),
        trial(
            "matrices::matrices_need_f16_and_a_free_reduction_order",
            devices,
            needs_f16_and_a_free_reduction_order,
        ),
    ]
}

/// Every adapter with such matrices, opened with them. `WGRU_MATRICES` requires at least one, if a driver with
/// matrices is installed; otherwise there may be none.
fn devices() -> Found<Vec<Device>> {
    static FOUND: LazyLock<Vec<Device>> = LazyLock::new(open);
    assert!(!FOUND.is_empty() || std::env::var_os("WGRU_MATRICES").is_none(), "no adapter has matrices");
    match FOUND.is_empty() {
        true => Err("no adapter has cooperative matrices of f16 with sums in f32".into()),
        false => Ok(FOUND.clone()),
    }
}

fn open() -> Vec<Device> {
    let mut found = Vec::new();
    for info in Device::list().unwrap() {
        let DeviceInfo::Gpu(info) = info else { continue };
        if info.matrices.is_none() {
            continue;
        }
        let selector = format!("{}:{}", info.backend, info.name);
        assert_eq!(Device::open(&selector).unwrap().matrices(), None, "{selector}: opened without");
        let device = Device::open_with(&selector, &DeviceOptions::default().matrices(true)).unwrap();
        assert_eq!(device.matrices(), info.matrices, "{selector}");
        found.push(device);
    }
    found
}

/// Lets the planner use matrices, and makes it predict that they are fast.
fn options() -> Options {
    let speed = Speed { matrix: 1, ..Speed::DISCRETE };
    let options = Options::default().fill_nan(true).reproducible(false).speed(speed);
    options.weights(Storage::F16).activations(Storage::F16)
}

const PRECISION: Precision = Precision { weights: Storage::F16, activations: Storage::F16 };

/// `options` with each of the candidates that compute steps with matrices.
fn with_matrices(device: &Device, model: &Model, run_shape: RunShape, options: &Options) -> Vec<Options> {
    by_matrices(device, model, run_shape, options)
        .into_iter()
        .map(|only| options.clone().only(only))
        .collect()
}

/// The candidates that compute steps with matrices.
fn by_matrices(device: &Device, model: &Model, run_shape: RunShape, options: &Options) -> Vec<Only> {
    let engine = device.load_with(model, options.clone()).unwrap();
    let all = engine.alternatives(run_shape).unwrap();
    let of = |candidate: &plan::Candidate| {
        let (recipe, _) = candidate.outcome.as_ref().ok()?;
        recipe.recurrence.to_string().contains("matrices").then_some(Only {
            strategy: Some(candidate.strategy),
            rows: Some(candidate.rows),
            variant: Some(candidate.variant),
            pipelining: None,
        })
    };
    all.iter().take(1).flatten().filter_map(of).collect()
}

fn every_cell_holds(devices: Vec<Device>) {
    let mut draw = Draw::new();
    for device in devices {
        for (index, cell) in Cell::ALL.into_iter().enumerate() {
            for layers in [1 + index % 2] {
                // Sizes below a matrix, sizes that end inside one, and sizes larger than a workgroup's part.
                let hidden = [draw.size(1..=7), draw.size(15..=18), draw.size(63..=70)][(index + layers) % 3];
                let input = [draw.size(1..=5), draw.size(31..=34), 64][index % 3];
                let model = draw.any_model(cell, input, hidden, layers);
                let model = if draw.chance() { draw.with_options(model) } else { model };
                let (batch, steps) = (draw.size(2..=150), draw.size(1..=9));
                let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
                let all = with_matrices(&device, &model, inputs.batch().run_shape(), &options());
                let context = format!("{}, {model}, B = {batch}, seed {}", device.info(), draw.seed);
                assert!(!all.is_empty(), "{context}: no candidate by matrices");
                for options in all {
                    let engine = device.load_with(&model, options).unwrap();
                    let plan = engine.explain(inputs.batch().run_shape()).unwrap();
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

/// Integers, −1 to 1.
fn whole(draw: &mut Draw, len: usize) -> Vec<f32> {
    (0..len).map(|_| draw.size(0..=2) as f32 - 1.0).collect()
}

/// RNNs without activations, with integers alone. Values beyond 64 are clipped, so that none exceeds an f16.
fn whole_model(draw: &mut Draw, direction: Direction, input: usize, hidden: usize, layers: usize) -> Model {
    let identity = Activation::new(Function::Affine, 1.0, 0.0).unwrap();
    let all = Activations { gate: identity, candidate: identity, output: identity };
    let stack = (0..layers).map(|index| {
        let input = if index == 0 { input } else { direction.count() * hidden };
        let weights = (0..direction.count()).map(|_| Weights {
            w_ih: whole(draw, hidden * input),
            w_hh: whole(draw, hidden * hidden),
            b_ih: Some(whole(draw, hidden)),
            ..Weights::default()
        });
        let layer = Layer::new(Cell::Rnn, direction, input, hidden, weights.collect()).unwrap();
        let layer = layer.with_activations(vec![all; direction.count()]).unwrap();
        layer.with_state_clip(64.0).unwrap()
    });
    Model::new(stack.collect()).unwrap()
}

/// If every product and sum is an integer that f16 and f32 can hold, the reduction order does not matter, and h loses
/// nothing. So matrices give exactly the bits of the other kernels, and any wrong element is detected.
fn whole_numbers_come_out_exact(devices: Vec<Device>) {
    let mut draw = Draw::new();
    for device in devices {
        for (input, hidden, batch) in [(3, 5, 9), (40, 33, 70), (17, 64, 130), (64, 70, 33)] {
            let model = whole_model(&mut draw, Direction::Bidirectional, input, hidden, 1);
            let x = whole(&mut draw, batch * 6 * input);
            let batch = Batch::new(&x, [batch, 6, input]).unwrap();
            let plain = device.load_with(&model, options().reproducible(true)).unwrap();
            let plan = plain.explain(batch.run_shape()).unwrap();
            assert!(!plan.contains("matrices"), "{plan}");
            let expected = plain.run(&batch).unwrap();
            assert!(expected.y.iter().any(|y| *y != 0.0 && y.abs() < 64.0), "{model}");
            for options in with_matrices(&device, &model, batch.run_shape(), &options()) {
                let engine = device.load_with(&model, options).unwrap();
                let context = format!("{}: {}", device.info(), engine.explain(batch.run_shape()).unwrap());
                assert!(context.contains("matmul_matrices"), "{context}");
                assert!(context.contains("units, matrices of"), "{context}");
                let output = engine.run(&batch).unwrap();
                assert!(bits(&output.y) == bits(&expected.y), "{context}, seed {}", draw.seed);
                assert!(bits(&output.h_n) == bits(&expected.h_n), "{context}, seed {}", draw.seed);
            }
        }
    }
}

/// The same for a stack with a readout: one layer after the other, pipelined, and step by step in a session.
fn stacks_come_out_exact(devices: Vec<Device>) {
    let mut draw = Draw::new();
    let (input, hidden, rows, steps, outputs) = (9, 21, 40, 7, 5);
    for device in devices {
        let model = whole_model(&mut draw, Direction::Forward, input, hidden, 3);
        let w = whole(&mut draw, outputs * hidden);
        let readout = Readout::new(hidden, outputs, ReadoutSteps::Every, w, None).unwrap();
        let model = model.with_readout(readout).unwrap();
        let x = whole(&mut draw, rows * steps * input);
        let batch = Batch::new(&x, [rows, steps, input]).unwrap();
        let plain = device.load_with(&model, options().reproducible(true)).unwrap();
        let expected = plain.run(&batch).unwrap();
        let only = by_matrices(&device, &model, batch.run_shape(), &options()).remove(0);
        for pipelining in [0, 2, 4] {
            let options = options().only(Only { pipelining: Some(pipelining), ..only });
            let engine = device.load_with(&model, options.clone()).unwrap();
            let context = format!("{}: {}", device.info(), engine.explain(batch.run_shape()).unwrap());
            assert!(context.contains("units, matrices of"), "{context}");
            assert!(context.contains("readout: matmul_matrices"), "{context}");
            assert_eq!(context.contains("all layers at once"), pipelining > 0, "{context}");
            let output = engine.run(&batch).unwrap();
            let context = format!("{context}, seed {}", draw.seed);
            assert!(bits(&output.y) == bits(&expected.y), "{context}");
            assert!(bits(&output.h_n) == bits(&expected.h_n), "{context}");
            assert_eq!(output.out, expected.out, "{context}");
        }
        let engine = device.load_with(&model, options().only(only)).unwrap();
        let one = Batch::new(&x[..rows * input], [rows, 1, input]).unwrap();
        let plan = engine.explain(one.run_shape()).unwrap();
        assert!(plan.contains("units, matrices of"), "{plan}");
        let mut session = engine.session(rows).unwrap();
        let of_step = |all: &[f32], features: usize, t: usize| -> Vec<f32> {
            let rows = all.chunks_exact(steps * features);
            rows.flat_map(|row| row[t * features..(t + 1) * features].to_vec()).collect()
        };
        for t in 0..steps {
            let output = session.step(&of_step(&x, input, t)).unwrap();
            assert_eq!(output.y, of_step(&expected.y, hidden, t), "step {t}, seed {}", draw.seed);
            let out = expected.out.as_deref().map(|out| of_step(out, outputs, t));
            assert_eq!(output.out, out, "step {t}, seed {}", draw.seed);
        }
    }
}

/// Matrices are refused with a fixed reduction order, and with anything but f16.
fn needs_f16_and_a_free_reduction_order(devices: Vec<Device>) {
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 20, 40, 1);
    let inputs = Inputs::draw(&mut draw, &model, 80, 4);
    for device in devices {
        for (options, expected) in [
            (options(), true),
            (options().reproducible(true), false),
            (options().weights(Storage::F32).activations(Storage::F32), false),
            (options().activations(Storage::F32), false),
            (options().weights(Storage::F32), false),
            (options().weights(Storage::Bf16).activations(Storage::Bf16), false),
        ] {
            let engine = device.load_with(&model, options).unwrap();
            let plan = engine.explain(inputs.batch().run_shape()).unwrap();
            assert_eq!(plan.contains("matmul_matrices"), expected, "{plan}");
        }
    }
}

/// The plan's use of matrices, without a device: projections, steps, both or neither.
fn planned(model: &Model, [batch, steps]: [usize; 2], request: Request, caps: &Caps) -> [bool; 2] {
    let plan = plan::plan(model, Dims::new(batch, steps).unwrap(), request, caps).unwrap().to_string();
    [plan.contains("matmul_matrices"), plan.contains("units, matrices of")]
}

fn plans() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::LSTM, 64, 700, 1);
    let speed = Speed { matrix: 1, ..Speed::DISCRETE };
    let matrices = Some(Matrices { side: 16, subgroup: 32 });
    let caps = Caps { max_workgroup_bytes: 48 << 10, speed, matrices, ..Caps::webgpu_minimum() };
    let request = Request { precision: PRECISION, any_reduction_order: true, ..Request::default() };
    let of = |sizes: [usize; 2], request: Request, caps: &Caps| planned(&model, sizes, request, caps);
    assert_eq!(of([64, 5], request, &caps), [true, true]);
    // One row does not fill a matrix of a step.
    assert_eq!(of([1, 50], request, &caps), [true, false]);
    assert_eq!(of([1, 1], request, &caps), [false, false]);
    assert_eq!(of([64, 5], Request { any_reduction_order: false, ..request }, &caps), [false, false]);
    assert_eq!(of([64, 5], Request { precision: Precision::default(), ..request }, &caps), [false, false]);
    for small in [
        Caps { matrices: None, ..caps.clone() },
        Caps { max_threads: 64, ..caps.clone() },
        Caps { max_workgroup_bytes: 16 << 10, ..caps.clone() },
        Caps { speed: Speed { matrix: 1 << 40, ..speed }, ..caps.clone() },
    ] {
        assert_eq!(of([64, 5], request, &small), [false, false], "{small:?}");
    }
    // A step with two matrices for each gate takes more memory than with one, which takes more than the matmul.
    let some = Caps { max_workgroup_bytes: 30_000, ..caps.clone() };
    assert_eq!(of([64, 5], request, &some), [true, true]);
    let less = Caps { max_workgroup_bytes: 28_000, ..caps.clone() };
    assert_eq!(of([64, 5], request, &less), [true, false]);
    // A driver that ends loops early: 700 k of a step are more than 64 of the projection.
    let cut = Caps { max_iterations: Some(400), ..caps };
    assert!(!of([64, 5], request, &cut)[1]);
}
