//! Pipelined layers of a stack, each a chunk behind the one below, against one layer after the other: the same bits.

use super::exchange::fallbacks;
use crate::common::{Draw, Inputs, adapters, bits};
use wgru::engine::Exchange;
use wgru::kernels::{Definition, Rows};
use wgru::plan::{Fault, Only, Speed, Strategy};
use wgru::{
    Cell, Device, Dims, Direction, Engine, Layer, Merge, Model, Options, Output, ReadoutSteps, Storage,
};

fn options(strategy: Strategy, pipelining: usize) -> Options {
    Options::default().fill_nan(true).only(Only {
        strategy: Some(strategy),
        pipelining: Some(pipelining),
        ..Only::default()
    })
}

/// Options for multi-workgroup kernels in chunks of at most `steps`, as if the device had passed the self-test.
fn multi_workgroup(pipelining: usize, steps: usize, fault: Fault) -> Options {
    let (workgroups, workgroup_bytes) = (1 << 16, 1 << 16);
    let exchange = wgru::plan::Exchange { workgroups, workgroup_bytes, steps, fault };
    options(Strategy::MultiWorkgroup, pipelining).exchange(Exchange::Forced(exchange))
}

fn all_bits(output: &Output) -> [Vec<u32>; 4] {
    let Output { y, h_n, c_n, out } = output;
    [bits(y), bits(h_n), bits(c_n.as_deref().unwrap_or_default()), bits(out.as_deref().unwrap_or_default())]
}

/// `model` with random projections, peepholes, activations and clips, the same in every layer, since one kernel
/// serves all.
fn dressed_alike(draw: &mut Draw, model: &Model) -> Model {
    loop {
        let drawn = draw.with_options(model.clone());
        let first = &drawn.layers()[0];
        if drawn.layers().iter().any(|layer| layer.has_peepholes() != first.has_peepholes()) {
            continue;
        }
        let layers = drawn.layers().iter().map(|layer| {
            let weights = layer.weights().to_vec();
            let new = Layer::new(layer.cell(), layer.direction(), layer.input(), layer.hidden(), weights);
            let mut new = new.unwrap().with_activations(first.activations().to_vec()).unwrap();
            if let Some(clip) = first.clip() {
                new = new.with_clip(clip).unwrap();
            }
            match first.state_clip() {
                Some(clip) => new.with_state_clip(clip).unwrap(),
                None => new,
            }
        });
        return Model::new(layers.collect()).unwrap();
    }
}

#[test]
fn pipelined_layers_give_the_bits_of_sequential_layers() {
    let mut draw = Draw::new();
    let mut pipelined = 0;
    for device in adapters() {
        for (index, cell) in Cell::ALL.into_iter().enumerate() {
            let strategy = [Strategy::Step, Strategy::Persistent, Strategy::Streamed][index % 3];
            let storage = [Storage::F32, Storage::F16, Storage::Bf16][index / 2 % 3];
            let direction = [Direction::Forward, Direction::Reverse][index % 2];
            // Up to several workgroups and two units to a thread.
            let (hidden, layers) = ([draw.size(1..=40), draw.size(65..=70)][index % 2], draw.size(2..=4));
            let model = draw.model_of(cell, direction, 3, hidden, layers);
            let model = dressed_alike(&mut draw, &model);
            let model = if draw.chance() { draw.with_readout(model, 3, ReadoutSteps::Every) } else { model };
            let (batch, steps) = (draw.size(1..=9), draw.size(3..=13));
            let mut inputs = Inputs::draw(&mut draw, &model, batch, steps);
            if draw.chance() {
                inputs = inputs.ragged(&mut draw);
            }
            let inputs = inputs.laid_out(draw.layouts());
            let run = |pipelining: usize| {
                let options = options(strategy, pipelining).weights(storage).activations(storage);
                let engine = device.load_with(&model, options).unwrap();
                let plan = engine.explain(inputs.batch().run_shape()).unwrap();
                let first = engine.run(&inputs.batch()).unwrap();
                // A run leaves nothing for the next, nor for a staged one.
                assert!(all_bits(&engine.run(&inputs.batch()).unwrap()) == all_bits(&first), "{plan}");
                let mut staged = engine.stage(&inputs.batch()).unwrap();
                let mut output = engine.output(inputs.batch().run_shape()).unwrap();
                staged.run().unwrap();
                staged.run().unwrap();
                staged.read_into(&mut output).unwrap();
                assert!(all_bits(&output) == all_bits(&first), "{plan}");
                (first, plan)
            };
            let (sequential, plan) = run(0);
            assert!(!plan.contains("at once"), "{plan}");
            for chunk in [1, 2, 5] {
                let (at_once, plan) = run(chunk);
                let context = format!("{}, {model}, {storage}: {plan}, seed {}", device.info(), draw.seed);
                assert_eq!(plan.contains("at once"), chunk < steps, "{context}");
                assert!(all_bits(&at_once) == all_bits(&sequential), "{context}");
                pipelined += usize::from(chunk < steps);
            }
        }
    }
    assert!(pipelined > 10, "{pipelined} pipelined runs");
}

