//! The CPU path with every instruction set of this machine, on any number of threads: against the reference, and bit
//! for bit.

use crate::common::{Draw, Inputs, assert_close, assert_close_in, bits};
use wgru::dtype::Precision;
use wgru::{
    Cell, CpuOptions, Device, DeviceInfo, Error, InstructionSet, Options, Output, ReadoutSteps, Storage,
};

fn cpu(set: InstructionSet, threads: usize) -> Device {
    let options = CpuOptions::default().instructions(set).threads(threads);
    Device::cpu_with(options).unwrap_or_else(|error| panic!("{set}, {threads} threads: {error}"))
}

fn all_bits(output: &Output) -> Vec<u32> {
    let arrays = [Some(&output.y), Some(&output.h_n), output.c_n.as_ref(), output.out.as_ref()];
    arrays.into_iter().flatten().flat_map(|array| bits(array)).collect()
}

/// Large enough for threads to share rows, units, directions and layers, as the planner chooses.
#[test]
fn every_set_on_any_number_of_threads_gives_the_bits_of_one() {
    let mut draw = Draw::new();
    for cell in Cell::ALL {
        for [batch, steps, input, hidden, layers] in
            [[1, 60, 200, 211, 2], [3, 40, 64, 300, 1], [19, 12, 70, 133, 3], [2, 30, 9, 257, 1]]
        {
            let model = draw.any_model(cell, input, hidden, layers);
            let model = if draw.chance() { draw.with_options(model) } else { model };
            let model = draw.with_readout(model, 5, ReadoutSteps::Every);
            let inputs = Inputs::draw(&mut draw, &model, batch, steps);
            let inputs = if draw.chance() { inputs.ragged(&mut draw) } else { inputs };
            let layouts = draw.layouts();
            let inputs = inputs.laid_out(layouts);
            // The same bits wherever a · b + c is rounded once.
            let mut fused: Option<Vec<u32>> = None;
            for set in InstructionSet::available() {
                let context = format!("{set}, {model}, {:?}, seed {}", inputs.dims, draw.seed);
                let run = |threads| {
                    let engine = cpu(set, threads).load_with(&model, Options::default().fill_nan(true));
                    engine.unwrap().run(&inputs.batch()).unwrap()
                };
                let alone = run(1);
                assert_close(&model, &inputs.batch(), &alone, &context);
                for threads in [2, 3, 7] {
                    assert_eq!(all_bits(&run(threads)), all_bits(&alone), "{threads} threads, {context}");
                }
                if matches!(set, InstructionSet::Avx512 | InstructionSet::Avx2 | InstructionSet::Neon) {
                    let bits = fused.get_or_insert_with(|| all_bits(&alone));
                    assert!(*bits == all_bits(&alone), "other bits than another set: {context}");
                }
            }
        }
    }
}

#[test]
fn half_precision_in_every_set_matches_the_reference() {
    let mut draw = Draw::new();
    for cell in Cell::ALL {
        for storage in [Storage::F16, Storage::Bf16] {
            let model = draw.model(cell, 33, 50, 2);
            let inputs = Inputs::draw(&mut draw, &model, 9, 20);
            let options = Options::default().weights(storage).activations(storage).fill_nan(true);
            let precision = Precision { weights: storage, activations: storage };
            for set in InstructionSet::available() {
                let context = format!("{set}, {storage}, {model}, seed {}", draw.seed);
                let output =
                    cpu(set, 2).load_with(&model, options.clone()).unwrap().run(&inputs.batch()).unwrap();
                assert_close_in(precision, &model, &inputs.batch(), &output, &context);
            }
        }
    }
}

