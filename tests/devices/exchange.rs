//! Multi-workgroup kernels on devices without a passed self-test. With one step to a dispatch, where no workgroup
//! waits, packing and addressing are tested. With longer chunks software drivers take the fallback path, since they
//! mostly run workgroups one after the other.

use crate::common::told::{assert_told, told};
use crate::common::{Draw, Inputs, adapters, assert_close_in, bits, in_turn, own_adapters};
use wgru::dtype::Precision;
use wgru::engine::{Exchange, SelfTest, StoppedAt};
use wgru::kernels::Rows;
use wgru::model::Reset;
use wgru::plan::{Candidate, Fault, Only, Speed, Strategy};
use wgru::program::Stopped;
use wgru::{
    Batch, Cell, Device, DeviceInfo, Dims, Direction, Engine, Error, Layer, Merge, Model, Options, Output,
    Storage, Weights,
};

fn forced(steps: usize, fault: Fault) -> Exchange {
    Exchange::Forced(wgru::plan::Exchange { workgroups: 1 << 16, workgroup_bytes: 1 << 16, steps, fault })
}

/// Multi-workgroup kernels of so many rows, the first of their variants.
fn of_rows(rows: Rows) -> Only {
    Only { strategy: Some(Strategy::MultiWorkgroup), rows: Some(rows), variant: Some(0), ..Only::default() }
}

fn options(strategy: Strategy, variant: usize, exchange: Exchange) -> Options {
    Options::default().fill_nan(true).exchange(exchange).only(Only {
        strategy: Some(strategy),
        variant: Some(variant),
        ..Only::default()
    })
}

fn all_bits(output: &Output) -> (Vec<u32>, Vec<u32>, Option<Vec<u32>>) {
    (bits(&output.y), bits(&output.h_n), output.c_n.as_deref().map(bits))
}

/// The model on `device` with per-step kernels.
fn stepwise(device: &Device, model: &Model, batch: &Batch<'_>, storage: [Storage; 2]) -> Output {
    let options = options(Strategy::Step, 0, Exchange::Never).weights(storage[0]).activations(storage[1]);
    device.load_with(model, options).unwrap().run(batch).unwrap()
}

/// `model` with random activations, clips and peepholes; a projection has no kernel of this kind.
fn unprojected(draw: &mut Draw, model: Model) -> Model {
    loop {
        let dressed = draw.with_options(model.clone());
        if dressed.layers().iter().all(|layer| layer.projection().is_none()) {
            return dressed;
        }
    }
}

fn multi_workgroup(engine: &Engine, batch: &Batch<'_>) -> Output {
    let plan = engine.explain(batch.run_shape()).unwrap();
    assert!(plan.contains("workgroups"), "{plan}");
    engine.run(batch).unwrap()
}

#[test]
fn one_step_to_a_dispatch_gives_the_bits_of_steps() {
    let mut draw = Draw::new();
    let mut alone = 0;
    for (index, device, cell) in in_turn(Cell::ALL.to_vec(), draw.seed) {
        // Units that fill the last workgroup and that do not; a last block of two k.
        let hidden = [draw.size(65..=70), 96, 98][index % 3];
        let layers = 1 + index % 2;
        let model = draw.any_model(cell, 3, hidden, layers);
        let model = unprojected(&mut draw, model);
        let storage = [Storage::F32, Storage::F16, Storage::Bf16][index % 3];
        let activations = if draw.chance() { storage } else { Storage::F32 };
        let (batch, steps) = (draw.size(1..=9), draw.size(2..=5));
        let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
        let truth = stepwise(&device, &model, &inputs.batch(), [storage, activations]);
        let mut options = Options::default().fill_nan(true).exchange(forced(1, Fault::None));
        options = options.weights(storage).activations(activations);
        // Threads that have every gate of their unit, or one.
        if draw.chance() {
            options = options.speed(Speed { held: 80, held4: 48, ..Speed::SOFTWARE });
        }
        let all = device
            .load_with(&model, options.clone())
            .unwrap()
            .alternatives(inputs.batch().run_shape())
            .unwrap();
        let candidates = all[0].iter().filter(|candidate| candidate.outcome.is_ok());
        let mut candidates: Vec<&Candidate> =
            candidates.filter(|candidate| candidate.strategy == Strategy::MultiWorkgroup).collect();
        // Two of them, since software drivers take seconds to compile one.
        while candidates.len() > 2 {
            candidates.swap_remove(draw.size(0..=candidates.len() - 1));
        }
        for candidate in candidates {
            options = options.only(Only {
                strategy: Some(Strategy::MultiWorkgroup),
                rows: Some(candidate.rows),
                variant: Some(candidate.variant),
                ..Only::default()
            });
            let engine = device.load_with(&model, options.clone()).unwrap();
            let output = multi_workgroup(&engine, &inputs.batch());
            let plan = engine.explain(inputs.batch().run_shape()).unwrap();
            let context = format!("{}, {model}, {storage}: {plan}, seed {}", device.info(), draw.seed);
            assert_close_in(options.precision(), &model, &inputs.batch(), &output, &context);
            assert!(all_bits(&output) == all_bits(&truth), "{context}");
            // r ⊙ h has to be exchanged within the step.
            if !matches!(cell, Cell::Gru { reset: Reset::Before, .. }) {
                assert_eq!(engine.fallbacks().count, 0, "{context}");
                alone += 1;
            }
        }
    }
    assert!(alone > 0);
}