/// Multi-workgroup kernels have no projection.
fn unprojected_alike(draw: &mut Draw, model: &Model) -> Model {
    loop {
        let dressed = dressed_alike(draw, model);
        if dressed.layers()[0].projection().is_none() {
            return dressed;
        }
    }
}

/// Runs `engine`, whose plan has to be pipelined with multi-workgroup kernels.
fn run_pipelined(engine: &Engine, inputs: &Inputs) -> (Output, String) {
    let plan = engine.explain(inputs.batch().run_shape()).unwrap();
    assert!(plan.contains("at once") && plan.contains("workgroups"), "{plan}");
    (engine.run(&inputs.batch()).unwrap(), plan)
}

/// First with one step to a chunk, where workgroups do not wait. Then with exchange words that are kept, so that
/// workgroups which run one after the other find them at the next dispatch.
#[test]
fn pipelined_multi_workgroup_kernels_give_the_bits_of_sequential_layers_and_of_steps() {
    let mut draw = Draw::new();
    let (mut alone, mut words) = (0, 0);
    for device in adapters() {
        for (index, cell) in Cell::ALL.into_iter().enumerate() {
            let storage = [Storage::F32, Storage::F16, Storage::Bf16][index % 3];
            let activations = if draw.chance() { storage } else { Storage::F32 };
            let direction = [Direction::Forward, Direction::Reverse][index % 2];
            // Units that fill the last workgroup and that do not.
            let (hidden, layers) = ([draw.size(65..=70), 96, 98][index % 3], 2 + index % 3);
            let model = draw.model_of(cell, direction, 3, hidden, layers);
            let model = unprojected_alike(&mut draw, &model);
            let model = if draw.chance() { draw.with_readout(model, 3, ReadoutSteps::Every) } else { model };
            let (batch, steps) = (draw.size(1..=6), draw.size(4..=7));
            let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
            let inputs = inputs.laid_out(draw.layouts());
            let load = |options: Options| {
                let options = options.weights(storage).activations(activations);
                device.load_with(&model, options).unwrap()
            };
            let truth = load(options(Strategy::Step, 0)).run(&inputs.batch()).unwrap();
            let sequential = load(multi_workgroup(0, 1, Fault::None)).run(&inputs.batch()).unwrap();
            assert!(
                all_bits(&sequential) == all_bits(&truth),
                "{}, {model}, seed {}",
                device.info(),
                draw.seed
            );
            let again = Fault::Again { times: 6 };
            for (chunk, fault) in [(1, Fault::None), (2, again), (3, again)] {
                let engine = load(multi_workgroup(chunk, chunk, fault));
                let (first, plan) = run_pipelined(&engine, &inputs);
                let context = format!("{}, {model}, {storage}: {plan}, seed {}", device.info(), draw.seed);
                assert!(all_bits(&first) == all_bits(&truth), "{context}");
                // A run leaves nothing for the next.
                assert!(all_bits(&run_pipelined(&engine, &inputs).0) == all_bits(&truth), "{context}");
                // r ⊙ h has to be exchanged within a step.
                let is_alone = fault == Fault::None;
                if !is_alone || !context.contains("gru_before") {
                    assert_eq!(engine.fallbacks().count, 0, "{context}");
                    *if is_alone { &mut alone } else { &mut words } += 1;
                }
            }
        }
    }
    assert!(alone > 0 && words > 0, "{alone} runs without exchange words, {words} with");
}

/// The layer and step of the fallback of a run in chunks of `chunk` steps whose dispatch `slot` fails.
fn fallback_at(slot: usize, steps: usize, chunk: usize) -> (usize, usize) {
    let layer = (slot + 1).saturating_sub(steps.div_ceil(chunk));
    (layer, (slot - layer) * chunk)
}

