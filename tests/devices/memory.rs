//! Concurrent runs of one engine stay within its memory limit together, and all of them end.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;

use crate::common::{Draw, Inputs, adapters, bits, options, own_adapters};
use wgru::{Cell, Device, Dims, Direction, Engine, Error, Model, Output, Result, RunShape, StepInput};

/// The bytes of a run of `run_shape`.
fn bytes(engine: &Engine, run_shape: RunShape) -> u64 {
    let memory = engine.memory(run_shape).unwrap();
    memory.arrays + memory.read_back
}

fn with_memory(device: &Device, model: &Model, bytes: u64) -> Engine {
    device.load_with(model, options().memory(bytes)).unwrap()
}

/// An engine makes buffers for as many concurrent runs as fit its memory, however many there are; later runs reuse
/// them.
#[test]
fn threads_at_once_take_what_there_is_memory_for() {
    let mut draw = Draw::new();
    // Each test that counts objects has devices of its own.
    for device in own_adapters() {
        let context = format!("{}, seed {}", device.info(), draw.seed);
        let model = draw.model(Cell::GRU, 8, 24, 1);
        let inputs: Vec<Inputs> = (0..4).map(|_| Inputs::draw(&mut draw, &model, 5, 60)).collect();
        let run_shape = inputs[0].batch().run_shape();
        let ample = device.load_with(&model, options()).unwrap();
        let expected: Vec<Output> = inputs.iter().map(|inputs| ample.run(&inputs.batch()).unwrap()).collect();
        let one = bytes(&ample, run_shape);
        for (allowed, at_once) in [(one, 1), (2 * one + one / 2, 2)] {
            let engine = with_memory(&device, &model, allowed);
            assert_eq!(engine.pieces(run_shape).unwrap(), None, "{context}");
            let before = device.resource_counts().buffers;
            engine.prepare(run_shape).unwrap();
            let of_one = device.resource_counts().buffers - before;
            thread::scope(|scope| {
                for (inputs, expected) in inputs.iter().zip(&expected) {
                    let (engine, context) = (&engine, &context);
                    scope.spawn(move || {
                        for round in 0..6 {
                            let batch = inputs.batch();
                            let output = match round % 2 {
                                0 => engine.run(&batch).unwrap(),
                                _ => pollster::block_on(engine.run_async(&batch)).unwrap(),
                            };
                            assert_eq!(bits(&output.y), bits(&expected.y), "{context}");
                        }
                    });
                }
            });
            let made = device.resource_counts().buffers - before;
            assert!(made <= at_once * of_one, "{context}: {made} buffers, {of_one} for a run");
        }
    }
}

/// A session counts the memory of a step and a word of resets for each stream, so that a step with resets has it.
#[test]
fn a_session_counts_what_its_steps_may_need() {
    let mut draw = Draw::new();
    for device in adapters() {
        let (model, streams) = (draw.model(Cell::LSTM, 8, 24, 1), 5);
        let ample = device.load_with(&model, options()).unwrap();
        let step = bytes(&ample, Dims::new(streams, 1).unwrap().into());
        let short = with_memory(&device, &model, step + 4 * streams as u64 - 1);
        let error = short.session(streams).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{}: {error}", device.info());
        let engine = with_memory(&device, &model, step + 4 * streams as u64);
        let [mut own, mut wanted] = [&engine, &ample].map(|engine| engine.session(streams).unwrap());
        for resets in [[0; 5], [1, 0, 0, 1, 0]] {
            let x = draw.values(streams * 8, 1.0);
            let [own, wanted] = [&mut own, &mut wanted]
                .map(|session| session.step(StepInput::new(&x).resets(&resets)).unwrap().y);
            assert_eq!(bits(&own), bits(&wanted), "{}, seed {}", device.info(), draw.seed);
        }
    }
}

