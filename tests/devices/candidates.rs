//! Every candidate of the planner for a layer of each cell, each cell on an adapter: each gives the bits of the first, which
//! is checked against the reference.

use crate::common::{Draw, Inputs, adapters, assert_close_in, bits, in_turn};
use wgru::plan::{Basis, Candidate, Only, Sample, Speed, Strategy, Table};
use wgru::{Cell, Device, DeviceInfo, Model, Options, Storage};

/// Runs every candidate that `is_wanted` selects, and returns their plans.
fn same_bits(
    device: &Device,
    model: &Model,
    inputs: &Inputs,
    mut options: Options,
    draw: &Draw,
    is_wanted: impl Fn(&Candidate) -> bool,
) -> Vec<(Strategy, String)> {
    let engine = device.load_with(model, options.clone()).unwrap();
    let all = engine.alternatives(inputs.batch().run_shape()).unwrap();
    let all = all.iter().flatten().filter(|candidate| candidate.outcome.is_ok() && is_wanted(candidate));
    let mut first = None;
    let mut plans = Vec::new();
    for candidate in all {
        options = options.only(Only {
            strategy: Some(candidate.strategy),
            rows: Some(candidate.rows),
            variant: Some(candidate.variant),
            pipelining: None,
        });
        let engine = device.load_with(model, options.clone()).unwrap();
        let plan = engine.explain(inputs.batch().run_shape()).unwrap();
        let storage = options.precision().weights;
        let context = format!("{}, {model}, {storage}: {plan}, seed {}", device.info(), draw.seed);
        let streams = plan.contains("weights streamed");
        assert_eq!(streams, candidate.strategy == Strategy::Streamed, "{context}");
        let output = engine.run(&inputs.batch()).unwrap();
        let own = (bits(&output.y), bits(&output.h_n), output.c_n.as_deref().map(bits));
        match &first {
            None => {
                assert_close_in(options.precision(), model, &inputs.batch(), &output, &context);
                first = Some(own);
            }
            Some(first) => assert!(*first == own, "{context}"),
        }
        plans.push((candidate.strategy, plan));
    }
    plans
}

#[test]
fn every_candidate_gives_the_bits_of_the_first() {
    let mut draw = Draw::new();
    let mut packed = 0;
    for (index, device, cell) in in_turn(Cell::ALL.to_vec(), draw.seed) {
        // Last blocks of few k, which compilers tend to reorder; numbers of units next to a workgroup's 64; k
        // distributed to threads.
        let hidden = [draw.size(1..=9), draw.size(33..=36), draw.size(64..=68)][index % 3];
        let storage = [Storage::F16, Storage::F32, Storage::Bf16][(index + index / 3) % 3];
        let model = draw.any_model(cell, 3, hidden, 1);
        let (batch, steps) = (draw.size(1..=17), draw.size(1..=9));
        let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
        let mut options = Options::default().fill_nan(true).weights(storage);
        // Neighbouring units share a word of such a y.
        if draw.chance() {
            options = options.activations(storage);
        }
        let plans = same_bits(&device, &model, &inputs, options, &draw, |_| true);
        packed += plans.iter().filter(|(_, plan)| plan.contains("weights packed")).count();
    }
    assert!(packed > 3, "{packed} kernels with packed weights");
}

