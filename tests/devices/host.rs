//! What a run costs the host: objects are made for a shape once, and nothing is compiled twice.
//!
//! Tests that count objects have devices of their own.

use std::future::Future;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;

use crate::common::{Draw, Inputs, adapters, options, own_adapters};
use wgru::{Cell, Device, Dims, Direction, ReadoutSteps, ResourceCounts};

#[test]
fn the_second_run_of_a_shape_creates_nothing() {
    let mut draw = Draw::new();
    for device in own_adapters() {
        for cell in Cell::ALL {
            let model = draw.any_model(cell, 5, 12, 2);
            let model = draw.with_readout(model, 3, ReadoutSteps::Last);
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            let engine = device.load_with(&model, options()).unwrap();
            let first = Inputs::draw(&mut draw, &model, 6, 9);
            let mut output = engine.run(&first.batch()).unwrap();
            let before = device.resource_counts();
            assert!(before.pipelines > 0 && before.bind_groups > 0 && before.buffers > 0, "{before:?}");
            for _ in 0..3 {
                // Other numbers, other lengths, with and without initial states.
                let inputs = Inputs::draw(&mut draw, &model, 6, 9);
                let inputs = if draw.chance() { inputs.ragged(&mut draw) } else { inputs };
                engine.run_into(&inputs.batch(), &mut output).unwrap();
                engine.run(&inputs.batch()).unwrap();
                pollster::block_on(engine.run_async(&inputs.batch())).unwrap();
                engine.prepare(inputs.batch().run_shape()).unwrap();
                assert_eq!(device.resource_counts(), before, "{context}");
            }
        }
    }
}

/// Alternating shapes, as many as are kept.
#[test]
fn alternating_shapes_create_nothing_after_the_first_round() {
    let mut draw = Draw::new();
    for device in own_adapters() {
        let model = draw.model(Cell::GRU, 3, 8, 1);
        let engine = device.load_with(&model, options()).unwrap();
        let inputs: Vec<Inputs> = (1..=8).map(|batch| Inputs::draw(&mut draw, &model, batch, 4)).collect();
        let round = || inputs.iter().for_each(|inputs| drop(engine.run(&inputs.batch()).unwrap()));
        round();
        let before = device.resource_counts();
        round();
        round();
        assert_eq!(device.resource_counts(), before, "{}, seed {}", device.info(), draw.seed);
    }
}

#[test]
fn a_hundred_steps_of_a_session_create_nothing() {
    let mut draw = Draw::new();
    for device in own_adapters() {
        for cell in [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM] {
            let model = draw.model(cell, 4, 10, 2);
            let x = draw.values(3 * 4, 1.0);
            let mut session = device.load_with(&model, options()).unwrap().session(3).unwrap();
            let before = device.resource_counts();
            let mut output = session.output().unwrap();
            for step in 0..100 {
                session.step_into(&x, &mut output).unwrap();
                if step % 25 == 0 {
                    let state = session.state().unwrap();
                    session.reset();
                    session.set_state(&state).unwrap();
                }
            }
            assert_eq!(device.resource_counts(), before, "{}, {model}, seed {}", device.info(), draw.seed);
        }
    }
}

#[test]
fn a_staged_batch_runs_again_without_creating() {
    let mut draw = Draw::new();
    for device in own_adapters() {
        let model = draw.model_of(Cell::LSTM, Direction::Bidirectional, 4, 10, 2);
        let inputs = Inputs::draw(&mut draw, &model, 5, 7);
        let engine = device.load_with(&model, options()).unwrap();
        let mut staged = engine.stage(&inputs.batch()).unwrap();
        let mut output = engine.output(staged.run_shape()).unwrap();
        let before = device.resource_counts();
        for _ in 0..3 {
            staged.run().unwrap();
            staged.read_into(&mut output).unwrap();
        }
        assert_eq!(device.resource_counts(), before, "{}, seed {}", device.info(), draw.seed);
    }
}

/// Engines of one model share pipelines and modules; their weights, buffers and bind groups are their own.
#[test]
fn a_second_engine_compiles_nothing() {
    let mut draw = Draw::new();
    for device in own_adapters() {
        for cell in Cell::ALL {
            let model = draw.model(cell, 5, 11, 2);
            let inputs = Inputs::draw(&mut draw, &model, 5, 6);
            device.load_with(&model, options()).unwrap().run(&inputs.batch()).unwrap();
            let before = device.resource_counts();
            let engine = device.clone().load_with(&model, options()).unwrap();
            engine.run(&inputs.batch()).unwrap();
            engine.stage(&inputs.batch()).unwrap();
            let after = device.resource_counts();
            assert!(after.buffers > before.buffers && after.bind_groups > before.bind_groups);
            let ResourceCounts { pipelines, shader_modules, .. } = after;
            let expected = (before.pipelines, before.shader_modules);
            assert_eq!((pipelines, shader_modules), expected, "{}, {model}", device.info());
        }
    }
}

