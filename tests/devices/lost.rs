//! Devices that are lost, the crate's and the caller's, between calls and during calls. Every later call returns an
//! error that says so, and nothing panics.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::common::{Draw, Inputs, assert_close, options, own_adapters};
use wgru::{Cell, Device, Dims, Error, ErrorKind, Model, Pool, PoolOptions, Result};

/// Every adapter twice: opened by the crate, and by the caller without any callback. Each comes with a function that
/// loses it.
fn devices() -> Vec<(Device, Box<dyn Fn() + Sync + Send>)> {
    let mut all: Vec<(Device, Box<dyn Fn() + Sync + Send>)> = Vec::new();
    for own in own_adapters() {
        let clone = own.clone();
        all.push((own, Box::new(move || clone.destroy())));
    }
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::all();
    let instance = wgpu::Instance::new(descriptor);
    let mut found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    found.retain(|adapter| {
        adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    });
    for adapter in found {
        let required_limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..wgpu::DeviceDescriptor::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        all.push((Device::from_wgpu(device.clone(), queue), Box::new(move || device.destroy())));
    }
    all
}

#[track_caller]
fn assert_lost<T>(result: Result<T>, what: &str) {
    let error = result.err().unwrap_or_else(|| panic!("{what} on a device that is lost"));
    assert_eq!(error.kind(), ErrorKind::LostDevice, "{what}: {error}");
    assert!(matches!(error, Error::Lost { .. } | Error::PoolFailed { .. }), "{what}: {error}");
    assert!(error.to_string().contains("the device is lost"), "{what}: {error}");
}

/// Every call on the device returns that error.
fn assert_all_lost(device: &Device, model: &Model, inputs: &Inputs, engine: &wgru::Engine) {
    let batch = inputs.batch();
    assert!(device.is_lost());
    // Twice: the error repeats.
    for _ in 0..2 {
        assert_lost(engine.run(&batch), "a run");
        assert_lost(pollster::block_on(engine.run_async(&batch)), "an async run");
        assert_lost(engine.prepare(Dims::new(3, 5).unwrap()), "another shape");
        assert_lost(engine.stage(&batch), "staging");
        assert_lost(engine.session(2), "a session");
        assert_lost(engine.pool(PoolOptions::fixed(2)), "a pool");
        assert_lost(device.load_with(model, options()), "loading");
    }
    assert_eq!(engine.progress(), 0.0);
    assert!(device.is_lost());
}

#[test]
fn a_device_that_is_lost_between_calls() {
    let mut draw = Draw::new();
    for (device, lose) in devices() {
        let context = format!("{}, seed {}", device.info(), draw.seed);
        let model = draw.model(Cell::LSTM, 4, 12, 2);
        let inputs = Inputs::draw(&mut draw, &model, 3, 6);
        let engine = device.load_with(&model, options()).unwrap();
        assert_close(&model, &inputs.batch(), &engine.run(&inputs.batch()).unwrap(), &context);
        let (mut session, x) = (engine.session(3).unwrap(), draw.values(3 * 4, 1.0));
        session.step(&x).unwrap();
        let state = session.state().unwrap();
        let mut staged = engine.stage(&inputs.batch()).unwrap();
        staged.run().unwrap();
        let mut output = engine.output(staged.run_shape()).unwrap();
        staged.read_into(&mut output).unwrap();
        assert!(!device.is_lost(), "{context}");

        lose();
        assert_lost(staged.read_into(&mut output), "reading what was staged");
        for _ in 0..2 {
            assert_lost(session.step(&x), "a step");
            assert_lost(session.state(), "states");
            assert_lost(session.set_state(&state), "setting states");
            session.reset();
            assert_lost(staged.run(), "a staged run");
        }
        assert_all_lost(&device, &model, &inputs, &engine);
    }
}

/// Nothing has been called on the device before.
#[test]
fn a_device_that_is_lost_before_its_first_use() {
    let mut draw = Draw::new();
    for (device, lose) in devices() {
        let model = draw.model(Cell::GRU, 4, 12, 1);
        let inputs = Inputs::draw(&mut draw, &model, 3, 6);
        let engine = device.load_with(&model, options()).unwrap();
        lose();
        assert_all_lost(&device, &model, &inputs, &engine);
    }
    for (device, lose) in devices() {
        lose();
        assert_lost(device.load_with(&draw.model(Cell::GRU, 4, 12, 1), options()), "loading");
    }
}