#[test]
fn a_pipelined_run_falls_back_from_the_dispatch_that_failed() {
    let mut draw = Draw::new();
    for device in adapters() {
        for (cell, hidden, layers) in
            [(Cell::GRU, 66, 2), (Cell::LSTM, 50, 3), (Cell::Rnn, 70, 4), (Cell::ORIGINAL_GRU, 66, 2)]
        {
            let model = draw.model(cell, 3, hidden, layers);
            let model = unprojected_alike(&mut draw, &model);
            // Chunks of one step and of three; the last is shorter.
            // Drivers take seconds to compile the kernel of each fault, so for some cells only one dispatch fails.
            let slots = 0..3 + layers - 1;
            let slots = match cell {
                Cell::GRU | Cell::LSTM => slots,
                _ => {
                    let slot = draw.size(slots.start..=slots.end - 1);
                    slot..slot + 1
                }
            };
            for (chunk, steps, batch) in [(1, 3, 5), (3, 7, 2)] {
                assert_eq!(usize::div_ceil(steps, chunk), 3);
                let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
                let truth = device.load_with(&model, options(Strategy::Step, 0)).unwrap();
                let truth = truth.run(&inputs.batch()).unwrap();
                for slot in slots.clone() {
                    // One more than the exchanges of the longer chunk.
                    let times = if cell == Cell::ORIGINAL_GRU { 6 } else { 3 };
                    let fault = Fault::AgainUntil { times, chunk: slot as u32 };
                    let engine = device.load_with(&model, multi_workgroup(chunk, chunk, fault)).unwrap();
                    let context = format!("{}, {model}, {fault:?}, seed {}", device.info(), draw.seed);
                    // A run leaves nothing for the next.
                    for count in 1..=if chunk == 1 { 2 } else { 1 } {
                        let (output, plan) = run_pipelined(&engine, &inputs);
                        assert!(all_bits(&output) == all_bits(&truth), "{plan}, {context}");
                        let last = Some(fallback_at(slot, steps, chunk));
                        assert_eq!(fallbacks(&engine), (count, last), "{plan}, {context}");
                    }
                }
            }
        }
    }
}

/// Software drivers mostly run workgroups one after the other, so most of these runs fail by themselves.
#[test]
fn runs_that_fail_by_themselves_give_the_bits_of_steps() {
    let mut draw = Draw::new();
    for device in adapters() {
        let mut fallbacks = 0;
        for (cell, layers) in [(Cell::GRU, 3), (Cell::LSTM, 2)] {
            let model = draw.model(cell, 3, 96, layers);
            let inputs = Inputs::draw(&mut draw, &model, 3, 9).ragged(&mut draw);
            let truth = device.load_with(&model, options(Strategy::Step, 0)).unwrap();
            let truth = truth.run(&inputs.batch()).unwrap();
            for fault in [
                Fault::None,
                Fault::Late { polls: 50 },
                Fault::Dies { group: 1, chunk: 0, step: 2 },
                Fault::Dies { group: 0, chunk: 1, step: 0 },
            ] {
                let engine = device.load_with(&model, multi_workgroup(4, 4, fault)).unwrap();
                let context = format!("{}, {model}, {fault:?}, seed {}", device.info(), draw.seed);
                for run in 1..=2 {
                    let (output, plan) = run_pipelined(&engine, &inputs);
                    assert!(all_bits(&output) == all_bits(&truth), "{plan}, {context}");
                    if let Fault::Dies { .. } = fault {
                        assert_eq!(engine.fallbacks().count, run, "{plan}, {context}");
                    }
                }
                fallbacks += engine.fallbacks().count;
            }
        }
        println!("{}: {fallbacks} of 16 runs fell back", device.info());
    }
}

#[test]
fn a_staged_pipelined_run_says_where_it_failed() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 3, 96, 2);
    for device in adapters() {
        let inputs = Inputs::draw(&mut draw, &model, 2, 3);
        // The last dispatch has only the second layer's last step.
        for (fault, completes) in [(Fault::None, true), (Fault::Dies { group: 1, chunk: 3, step: 0 }, false)]
        {
            let engine = device.load_with(&model, multi_workgroup(1, 1, fault)).unwrap();
            let mut staged = engine.stage(&inputs.batch()).unwrap();
            for _ in 0..2 {
                let run = staged.run();
                assert_eq!(run.is_ok(), completes, "{}: {run:?}", device.info());
                let said = run.err().map(|error| error.to_string());
                assert!(said.is_none_or(|said| said.contains("layer 1 from step 2")), "{}", device.info());
            }
        }
    }
}