/// For devices that run too few workgroups side by side to keep all weights. A chunk is dispatched repeatedly and its
/// exchange words are kept, so that workgroups complete although they run one after the other.
#[test]
fn partially_register_resident_weights_give_the_bits_of_steps() {
    let mut draw = Draw::new();
    let cases = vec![
        (Cell::GRU, Storage::F16, Rows::One),
        (Cell::ORIGINAL_GRU, Storage::F32, Rows::One),
        (Cell::LSTM, Storage::F16, Rows::Four),
    ];
    for (_, device, (cell, storage, rows)) in in_turn(cases, draw.seed) {
        let hidden = draw.size(280..=290);
        let model = draw.model(cell, 3, hidden, 1);
        let model = unprojected(&mut draw, model);
        let batch = if rows == Rows::Four { 5 } else { 1 };
        let inputs = Inputs::draw(&mut draw, &model, batch, 4);
        let truth = stepwise(&device, &model, &inputs.batch(), [storage, Storage::F32]);
        let with = |workgroups: u32| {
            let fault = Fault::Again { times: 8 };
            let (workgroup_bytes, steps) = (1 << 16, 2);
            let exchange = wgru::plan::Exchange { workgroups, workgroup_bytes, steps, fault };
            let options = options(Strategy::MultiWorkgroup, 0, Exchange::Forced(exchange)).weights(storage);
            let options = options.only(of_rows(rows));
            let engine = device.load_with(&model, options).unwrap();
            let plan = engine.explain(inputs.batch().run_shape()).unwrap();
            (plan.contains("blocks held") && plan.contains("workgroups")).then_some((engine, plan))
        };
        // With fewer and fewer workgroups, until the planner chooses such a kernel.
        let (engine, plan) = (1..=256).rev().find_map(with).unwrap_or_else(|| {
            panic!("{}, {model}, {storage}, {rows:?}: no kernel keeps a part", device.info())
        });
        let output = engine.run(&inputs.batch()).unwrap();
        let context = format!("{}, {model}, {storage}: {plan}, seed {}", device.info(), draw.seed);
        assert_eq!(plan.contains("packed"), storage == Storage::F16, "{context}");
        assert_eq!(plan.contains("(4 rows"), rows == Rows::Four, "{context}");
        let precision = Precision { weights: storage, ..Precision::default() };
        assert_close_in(precision, &model, &inputs.batch(), &output, &context);
        assert!(all_bits(&output) == all_bits(&truth), "{context}");
        assert_eq!(engine.fallbacks().count, 0, "{context}");
    }
}

/// How many runs fell back, and the layer and step of the last.
pub fn fallbacks(engine: &Engine) -> (u64, Option<(usize, usize)>) {
    let all = engine.fallbacks();
    (all.count, all.last.map(|last| (last.layer, last.step)))
}