/// Threads that request the same kernels at the same moment end with as many objects as one thread alone, and all get
/// the same numbers.
#[test]
fn concurrent_callers_compile_once() {
    const THREADS: usize = 4;
    let mut draw = Draw::new();
    for (alone, shared) in own_adapters().into_iter().zip(own_adapters()) {
        let model = draw.model(Cell::ORIGINAL_GRU, 6, 14, 2);
        let inputs = Inputs::draw(&mut draw, &model, 3, 5);
        let expected = alone.load_with(&model, options()).unwrap().run(&inputs.batch()).unwrap();
        let start = Barrier::new(THREADS);
        let run = || {
            let engine = shared.load_with(&model, options()).unwrap();
            start.wait();
            engine.run(&inputs.batch()).unwrap()
        };
        thread::scope(|scope| {
            let runs = [(); THREADS].map(|()| scope.spawn(run));
            for thread in runs {
                assert_eq!(thread.join().expect("no panic"), expected, "{}", shared.info());
            }
        });
        let [one, all] = [&alone, &shared].map(Device::resource_counts);
        assert_eq!(all.pipelines, one.pipelines, "{}", shared.info());
        assert_eq!(all.shader_modules, one.shader_modules, "{}", shared.info());
        assert_eq!(all.buffers, one.buffers * THREADS, "each engine has its own: {}", shared.info());
    }
}

/// Polls `run` to its end; the progress of its engine before each poll.
fn watched<T>(engine: &wgru::Engine, run: impl Future<Output = T>) -> (T, Vec<f64>) {
    let (mut run, mut seen) = (pin!(run), Vec::new());
    loop {
        if let Poll::Ready(result) = run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return (result, seen);
        }
        seen.push(engine.progress());
    }
}

/// Progress is that of the runs under way: each begins at 0, and a failed or dropped run leaves nothing behind.
#[test]
fn progress_is_that_of_the_runs_under_way() {
    let (mut draw, mut polled) = (Draw::new(), 0);
    for device in adapters() {
        let context = format!("{}, seed {}", device.info(), draw.seed);
        let model = draw.model(Cell::GRU, 32, 64, 1);
        let inputs = Inputs::draw(&mut draw, &model, 16, 600);
        let whole = device.load_with(&model, options()).unwrap();
        let memory = whole.memory(Dims::new(3, 600).unwrap()).unwrap();
        let pieces = device.load_with(&model, options().memory(memory.arrays + memory.read_back)).unwrap();
        let count =
            pieces.pieces(inputs.batch().run_shape()).unwrap().expect("of the memory of 3 rows").count;
        for engine in [whole, pieces] {
            assert_eq!(engine.progress(), 0.0, "{context}");
            for round in 0..3 {
                let batch = inputs.batch();
                // Dropped while it is under way.
                {
                    let mut given_up = pin!(engine.run_async(&batch));
                    let _ = given_up.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                }
                assert_eq!(engine.progress(), 0.0, "{context}, round {round}, after one that was given up");
                let (result, seen) = watched(&engine, engine.run_async(&batch));
                result.unwrap();
                // A driver may complete a run on submission.
                polled += seen.len();
                assert!(seen.first().is_none_or(|part| *part == 0.0), "{context}, round {round}: {seen:?}");
                assert!(seen.iter().all(|part| (0.0..=1.0).contains(part)), "{context}: {seen:?}");
                assert!(seen.is_sorted(), "{context}, round {round}: {seen:?}");
                if !seen.is_empty() && engine.pieces(batch.run_shape()).unwrap().is_some() {
                    // The progress changes at the end of each piece, unless several ended between two polls.
                    let mut steps = seen.clone();
                    steps.dedup();
                    assert!(steps.len() > count / 2, "{context}: {steps:?} of {count} pieces");
                }
                assert_eq!(engine.progress(), 0.0, "{context}, round {round}: nothing is under way");
                engine.run(&batch).unwrap();
                let wrong = Inputs { h0: Some(vec![0.0; 3]), ..inputs.clone() };
                engine.run(&wrong.batch()).unwrap_err();
                assert_eq!(engine.progress(), 0.0, "{context}, round {round}");
            }
        }
    }
    assert!(polled > 10, "only {polled} polls of a run under way");
}

/// The progress of several runs at once is that of their work together.
#[test]
fn progress_of_runs_at_once() {
    let mut draw = Draw::new();
    for device in adapters() {
        let model = draw.model(Cell::GRU, 8, 16, 1);
        let inputs = Inputs::draw(&mut draw, &model, 4, 200);
        let engine = device.load_with(&model, options()).unwrap();
        engine.run(&inputs.batch()).unwrap();
        thread::scope(|scope| {
            let runs = [(); 2]
                .map(|()| scope.spawn(|| (0..5).for_each(|_| drop(engine.run(&inputs.batch()).unwrap()))));
            while !runs.iter().all(|run| run.is_finished()) {
                let part = engine.progress();
                assert!((0.0..=1.0).contains(&part), "{part}");
                thread::yield_now();
            }
        });
        assert_eq!(engine.progress(), 0.0, "{}", device.info());
    }
}

#[test]
fn the_cpu_creates_nothing() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 2, 3, 1);
    for device in [Device::cpu(), Device::reference()] {
        device.load(&model).unwrap().run(&Inputs::draw(&mut draw, &model, 1, 2).batch()).unwrap();
        assert_eq!(device.resource_counts(), ResourceCounts::default());
        assert!(!device.has_pipeline_cache() && !device.save_pipelines().unwrap());
    }
}