/// Caps with registers for some of the weights only, so that even a small layer has too many.
#[test]
fn partially_register_resident_kernels_give_the_bits_of_the_others() {
    let mut draw = Draw::new();
    // Kernels of one thread to a unit, of several, and of packed weights; single rows, and four of them.
    let (mut one, mut several, mut packed, mut rows) = (0, 0, 0, [0, 0]);
    for (index, device, cell) in in_turn(Cell::ALL.to_vec(), draw.seed) {
        // The storage types alternate, so that the LSTM has four blocks in f32, of which one thread could keep
        // only one.
        let storage = [Storage::F32, [Storage::F16, Storage::Bf16][index / 2 % 2]][index % 2];
        // Last blocks of few k, and whole ones.
        let hidden = [draw.size(65..=68), draw.size(97..=101), 128][index % 3];
        let model = draw.any_model(cell, 3, hidden, 1);
        let (batch, steps) = (draw.size(2..=9), draw.size(2..=6));
        let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
        let mut options = Options::default().fill_nan(true).weights(storage);
        if draw.chance() {
            options = options.activations(storage);
        }
        // All but one block of a unit, or half of them.
        let blocks = hidden.div_ceil(32);
        let held = if draw.chance() { blocks - 1 } else { blocks.div_ceil(2) };
        let weights = (held * 32 * cell.gates() * hidden) as u64;
        let registers = if storage == Storage::F32 { weights } else { weights.div_ceil(2) };
        options = options.speed(Speed { registers, ..Speed::DISCRETE });
        // One variant of each strategy, since software drivers take seconds to compile some.
        let plans = same_bits(&device, &model, &inputs, options, &draw, |c| c.variant == 0);
        for (strategy, plan) in plans {
            let is_part = plan.contains("blocks held");
            assert_eq!(is_part, strategy == Strategy::Persistent, "{plan}");
            if is_part {
                let is_several = plan.contains("units × ");
                one += usize::from(!is_several);
                several += usize::from(is_several);
                packed += usize::from(plan.contains("weights packed"));
                rows[usize::from(plan.contains("(4 rows × "))] += 1;
            }
        }
    }
    let found = [one, several, packed, rows[0], rows[1]];
    assert!(found.iter().all(|count| *count > 0), "{found:?}, seed {}", draw.seed);
}

/// Threads that may not keep a block of k for every gate of their unit have one gate each.
#[test]
fn threads_of_one_gate_give_the_bits_of_the_others() {
    let mut draw = Draw::new();
    // Single rows, four of them; of several threads to a gate; packed weights; weights of which some are loaded.
    let mut found = [0; 5];
    let gated = Cell::ALL.into_iter().filter(|cell| cell.gates() > 1).collect();
    for (index, device, cell) in in_turn(gated, draw.seed) {
        let hidden = [draw.size(17..=31), draw.size(65..=70), 64][index % 3];
        let storage = [Storage::F32, Storage::F16, Storage::F32, Storage::Bf16][index % 4];
        let model = draw.any_model(cell, 3, hidden, 1);
        let (batch, steps) = (draw.size(2..=9), draw.size(2..=6));
        let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
        let mut options = Options::default().fill_nan(true).weights(storage);
        if draw.chance() {
            options = options.activations(storage);
        }
        // Weights of a block of one gate and of two, and as many as some compilers allow.
        let held = [32, 64, 80][draw.size(0..=2)];
        // For all weights, or for some.
        let all = (cell.gates() * hidden.next_multiple_of(32) * hidden) as u64;
        let registers = if draw.chance() { Speed::DISCRETE.registers } else { all * 2 / 3 };
        options = options.speed(Speed { held, held4: 32, registers, ..Speed::DISCRETE });
        let is_wanted = |c: &Candidate| {
            let kernels = c.outcome.as_ref().map(|(recipe, _)| recipe.recurrence.to_string());
            c.variant == 0 || kernels.is_ok_and(|text| text.contains(" gates") && text.contains("packed"))
        };
        for (strategy, plan) in same_bits(&device, &model, &inputs, options, &draw, is_wanted) {
            if strategy == Strategy::Persistent && plan.contains(" gates") {
                found[usize::from(plan.contains("(4 rows × "))] += 1;
                found[2] += usize::from(plan.contains("gates × "));
                found[3] += usize::from(plan.contains("weights packed"));
                found[4] += usize::from(plan.contains("blocks held"));
            }
        }
    }
    assert!(found[..4].iter().all(|count| *count > 0), "{found:?}, seed {}", draw.seed);
}