/// Repeats `call` on a thread until the device is lost and the call returns an error.
fn under(
    device: &Device,
    lose: &(dyn Fn() + Sync + Send),
    after: Duration,
    what: &str,
    call: &mut (dyn FnMut() -> Result<()> + Send),
) {
    let begun = AtomicBool::new(false);
    thread::scope(|scope| {
        let calls = scope.spawn(|| {
            loop {
                begun.store(true, Ordering::Relaxed);
                if let Err(error) = call() {
                    return error;
                }
            }
        });
        while !begun.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        thread::sleep(after);
        lose();
        let error = calls.join().unwrap_or_else(|_| panic!("{what} panicked on {}", device.info()));
        assert_lost(Err::<(), _>(error), what);
    });
    assert!(device.is_lost());
}

#[test]
fn a_device_that_is_lost_under_a_call() {
    let mut draw = Draw::new();
    for kind in 0..5 {
        for (device, lose) in devices() {
            let model = draw.model(Cell::GRU, 16, 48, 2);
            let inputs = Inputs::draw(&mut draw, &model, 8, 150);
            let engine = device.load_with(&model, options()).unwrap();
            engine.prepare(inputs.batch().run_shape()).unwrap();
            let (mut session, x) = (engine.session(3).unwrap(), draw.values(3 * 16, 1.0));
            let mut staged = engine.stage(&inputs.batch()).unwrap();
            let mut pool = engine.pool(PoolOptions::fixed(2)).unwrap();
            let stream = pool.open().unwrap();
            let tick = |pool: &mut Pool| {
                pool.push(stream, &x[..16])?;
                pool.tick().map(drop)
            };
            let after = Duration::from_millis(draw.size(1..=59) as u64);
            match kind {
                0 => under(&device, &lose, after, "a run", &mut || engine.run(&inputs.batch()).map(drop)),
                1 => under(&device, &lose, after, "a step", &mut || session.step(&x).map(drop)),
                2 => under(&device, &lose, after, "a staged run", &mut || staged.run().map(drop)),
                3 => under(&device, &lose, after, "an async run", &mut || {
                    pollster::block_on(engine.run_async(&inputs.batch())).map(drop)
                }),
                _ => under(&device, &lose, after, "a tick", &mut || tick(&mut pool)),
            }
            assert_all_lost(&device, &model, &inputs, &engine);
        }
    }
}

/// A future that began before the loss and is polled after it: it ends, with the right numbers or with the error.
#[test]
fn a_future_whose_device_is_lost_ends() {
    let mut draw = Draw::new();
    for (device, lose) in devices() {
        let context = format!("{}, seed {}", device.info(), draw.seed);
        let model = draw.model(Cell::GRU, 16, 48, 1);
        let inputs = Inputs::draw(&mut draw, &model, 8, 100);
        let engine = device.load_with(&model, options()).unwrap();
        engine.prepare(inputs.batch().run_shape()).unwrap();
        let batch = inputs.batch();
        {
            let mut run = pin!(engine.run_async(&batch));
            let first = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            lose();
            let result = match first {
                Poll::Ready(result) => result,
                Poll::Pending => pollster::block_on(run),
            };
            match result {
                Ok(output) => assert_close(&model, &batch, &output, &context),
                error => assert_lost(error, "a run"),
            }
        }
        assert_all_lost(&device, &model, &inputs, &engine);
    }
}

/// A tick that began before the loss is over once its outputs cannot be read.
#[test]
fn a_tick_under_way_ends_with_its_device() {
    let mut draw = Draw::new();
    for (device, lose) in devices() {
        let model = draw.model(Cell::GRU, 16, 48, 2);
        let engine = device.load_with(&model, options()).unwrap();
        let mut pool = engine.pool(PoolOptions::fixed(2)).unwrap();
        let stream = pool.open().unwrap();
        pool.push(stream, &draw.values(40 * 16, 1.0)).unwrap();
        assert!(pool.begin().unwrap());
        lose();
        let mut output = wgru::TickOutput::default();
        let finished = pool.finish_into(&mut output);
        assert_eq!(engine.progress(), 0.0, "{}: {finished:?}", device.info());
        assert_lost(pool.tick(), "a tick");
    }
}