/// One step to a dispatch, so that chunks complete until the one with the fault.
#[test]
fn a_run_falls_back_from_the_chunk_that_failed() {
    let mut draw = Draw::new();
    let (layers, steps) = (2, 3);
    for (_, device, cell) in in_turn(vec![Cell::GRU, Cell::LSTM, Cell::Rnn], draw.seed) {
        let model = draw.any_model(cell, 3, 96, layers);
        let inputs = Inputs::draw(&mut draw, &model, 5, steps).ragged(&mut draw);
        let truth = stepwise(&device, &model, &inputs.batch(), [Storage::F32; 2]);
        for chunk in 0..layers * steps {
            let fault = Fault::Dies { group: draw.size(0..=1) as u32, chunk: chunk as u32, step: 0 };
            let engine =
                device.load_with(&model, options(Strategy::MultiWorkgroup, 0, forced(1, fault))).unwrap();
            let context = format!("{}, {model}, {fault:?}, seed {}", device.info(), draw.seed);
            let (output, events) = told(|| multi_workgroup(&engine, &inputs.batch()));
            assert!(all_bits(&output) == all_bits(&truth), "{context}");
            let at = (chunk / steps, chunk % steps);
            let place = format!("from step {} of layer {} on", at.1, at.0);
            assert_told(&events, "WARN wgru::run", &[&device.info().to_string(), &place]);
            assert_eq!(fallbacks(&engine), (1, Some(at)), "{context}");
        }
    }
}

#[test]
fn a_run_whose_workgroups_fail_is_finished_with_the_same_bits() {
    let mut draw = Draw::new();
    let cases = vec![Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM, Cell::Rnn];
    for (_, device, cell) in in_turn(cases, draw.seed) {
        // The failed layer may read an array that the layer above has overwritten with invalid values.
        let kinds = [draw.merge(), Merge::Sum, draw.merge()];
        let kinds = kinds.map(|merge| (Direction::Bidirectional, merge));
        let model = draw.stack(cell, &kinds, 3, 96);
        let inputs = Inputs::draw(&mut draw, &model, 5, 17).ragged(&mut draw);
        let truth = stepwise(&device, &model, &inputs.batch(), [Storage::F32; 2]);
        for fault in [
            Fault::None,
            // A workgroup that never writes, one that stops half-way, one that is late.
            Fault::Dies { group: 0, chunk: 0, step: 0 },
            Fault::Dies { group: 1, chunk: 0, step: 3 },
            Fault::Late { polls: 50 },
            Fault::Again { times: 2 },
        ] {
            let engine =
                device.load_with(&model, options(Strategy::MultiWorkgroup, 0, forced(7, fault))).unwrap();
            let context = format!("{}, {model}, {fault:?}, seed {}", device.info(), draw.seed);
            for run in 1..=2 {
                let output = multi_workgroup(&engine, &inputs.batch());
                assert!(all_bits(&output) == all_bits(&truth), "{context}, run {run}");
                if let Fault::Dies { .. } = fault {
                    let last = Some((0, 0));
                    assert_eq!(fallbacks(&engine), (run, last), "{context}");
                }
            }
        }
    }
}

/// Chunks are dispatched repeatedly with their exchange words kept. Workgroups that run one after the other get one
/// exchange further each time, so every exchange word is read from the place where it was written.
#[test]
fn exchange_words_reach_their_readers() {
    let mut draw = Draw::new();
    let cells = [(Cell::GRU, 70), (Cell::ORIGINAL_GRU, 66), (Cell::LSTM, 50), (Cell::Rnn, 194)];
    let cases = cells.iter().flat_map(|&cell| [Rows::One, Rows::Four].map(|rows| (cell, rows))).collect();
    for (_, device, ((cell, hidden), rows)) in in_turn(cases, draw.seed) {
        let model = draw.model_of(cell, Direction::Bidirectional, 3, hidden, 2);
        let inputs = Inputs::draw(&mut draw, &model, if rows == Rows::One { 2 } else { 5 }, 4);
        let truth = stepwise(&device, &model, &inputs.batch(), [Storage::F32; 2]);
        let options =
            options(Strategy::MultiWorkgroup, 0, forced(3, Fault::Again { times: 8 })).only(of_rows(rows));
        let engine = device.load_with(&model, options).unwrap();
        let output = multi_workgroup(&engine, &inputs.batch());
        let plan = engine.explain(inputs.batch().run_shape()).unwrap();
        let context = format!("{}, {model}: {plan}, seed {}", device.info(), draw.seed);
        assert_eq!(engine.fallbacks().count, 0, "{context}");
        assert!(all_bits(&output) == all_bits(&truth), "{context}");
    }
}