/// A table that makes the planner's choice a hundred times as slow leads to another kernel, and changes no bit.
#[test]
fn a_table_changes_the_choice_and_no_bit() {
    let mut draw = Draw::new();
    for device in adapters() {
        let hidden = draw.size(20..=40);
        let model = draw.model(Cell::GRU, 3, hidden, 1);
        let inputs = Inputs::draw(&mut draw, &model, 5, 7);
        let run_shape = inputs.batch().run_shape();
        let plain = device.load(&model).unwrap();
        let plan = plain.plan(run_shape).unwrap().unwrap();
        let chosen = |c: &&Candidate| c.outcome.as_ref().is_ok_and(|(recipe, _)| *recipe == plan.layers[0]);
        let all = plain.alternatives(run_shape).unwrap();
        assert!(all[0].iter().all(|candidate| candidate.correction.is_none()), "{}", device.info());
        let sample = |candidate: &Candidate| {
            let seconds = candidate.modelled()?.seconds();
            Sample::new(candidate, if chosen(&candidate) { 100.0 * seconds } else { seconds })
        };
        let DeviceInfo::Gpu(info) = device.info() else { panic!("{}", device.info()) };
        let measured = all[0].iter().filter_map(sample).collect();
        let table = Table { speed: info.caps.speed, measured };
        let engine = device.load_with(&model, Options::default().speed(table)).unwrap();
        let other = engine.plan(run_shape).unwrap().unwrap();
        let context = format!("{}, {model}: {plan} and {other}, seed {}", device.info(), draw.seed);
        assert_ne!(other.layers[0].recurrence, plan.layers[0].recurrence, "{context}");
        let all = engine.alternatives(run_shape).unwrap();
        let basis = all[0].iter().find(chosen).unwrap().correction.unwrap().basis;
        assert_eq!(basis, Basis::Measured, "{context}");
        let [one, two] = [&plain, &engine].map(|engine| engine.run(&inputs.batch()).unwrap());
        assert_eq!((bits(&one.y), bits(&one.h_n)), (bits(&two.y), bits(&two.h_n)), "{context}");
    }
}

/// Per-step kernels for a device whose loads wait: with weights loaded ahead, and several threads for each unit. Software
/// drivers take long to compile them, so each cell in turn has one of each.
#[test]
fn loads_ahead_and_divided_units_give_the_bits_of_the_others() {
    let mut draw = Draw::new();
    for device in adapters() {
        let first = draw.size(0..=1);
        for (index, cell) in Cell::ALL.into_iter().enumerate().skip(first).step_by(2) {
            // Whole blocks of k, and last blocks of few.
            let hidden = if draw.chance() { 128 } else { draw.size(129..=135) };
            let storage = [Storage::F32, Storage::F16, Storage::Bf16][(index + index / 2) % 3];
            let model = draw.any_model(cell, 3, hidden, 1);
            let (batch, steps) = (draw.size(1..=6), draw.size(2..=4));
            let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
            let mut options = Options::default().fill_nan(true).weights(storage);
            if draw.chance() {
                options = options.activations(storage);
            }
            let of_speed = |latency| options.clone().speed(Speed { latency, ..Speed::DISCRETE });
            let run = |options: Options| {
                let engine = device.load_with(&model, options).unwrap();
                let output = engine.run(&inputs.batch()).unwrap();
                (bits(&output.y), bits(&output.h_n), output.c_n.as_deref().map(bits))
            };
            let only = Only { strategy: Some(Strategy::Step), ..Only::default() };
            let expected = run(of_speed(0).only(Only { variant: Some(0), ..only }));
            let ahead = of_speed(Speed::DISCRETE.latency);
            let engine = device.load_with(&model, ahead.clone()).unwrap();
            let all = engine.alternatives(inputs.batch().run_shape()).unwrap();
            let kernels = |c: &Candidate| c.outcome.as_ref().unwrap().0.recurrence.to_string();
            let steps = all[0].iter().filter(|candidate| candidate.strategy == Strategy::Step);
            let (divided, others): (Vec<_>, Vec<_>) = steps.partition(|c| kernels(c).contains(" units × "));
            for candidates in [divided, others] {
                let candidate = candidates[draw.size(0..=candidates.len() - 1)];
                let (rows, variant) = (Some(candidate.rows), Some(candidate.variant));
                let own = run(ahead.clone().only(Only { rows, variant, ..only }));
                let kernels = kernels(candidate);
                assert!(
                    own == expected,
                    "{}, {model}, {storage}: {kernels}, seed {}",
                    device.info(),
                    draw.seed
                );
            }
        }
    }
}