/// All workgroups of a dispatch have to run side by side, those of every layer.
#[test]
fn layers_whose_workgroups_do_not_fit_side_by_side_are_not_pipelined() {
    let mut draw = Draw::new();
    let (model, dims) = (draw.model(Cell::GRU, 3, 256, 3), Dims::new(4, 50).unwrap());
    let device: Device = adapters().remove(0);
    let planned =
        |workgroups: u32, pipelining: Option<usize>, only: Only| {
            let (workgroup_bytes, steps) = (1 << 16, 20);
            let exchange = wgru::plan::Exchange { workgroups, workgroup_bytes, steps, fault: Fault::None };
            let options = multi_workgroup(0, 1, Fault::None)
                .exchange(Exchange::Forced(exchange))
                .only(Only { pipelining, strategy: Some(Strategy::MultiWorkgroup), ..only });
            let engine = device.load_with(&model, options.speed(Speed::DISCRETE)).unwrap();
            engine.plan(dims).unwrap().unwrap()
        };
    let four = Only { rows: Some(Rows::Four), variant: Some(0), ..Only::default() };
    let plan = planned(1 << 16, Some(10), four);
    assert_eq!(plan.pipelining.map(|pipelining| pipelining.steps), Some(10), "{plan}");
    // The device's limit bounds a chunk.
    assert_eq!(
        planned(1 << 16, Some(40), four).pipelining.map(|pipelining| pipelining.steps),
        Some(20),
        "{plan}"
    );
    let wgru::plan::Recurrence::MultiWorkgroup { kernel, .. } = &plan.layers[0].recurrence else {
        panic!("{plan}")
    };
    let of_one = kernel.grid(4, 1).iter().product::<u32>();
    assert!(of_one > 1, "{plan}");
    let fits = planned(3 * of_one, Some(10), four);
    assert!(fits.pipelining.is_some(), "{fits}");
    let plan = planned(3 * of_one - 1, Some(10), four);
    let (needed, known) = (3 * of_one, 3 * of_one - 1);
    let reason = plan.not_pipelined.clone().unwrap_or_default();
    assert!(plan.pipelining.is_none(), "{plan}");
    assert!(reason.contains(&format!("{needed} workgroups side by side")), "{reason}");
    assert!(reason.contains(&format!("known to run {known}")), "{reason}");
    // The planner finds a kernel of fewer workgroups, or of other rows, where one exists.
    let plan = planned(3 * of_one, None, Only::default());
    assert!(plan.pipelining.is_some(), "{plan}, {:?}", plan.not_pipelined);
}

#[test]
fn layers_are_pipelined_where_that_is_predicted_to_pay() {
    let mut draw = Draw::new();
    let device = adapters().remove(0);
    let explain = |model: &Model, speed: Speed, [batch, steps]: [usize; 2]| {
        let engine = device.load_with(model, Options::default().speed(speed)).unwrap();
        engine.explain(Dims::new(batch, steps).unwrap()).unwrap()
    };
    let stack = draw.model(Cell::GRU, 8, 32, 4);
    let plan = explain(&stack, Speed::DISCRETE, [1, 1000]);
    assert!(plan.contains("at once"), "{plan}");
    // Where workgroups run one after the other, or the rows fill the device, there is nothing to gain.
    for (speed, dims) in [
        (Speed { cores: 1, resident: 1, ..Speed::DISCRETE }, [1, 1000]),
        (Speed::DISCRETE, [5000, 100]),
        (Speed::DISCRETE, [1, 1]),
    ] {
        let plan = explain(&stack, speed, dims);
        assert!(!plan.contains("at once"), "{plan}");
    }
    // Pipelining needs another copy of all weights, for which the memory may be too small.
    let tight = Options::default().speed(Speed::DISCRETE).memory(200_000);
    let plan = device.load_with(&stack, tight).unwrap().explain(Dims::new(1, 100).unwrap()).unwrap();
    assert!(!plan.contains("at once"), "{plan}");
    let ample = Options::default().speed(Speed::DISCRETE);
    let plan = device.load_with(&stack, ample).unwrap().explain(Dims::new(1, 100).unwrap()).unwrap();
    assert!(plan.contains("at once"), "{plan}");
    // A step of the second layer needs all steps of the first.
    let both_ways = draw.model_of(Cell::GRU, Direction::Bidirectional, 8, 32, 4);
    let kinds = [Direction::Reverse, Direction::Forward, Direction::Reverse].map(|way| (way, Merge::Concat));
    let sequential = draw.stack(Cell::GRU, &kinds, 8, 32);
    for model in [both_ways, sequential] {
        let options = Options::default().speed(Speed::DISCRETE);
        let engine = device.load_with(&model, options).unwrap();
        let plan = engine.plan(Dims::new(1, 1000).unwrap()).unwrap().unwrap();
        assert!(plan.pipelining.is_none(), "{plan}");
        assert_eq!(plan.not_pipelined.as_deref(), Some("they are not all of one direction"), "{plan}");
    }
}