/// A fallback reports where the run stopped: in the first exchange, or in a later one, depending on the number of rounds.
#[test]
fn a_fallback_says_where_its_workgroups_stopped() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 3, 96, 1);
    for device in adapters() {
        let inputs = Inputs::draw(&mut draw, &model, 2, 9);
        let cause = |times, chunk_steps, fault: fn(u32) -> Fault| {
            let exchange = forced(chunk_steps, fault(times));
            let engine = device.load_with(&model, options(Strategy::MultiWorkgroup, 0, exchange)).unwrap();
            _ = engine.run(&inputs.batch()).unwrap();
            engine.fallbacks().last.map(|last| last.cause)
        };
        // The workgroup that stops writing has written `step` exchanges of the only chunk.
        let stops = |step| Fault::Dies { group: 0, chunk: 0, step };
        let first = cause(0, 9, stops);
        assert_eq!(first, Some(Stopped::NeverSeen), "{}", device.info());
        for times in 2..5 {
            // Too few rounds for workgroups that run one after the other.
            let again = cause(times, 9, |times| Fault::Again { times });
            let is_later = |exchange| exchange > 0 && exchange < 8;
            assert!(
                again.is_none_or(|cause| matches!(cause, Stopped::Late { exchange } if is_later(exchange))),
                "{}, {times} rounds: {again:?}",
                device.info()
            );
        }
    }
}

/// A layer that does not read the abort word, above the one that fails, may have read invalid values and overwritten
/// its input.
#[test]
fn a_stack_of_several_strategies_falls_back_as_well() {
    let mut draw = Draw::new();
    let hidden = 50;
    let scale = 1.0 / (hidden as f32).sqrt();
    let mut layers = Vec::new();
    for index in 0..4 {
        let input = if index == 0 { 3 } else { hidden };
        let weights = Weights {
            w_ih: draw.values(4 * hidden * input, scale),
            w_hh: draw.values(4 * hidden * hidden, scale),
            // Its steps are always dispatched one by one.
            w_hr: (index == 2).then(|| draw.values(hidden * hidden, scale)),
            ..Weights::default()
        };
        layers.push(Layer::new(Cell::LSTM, Direction::Forward, input, hidden, vec![weights]).unwrap());
    }
    let model = Model::new(layers).unwrap();
    for device in adapters() {
        let inputs = Inputs::draw(&mut draw, &model, 2, 3);
        let truth = stepwise(&device, &model, &inputs.batch(), [Storage::F32; 2]);
        // The faults are in layers 0, 1 and 3: only these have chunks that may fail.
        for (chunk, layer) in [(1, 0), (4, 1), (7, 3)] {
            let fault = Fault::Dies { group: 0, chunk, step: 0 };
            let engine =
                device.load_with(&model, options(Strategy::MultiWorkgroup, 0, forced(1, fault))).unwrap();
            let context = format!("{}, {model}, {fault:?}, seed {}", device.info(), draw.seed);
            assert!(all_bits(&multi_workgroup(&engine, &inputs.batch())) == all_bits(&truth), "{context}");
            let at = (layer, 1);
            assert_eq!(fallbacks(&engine), (1, Some(at)), "{context}");
        }
    }
}

#[test]
fn a_staged_run_that_fails_is_an_error() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 3, 96, 1);
    for device in adapters() {
        let inputs = Inputs::draw(&mut draw, &model, 2, 3);
        for (fault, comes_through) in
            [(Fault::None, true), (Fault::Dies { group: 1, chunk: 2, step: 0 }, false)]
        {
            let engine =
                device.load_with(&model, options(Strategy::MultiWorkgroup, 0, forced(1, fault))).unwrap();
            let mut staged = engine.stage(&inputs.batch()).unwrap();
            let mut output = engine.output(inputs.batch().run_shape()).unwrap();
            for _ in 0..2 {
                let run = staged.run();
                assert_eq!(run.is_ok(), comes_through, "{}: {run:?}", device.info());
                assert_eq!(staged.read_into(&mut output).is_ok(), comes_through, "{}", device.info());
                let said = run.err().map(|error| error.to_string());
                assert!(said.is_none_or(|said| said.contains("layer 0 from step 2")), "{}", device.info());
            }
        }
    }
}