/// A session's steps, one batch or several, give the bits of a sequence run.
#[test]
fn steps_give_the_bits_of_a_sequence_in_every_set() {
    let mut draw = Draw::new();
    for cell in Cell::ALL {
        let model = draw.model(cell, 21, 70, 2);
        for (batch, steps) in [(1, 9), (13, 4)] {
            let inputs = Inputs { h0: None, c0: None, ..Inputs::draw(&mut draw, &model, batch, steps) };
            for set in InstructionSet::available() {
                let engine = cpu(set, 2).load(&model).unwrap();
                let whole = engine.run(&inputs.batch()).unwrap();
                let mut session = engine.session(batch).unwrap();
                for step in 0..steps {
                    let rows = (0..batch).map(|b| &inputs.x[(b * steps + step) * 21..][..21]);
                    let y = session.step(&rows.flatten().copied().collect::<Vec<_>>()).unwrap().y;
                    let expected = (0..batch).map(|b| &whole.y[(b * steps + step) * 70..][..70]);
                    let expected: Vec<f32> = expected.flatten().copied().collect();
                    assert_eq!(bits(&y), bits(&expected), "{set}, {model}, step {step}, seed {}", draw.seed);
                }
                assert_eq!(bits(&session.state().unwrap().h), bits(&whole.h_n), "{set}, {model}");
            }
        }
    }
}

/// Concurrent runs on one device, whose threads are busy or not: the same bits.
#[test]
fn runs_at_the_same_time_give_the_same_bits() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::ALL[2], 100, 256, 2);
    let inputs = Inputs::draw(&mut draw, &model, 4, 30);
    let engine = Device::cpu_with(CpuOptions::default().threads(3)).unwrap().load(&model).unwrap();
    let expected = all_bits(&engine.run(&inputs.batch()).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(all_bits(&engine.run(&inputs.batch()).unwrap()), expected);
                }
            });
        }
    });
}

#[test]
fn what_a_machine_does_not_have_is_refused_by_name() {
    let refused = |options: CpuOptions| Device::cpu_with(options).unwrap_err();
    let error = refused(CpuOptions::default().threads(0));
    assert!(matches!(&error, Error::Zero { name } if name == "threads"), "{error}");
    let lacking =
        InstructionSet::ALL.into_iter().find(|set| !set.is_available()).expect("no machine has all");
    let error = refused(CpuOptions::default().instructions(lacking)).to_string();
    assert!(error.contains(lacking.name()) && error.contains("portable"), "{error}");
    let DeviceInfo::Cpu(info) = Device::open("cpu:portable:3").unwrap().info() else { panic!("no CPU") };
    assert_eq!((info.instructions, info.threads), (InstructionSet::Portable, 3));
    assert!(matches!(Device::open("cpu:fastest"), Err(Error::NoDevice { .. })));
}

/// `auto` takes the device that is predicted to be faster, with the planner's own numbers.
#[cfg(feature = "gpu")]
#[test]
fn the_faster_device_is_chosen() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::ALL[2], 64, 64, 1);
    let dims = wgru::Dims::new(1, 100).unwrap();
    // As fast as possible, and a millisecond for every operation.
    let mut fast = wgru::plan::Speed::DISCRETE;
    let mut slow = fast;
    for (name, _) in fast.fields() {
        let (fast, slow) = (fast.field_mut(name).unwrap(), slow.field_mut(name).unwrap());
        (*fast, *slow) =
            if name == "cores" || name == "registers" { (1 << 20, 1) } else { (0, 1_000_000_000_000) };
    }
    for gpu in crate::common::adapters() {
        let name = gpu.info().to_string();
        for (speed, expected) in [(fast, name.as_str()), (slow, "cpu")] {
            let options = Options::default().speed(speed);
            let dims = if expected == "cpu" { dims } else { wgru::Dims::new(4096, 100).unwrap() };
            let choice =
                wgru::DeviceRanking::among([gpu.clone(), Device::cpu()], &model, dims, options).unwrap();
            assert_eq!(choice.device().info().to_string(), expected, "{choice}");
            assert!(choice.devices()[0].1 <= choice.devices()[1].1);
            let words = choice.to_string();
            assert!(words.starts_with(expected) && words.contains("cpu") && words.contains(&name), "{words}");
        }
    }
    // On a machine without a real GPU there is nothing to compare.
    let best = Device::best(&model, dims).unwrap();
    let auto = Device::open("auto").unwrap();
    match auto.info() {
        DeviceInfo::Gpu(_) => {
            let choice = wgru::DeviceRanking::or_cpu(auto, &model, dims, Options::default()).unwrap();
            assert_eq!(best.info(), choice.device().info(), "{choice}");
        }
        info => assert_eq!(best.info(), info),
    }
    let error = Device::reference().expected(&model, dims, Options::default()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }));
}