/// Several shapes, in pieces by rows and by steps, from threads: all with the right bits, and no buffers are left
/// behind.
#[test]
fn shapes_and_pieces_at_once() {
    let mut draw = Draw::new();
    for device in adapters() {
        let context = format!("{}, seed {}", device.info(), draw.seed);
        let model = draw.model_of(Cell::LSTM, Direction::Bidirectional, 3, 7, 2);
        let shapes = [(6, 20), (2, 20), (1, 45), (3, 9)];
        let inputs = shapes.map(|(batch, steps)| Inputs::draw(&mut draw, &model, batch, steps));
        let ample = device.load_with(&model, options()).unwrap();
        let expected = [0, 1, 2, 3].map(|index: usize| ample.run(&inputs[index].batch()).unwrap());
        let engine = with_memory(&device, &model, bytes(&ample, Dims::new(1, 22).unwrap().into()));
        let cut = |index: usize| engine.pieces(inputs[index].batch().run_shape()).unwrap();
        assert!(cut(0).is_some_and(|pieces| !pieces.by_steps), "{context}");
        assert!(cut(2).is_some_and(|pieces| pieces.by_steps), "{context}");
        thread::scope(|scope| {
            for (inputs, expected) in inputs.iter().zip(&expected) {
                let (engine, context) = (&engine, &context);
                scope.spawn(move || {
                    for _ in 0..2 {
                        engine.prepare(inputs.batch().run_shape()).unwrap();
                        let output = engine.run(&inputs.batch()).unwrap();
                        assert_eq!(bits(&output.y), bits(&expected.y), "{context}");
                        assert_eq!(bits(&output.h_n), bits(&expected.h_n), "{context}");
                    }
                });
            }
        });
        assert_eq!(engine.progress(), 0.0, "{context}");
    }
}

type Run<'a> = Pin<Box<dyn Future<Output = Result<Output>> + 'a>>;

/// Polls all in turn on this thread until all have ended.
fn join(mut runs: Vec<Run<'_>>) -> Vec<Output> {
    let mut ended: Vec<Option<Output>> = runs.iter().map(|_| None).collect();
    while ended.iter().any(Option::is_none) {
        for (run, ended) in runs.iter_mut().zip(&mut ended).filter(|(_, ended)| ended.is_none()) {
            if let Poll::Ready(output) = run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                *ended = Some(output.unwrap());
            }
        }
    }
    ended.into_iter().flatten().collect()
}

/// Futures on one thread wait for each other without blocking it, in whatever order they are polled.
#[test]
fn futures_on_one_thread_all_end() {
    let mut draw = Draw::new();
    for device in adapters() {
        let model = draw.model(Cell::GRU, 8, 24, 1);
        let inputs: Vec<Inputs> = (0..4).map(|_| Inputs::draw(&mut draw, &model, 5, 60)).collect();
        let ample = device.load_with(&model, options()).unwrap();
        let engine = with_memory(&device, &model, bytes(&ample, inputs[0].batch().run_shape()));
        let batches: Vec<_> = inputs.iter().map(Inputs::batch).collect();
        let runs = || batches.iter().map(|batch| Box::pin(engine.run_async(batch)) as Run<'_>);
        for outputs in [join(runs().collect()), join(runs().rev().collect()).into_iter().rev().collect()] {
            for (batch, output) in batches.iter().zip(outputs) {
                assert_eq!(bits(&output.y), bits(&ample.run(batch).unwrap().y), "{}", device.info());
            }
        }
    }
}

/// A blocking run does not wait for a future that is not polled meanwhile: it returns an error. After that future is
/// dropped, other runs proceed.
#[test]
fn a_blocking_run_beside_a_future_of_its_own_thread() {
    let (mut draw, mut seen) = (Draw::new(), 0);
    for device in adapters() {
        let model = draw.model(Cell::GRU, 16, 48, 1);
        let inputs = Inputs::draw(&mut draw, &model, 8, 300);
        let batch = inputs.batch();
        let ample = device.load_with(&model, options()).unwrap();
        let engine = with_memory(&device, &model, bytes(&ample, batch.run_shape()));
        engine.run(&batch).unwrap();
        for is_dropped in [false, true] {
            let mut begun = Box::pin(engine.run_async(&batch));
            if begun.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                // A driver may complete a run on submission.
                continue;
            }
            seen += 1;
            let error = engine.run(&batch).unwrap_err();
            assert!(matches!(error, Error::TooLarge { .. }), "{}: {error}", device.info());
            assert!(error.to_string().contains("await or drop"), "{error}");
            // Another future waits behind it, and is dropped.
            let mut behind = Box::pin(engine.run_async(&batch));
            assert!(behind.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(behind);
            if is_dropped {
                drop(begun);
            } else {
                let mut begun = pin!(begun);
                pollster::block_on(begun.as_mut()).unwrap();
            }
            engine.run(&batch).unwrap();
        }
    }
    assert!(seen > 0, "no run was seen under way");
}