/// Without a passed self-test nothing is exchanged unless the option forces it. The self-test itself can be run on
/// any device.
#[test]
fn without_a_self_test_nothing_is_exchanged() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 3, 256, 1);
    // The device keeps the result of the self-test.
    for device in own_adapters() {
        let DeviceInfo::Gpu(info) = device.info() else { panic!("{} is no GPU", device.info()) };
        if !info.software {
            continue;
        }
        let error = device.self_test().unwrap_err();
        assert!(matches!(&error, Error::Unsupported { what } if what.contains("software")), "{error}");
        assert_eq!(device.exchange(), None);
        let engine = device.load_with(&model, Options::default().strategy(Strategy::MultiWorkgroup)).unwrap();
        let all = engine.alternatives(Dims::new(4, 10).unwrap()).unwrap();
        let mut multi_workgroup =
            all[0].iter().filter(|candidate| candidate.strategy == Strategy::MultiWorkgroup);
        assert!(
            multi_workgroup.all(|candidate| {
                matches!(&candidate.outcome, Err(reason) if reason.contains("self-test"))
            })
        );

        // Both runs in which a workgroup stops writing are found incomplete and fall back; otherwise the self-test
        // returns an error.
        let found = pollster::block_on(device.try_exchange_async()).unwrap();
        assert_eq!(found.rescued, 2, "{found:?}");
        // A software driver does not run all of them at once, and the report says so.
        let SelfTest { workgroups, stopped: Some(StoppedAt { workgroups: tried, cause }), .. } = found else {
            panic!("{found:?}")
        };
        assert!(tried > workgroups, "{found:?}");
        assert!(
            matches!(cause, Stopped::NotStarted { started, all } if started < all && all == tried),
            "{found:?}"
        );
        assert!(found.to_string().contains(&cause.to_string()), "{found}");
        assert_eq!(device.exchange(), None);
    }
    assert!(matches!(Device::cpu().self_test(), Err(Error::Unsupported { .. })));
}

/// Many runs with faults of all kinds in turn; `WGRU_SOAK` is the number of runs.
#[test]
fn a_soak_of_runs_that_fail_and_of_runs_that_do_not() {
    let runs = std::env::var("WGRU_SOAK").map_or(40, |runs| runs.parse().expect("WGRU_SOAK"));
    let mut draw = Draw::new();
    for device in adapters() {
        let model = draw.model(Cell::LSTM, 3, 50, 2);
        let exchanges = [
            forced(1, Fault::None),
            forced(1, Fault::Dies { group: 0, chunk: 3, step: 0 }),
            forced(1, Fault::Dies { group: 1, chunk: 5, step: 0 }),
            forced(3, Fault::None),
            forced(4, Fault::Dies { group: 1, chunk: 0, step: 2 }),
            forced(4, Fault::Late { polls: 20 }),
        ];
        let engines = exchanges.map(|exchange| {
            device.load_with(&model, options(Strategy::MultiWorkgroup, 0, exchange)).unwrap()
        });
        for run in 0..runs {
            let (batch, steps) = (draw.size(1..=3), draw.size(4..=8));
            let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
            let truth = stepwise(&device, &model, &inputs.batch(), [Storage::F32; 2]);
            let engine = &engines[run % engines.len()];
            let output = multi_workgroup(engine, &inputs.batch());
            let context = format!("{}, run {run}, seed {}", device.info(), draw.seed);
            assert!(all_bits(&output) == all_bits(&truth), "{context}");
        }
        let fallbacks = engines.each_ref().map(|engine| engine.fallbacks().count);
        println!("{}: {runs} runs, fallbacks of each fault: {fallbacks:?}", device.info());
        assert_eq!(fallbacks[0], 0, "{}", device.info());
        assert_eq!(fallbacks[1], (runs as u64 + 4) / 6, "{}", device.info());
    }
}
