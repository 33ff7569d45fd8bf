//! Runs that their caller ends early: [`wgru::Interrupt`].

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wgru::{Bindings, Cell, Device, DeviceInfo, Error, ErrorKind, Interrupt};

use crate::common::{Draw, Inputs, bits, devices, options};

/// Every device here, the reference, and the CPU path with threads that share each step and with one.
fn all() -> Vec<Device> {
    let others = ["reference", "cpu:1", "cpu:3"].map(|selector| Device::open(selector).unwrap());
    devices().into_iter().chain(others).collect()
}

/// The run ends soon, on the caller's question alone, and the engine goes on with the same bits.
#[test]
fn an_interrupted_run_ends_soon_and_the_engine_goes_on() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 8, 256, 1);
    let (long, short) = (Inputs::draw(&mut draw, &model, 1, 20_000), Inputs::draw(&mut draw, &model, 2, 30));
    for device in all() {
        let context = device.info();
        let engine = device.load_with(&model, options()).unwrap();
        let expected = engine.run(&short.batch()).unwrap();
        engine.prepare(long.batch().run_shape()).unwrap();
        let (asked, askers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let progress = Mutex::new(Vec::new());
        let interrupt = Interrupt::new(|| {
            progress.lock().unwrap().push(engine.progress());
            askers.lock().unwrap().push(thread::current().id());
            // No, then yes.
            asked.fetch_add(1, Ordering::Relaxed) > 0
        });
        let began = Instant::now();
        let ended = engine.run(&long.batch().interrupt(&interrupt)).map(drop);
        let error = ended.expect_err(&context.to_string());
        let seconds = began.elapsed();
        assert!(matches!(error, Error::Interrupted), "{context}: {error}");
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(seconds < Duration::from_secs(2), "{context}: {seconds:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 2, "{context}");
        assert!(askers.lock().unwrap().iter().all(|asker| *asker == thread::current().id()), "{context}");
        assert_eq!(engine.progress(), 0.0, "{context}");
        // Where it asked last, the run was on its way; the reference does not count.
        let last = progress.lock().unwrap()[1];
        let is_counted = !matches!(context, DeviceInfo::Reference);
        assert!((last > 0.0 && last < 1.0) == is_counted, "{context}: {last}");
        // Once it is set, other runs with it end too.
        let batch = long.batch();
        let mut y = vec![0.0; 20_000 * 256];
        let bindings = Bindings::new(batch.x()).y(&mut y).interrupt(&interrupt);
        let error = engine.run_bound(batch.run_shape(), bindings).expect_err(&context.to_string());
        assert!(matches!(error, Error::Interrupted), "{context}: {error}");
        let again = engine.run(&short.batch()).unwrap();
        assert_eq!(bits(&again.y), bits(&expected.y), "{context}");
    }
}

/// A run whose caller says no has the bits of one that does not ask.
#[test]
fn a_question_changes_nothing() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::LSTM, 8, 40, 2);
    let inputs = Inputs::draw(&mut draw, &model, 5, 600).ragged(&mut draw);
    for device in all() {
        let engine = device.load_with(&model, options()).unwrap();
        let interrupt = Interrupt::new(|| false);
        let asked = engine.run(&inputs.batch().interrupt(&interrupt)).unwrap();
        let plain = engine.run(&inputs.batch()).unwrap();
        assert_eq!(bits(&asked.y), bits(&plain.y), "{}", device.info());
        assert_eq!(bits(&asked.h_n), bits(&plain.h_n), "{}", device.info());
        assert!(!interrupt.is_set());
    }
}
