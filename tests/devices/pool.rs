//! Pools: a stream has the bits of its own sequence run, whichever other streams the pool has, whenever it joined and
//! however its frames were cut.

mod saving;
mod snapshots;

use std::future::Future;
use std::task::{Context, Poll, Waker};

use crate::common::life::{Life, Population, assert_lives, other_model, take};
use crate::common::{Draw, devices, everywhere, options, own_devices};
use wgru::NonFinite;
use wgru::dtype::Storage;
use wgru::{
    Cell, Direction, Engine, Error, ErrorKind, Model, Options, PoolOptions, ReadoutSteps, State, StreamFault,
    TickOutput,
};

/// Streams that come and go at random.
#[test]
fn a_stream_has_the_bits_of_its_own_sequence_run() {
    let mut draw = Draw::new();
    for device in everywhere() {
        for (index, cell) in Cell::ALL.into_iter().enumerate() {
            let (input, hidden) = (draw.size(1..=9), draw.size(1..=70));
            let model = draw.model(cell, input, hidden, 1 + index % 5);
            let model = draw.with_options(model);
            let steps = [ReadoutSteps::Every, ReadoutSteps::Last][index % 2];
            let model = if draw.chance() { draw.with_readout(model, 3, steps) } else { model };
            let engine = device.load_with(&model, options()).unwrap();
            live(&mut draw, &engine, 9, 25);
        }
    }
}

/// A pool with at most so many streams for so many ticks. One or two ticks are under way while streams open, close
/// and change.
fn live(draw: &mut Draw, engine: &Engine, most: usize, ticks: usize) {
    let context = format!("{}, {}, seed {}", engine.device().info(), engine.model(), draw.seed);
    let mut population = Population::new(engine.pool(PoolOptions::growing(2).frames(5)).unwrap());
    for _ in 0..ticks {
        if population.living.len() < most && draw.chance() {
            let given = draw.chance().then(|| crate::common::life::state(draw, engine.model()));
            population.open(given);
        }
        for at in 0..population.living.len() {
            match draw.size(0..=9) {
                0..=4 => population.push(draw, at, 1),
                5 => {
                    let frames = draw.size(0..=7);
                    population.push(draw, at, frames);
                }
                6 if draw.chance() => population.begin_again(at, None),
                7 if draw.chance() => {
                    let state = crate::common::life::state(draw, engine.model());
                    population.begin_again(at, Some(state));
                }
                8 if draw.chance() => population.save(at),
                _ => {}
            }
        }
        if !population.living.is_empty() && draw.size(0..=9) == 0 {
            let at = draw.size(0..=population.living.len() - 1);
            population.close(at);
        }
        population.begin();
        while population.pool.in_flight() == 2 || (population.pool.in_flight() > 0 && draw.chance()) {
            population.finish();
        }
    }
    while population.pool.ready() > 0 || population.pool.in_flight() > 0 {
        population.begin();
        population.finish();
    }
    let computed = population.lives.iter().map(Life::outputs).sum::<usize>();
    assert!(computed > ticks / 2, "{context}: hardly anything was computed");
    assert_lives(engine, &population.lives, &context);
}

#[test]
fn sixteen_bit_weights_and_activations() {
    let mut draw = Draw::new();
    for device in devices() {
        for storage in [Storage::F16, Storage::Bf16] {
            let model = draw.model(Cell::LSTM, 5, 33, 2);
            let model = draw.with_readout(model, 2, ReadoutSteps::Every);
            let options = options().weights(storage).activations(storage);
            live(&mut draw, &device.load_with(&model, options).unwrap(), 9, 20);
        }
    }
}

#[test]
fn arrays_full_of_nan_are_written_before_they_are_read() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in [Cell::GRU, Cell::LSTM, Cell::ORIGINAL_GRU] {
            let model = draw.model(cell, 4, 18, 2);
            live(&mut draw, &device.load_with(&model, options().fill_nan(true)).unwrap(), 9, 20);
        }
    }
}

/// More streams than one batch may have, by a limit on memory: a tick runs several batches with one program.
#[test]
fn more_streams_than_a_batch_holds() {
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model(Cell::GRU, 3, 16, 1);
        let engine = device.load_with(&model, options().memory(40_000)).unwrap();
        let mut pool = engine.pool(PoolOptions::growing(draw.size(1..=300)).frames(2)).unwrap();
        let mut lives: Vec<Life> = (0..300).map(|_| Life::new(pool.open().unwrap(), None)).collect();
        for _ in 0..3 {
            lives.iter_mut().for_each(|life| life.push(&mut draw, &mut pool, 1));
            take(&mut lives, &pool.tick().unwrap());
        }
        assert_lives(&engine, &lives, &format!("{}, seed {}", device.info(), draw.seed));
    }
}

#[test]
fn two_ticks_under_way() {
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model(Cell::GRU, 6, 40, 2);
        let engine = device.load_with(&model, options()).unwrap();
        let mut pool = engine.pool(PoolOptions::fixed(7)).unwrap();
        let mut lives: Vec<Life> = (0..7).map(|_| Life::new(pool.open().unwrap(), None)).collect();
        let mut output = Default::default();
        assert!(!pool.begin().unwrap(), "a tick of nothing");
        for round in 0..8 {
            for life in &mut lives {
                if round == 0 || draw.chance() {
                    life.push(&mut draw, &mut pool, 2);
                }
            }
            pool.begin().unwrap();
            if pool.in_flight() == 2 {
                assert!(matches!(pool.begin(), Err(Error::Mismatch { .. })), "three are under way");
                pool.finish_into(&mut output).unwrap();
                take(&mut lives, &output);
            }
        }
        assert!(matches!(pool.tick(), Err(Error::Mismatch { .. })), "one is under way");
        while pool.in_flight() > 0 {
            pool.finish_into(&mut output).unwrap();
            take(&mut lives, &output);
        }
        assert!(matches!(pool.finish_into(&mut output), Err(Error::Mismatch { .. })), "none is under way");
        assert_lives(&engine, &lives, &format!("{}, seed {}", device.info(), draw.seed));
    }
}

/// In steady state a tick creates nothing on the device. Nor does a tick with another number of streams, once
/// prepared.
#[test]
fn a_tick_creates_nothing() {
    let mut draw = Draw::new();
    // Each test that counts objects has devices of its own.
    for device in own_devices() {
        let model = draw.model(Cell::LSTM, 4, 20, 2);
        let engine = device.load_with(&model, options()).unwrap();
        let mut pool = engine.pool(PoolOptions::growing(1).frames(3)).unwrap();
        pool.prepare(20, 3).unwrap();
        let streams: Vec<_> = (0..20).map(|_| pool.open().unwrap()).collect();
        let created = device.resource_counts();
        assert_eq!(pool.bytes() > 0, !matches!(device.info(), wgru::DeviceInfo::Cpu(_)), "{}", device.info());
        for _ in 0..30 {
            for &stream in &streams {
                if draw.chance() {
                    let count = draw.size(1..=3);
                    pool.push(stream, &draw.values(count * 4, 1.0)).unwrap();
                }
            }
            pool.begin().unwrap();
            let mut output = Default::default();
            if pool.in_flight() == 2 {
                pool.finish_into(&mut output).unwrap();
            }
        }
        assert_eq!(device.resource_counts(), created, "{}, seed {}", device.info(), draw.seed);
    }
}

#[test]
fn what_is_wrong_is_an_error_that_names_the_stream() {
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model(Cell::GRU, 3, 6, 1);
        let engine = device.load_with(&model, options()).unwrap();
        let mut pool = engine.pool(PoolOptions::fixed(2)).unwrap();
        let (a, b) = (pool.open().unwrap(), pool.open().unwrap());
        let error = pool.open().unwrap_err();
        assert!(matches!(error, Error::TooLarge { needed: 3, limit: 2, unit: "streams", .. }), "{error}");

        let named = |error: Error, stream: wgru::StreamId, part: &str| {
            assert!(matches!(error, Error::Stream { stream: s, .. } if s == stream.number()), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        named(pool.push(a, &[1.0; 4]).unwrap_err(), a, "I = 3: got 4 numbers");
        let bad = [0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0];
        named(pool.push(a, &bad).unwrap_err(), a, "feature 1 of frame 1 is NaN");
        assert_eq!((pool.pending(a).unwrap(), pool.ready()), (0, 0));
        // The stream goes on, and the others are not affected.
        pool.push(a, &[0.5; 3]).unwrap();
        pool.push(b, &[0.5; 6]).unwrap();
        let output = pool.tick().unwrap();
        assert_eq!(output.iter().map(|frames| frames.frames).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(output.of(a).unwrap().y, &output.of(b).unwrap().y[..6]);

        pool.push(a, &[0.5; 9]).unwrap();
        assert_eq!(pool.close(a).unwrap(), 3, "frames that no tick took");
        for error in [
            pool.close(a).unwrap_err(),
            pool.push(a, &[0.5; 3]).unwrap_err(),
            pool.reset(a).map(drop).unwrap_err(),
            pool.set_state(a, &State { h: vec![0.0; 6], c: None }).map(drop).unwrap_err(),
            pool.state(a).map(drop).unwrap_err(),
            pool.pending(a).map(drop).unwrap_err(),
        ] {
            named(error, a, "not open");
        }
        assert!(pool.tick().unwrap().is_empty());
        let c = pool.open().unwrap();
        named(pool.close(a).unwrap_err(), a, "not open");
        let with_c = State { h: vec![0.0; 6], c: Some(vec![0.0; 6]) };
        let infinite = State { h: vec![f32::INFINITY; 6], c: None };
        for (state, part) in [
            (State { h: vec![0.0; 5], c: None }, "of shape [1, 1, 6], got 5"),
            (with_c, "has no cell state"),
            (infinite, "is inf"),
        ] {
            named(pool.set_state(c, &state).map(drop).unwrap_err(), c, part);
            assert!(pool.open_with(&state).is_err(), "{part}");
        }
        // A stream of another pool, which may have the same number and slot.
        let mut other = engine.pool(PoolOptions::fixed(2)).unwrap();
        let foreign = other.open().unwrap();
        named(pool.push(foreign, &[0.5; 3]).unwrap_err(), foreign, "not open");
        assert_eq!(pool.len(), 2);
    }
}

/// Frames that do not fit into a stream's queue are refused as a whole, and the stream goes on.
#[test]
fn a_queue_has_a_limit() {
    let mut draw = Draw::new();
    for device in devices() {
        let context = format!("{}, seed {}", device.info(), draw.seed);
        let model = draw.model(Cell::GRU, 2, 6, 1);
        let engine = device.load(&model).unwrap();
        let mut pool = engine.pool(PoolOptions::fixed(2).frames(3).queue(7)).unwrap();
        let mut lives: Vec<Life> = (0..2).map(|_| Life::new(pool.open().unwrap(), None)).collect();
        lives[0].push(&mut draw, &mut pool, 5);
        let named = lives[0].stream;
        let refused = |pool: &mut wgru::Pool, count: usize, part: &str| {
            let error = pool.push(named, &vec![0.5; count * 2]).unwrap_err();
            let is_named = matches!(
                error,
                Error::Stream { stream, fault: StreamFault::QueueFull { pushed, limit: 7, .. } }
                    if stream == named.number() && pushed == count
            );
            assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
            let error = error.to_string();
            assert!(is_named && error.contains(part) && error.contains("PoolOptions::queue"), "{error}");
        };
        refused(&mut pool, 3, "3 frames are more than its queue takes: 5 of at most 7 wait there");
        refused(&mut pool, usize::from(u16::MAX), "65535 frames are more");
        assert_eq!(pool.pending(lives[0].stream).unwrap(), 5, "{context}");
        lives[0].push(&mut draw, &mut pool, 2);
        refused(&mut pool, 1, "1 frame is more than its queue takes: 7 of at most 7");
        pool.push(lives[0].stream, &[]).unwrap();
        // Another stream has a queue of its own, and a tick makes room.
        lives[1].push(&mut draw, &mut pool, 7);
        take(&mut lives, &pool.tick().unwrap());
        lives[0].push(&mut draw, &mut pool, 3);
        while pool.ready() > 0 {
            take(&mut lives, &pool.tick().unwrap());
        }
        assert_eq!(lives[0].outputs(), 10 * 6, "{context}");
        assert_lives(&engine, &lives, &context);
        // The default is 1,024.
        let mut pool = engine.pool(PoolOptions::fixed(1)).unwrap();
        let stream = pool.open().unwrap();
        pool.push(stream, &[0.5; 2 * 1024]).unwrap();
        assert!(pool.push(stream, &[0.5; 2]).is_err(), "{context}");
        let mut pool = engine.pool(PoolOptions::fixed(1).queue(usize::MAX)).unwrap();
        let stream = pool.open().unwrap();
        (0..9).for_each(|_| pool.push(stream, &[0.5; 2 * 1024]).unwrap());
    }
}

#[test]
fn a_stream_may_be_isolated() {
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model(Cell::GRU, 2, 6, 1);
        let engine = device.load_with(&model, options()).unwrap();
        let options = PoolOptions::fixed(2).non_finite(NonFinite::Isolate);
        let mut pool = engine.pool(options).unwrap();
        let (a, b) = (pool.open().unwrap(), pool.open().unwrap());
        pool.push(a, &[0.25; 2]).unwrap();
        pool.push(a, &[f32::INFINITY, 0.0]).unwrap_err();
        let error = pool.push(a, &[0.5; 2]).unwrap_err().to_string();
        assert!(error.contains("isolated") && error.contains("feature 0 of frame 0 is inf"), "{error}");
        pool.push(b, &[0.25; 2]).unwrap();
        let output = pool.tick().unwrap();
        assert_eq!(output.of(a).unwrap().y, output.of(b).unwrap().y, "what came before is computed");
        assert_eq!(pool.reset(a).unwrap(), 0);
        pool.push(a, &[0.25; 2]).unwrap();
        assert_eq!(pool.tick().unwrap().of(a).unwrap().y, output.of(b).unwrap().y);
    }
}

#[test]
fn what_no_pool_can_be_is_refused() {
    let mut draw = Draw::new();
    for device in devices() {
        for direction in [Direction::Reverse, Direction::Bidirectional] {
            let model = draw.model_of(Cell::GRU, direction, 2, 6, 1);
            let error = device.load(&model).unwrap().pool(PoolOptions::fixed(2)).unwrap_err();
            assert!(error.to_string().contains("a stream has no end"), "{error}");
        }
        let engine = device.load(&draw.model(Cell::GRU, 2, 6, 1)).unwrap();
        assert!(matches!(engine.pool(PoolOptions::fixed(0)), Err(Error::Zero { .. })));
        assert!(matches!(engine.pool(PoolOptions::fixed(1).frames(0)), Err(Error::Zero { .. })));
        assert!(matches!(engine.pool(PoolOptions::fixed(1).queue(0)), Err(Error::Zero { .. })));
        // As many frames as the device allows, where the caller sets no limit.
        let unbounded = engine.pool(PoolOptions::fixed(1).frames(usize::MAX)).unwrap();
        assert!((1..=1 << 16).contains(&unbounded.options().frames), "{:?}", unbounded.options());
        let error = engine.pool(PoolOptions::fixed(usize::MAX / 8)).unwrap_err();
        let is_size = matches!(error, Error::TooLarge { .. } | Error::Overflow { .. } | Error::Memory { .. });
        assert!(is_size, "{error}");
    }
    let model: Model = draw.model(Cell::GRU, 2, 6, 1);
    // A pool that grows stops at its memory limit, and its states stay intact.
    for device in devices().into_iter().filter(|device| !matches!(device.info(), wgru::DeviceInfo::Cpu(_))) {
        let engine = device.load_with(&model, Options::default().memory(4_000)).unwrap();
        let mut pool = engine.pool(PoolOptions::growing(16)).unwrap();
        let mut open = 0;
        let error = loop {
            match pool.open() {
                Ok(_) => open += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        assert_eq!((pool.len(), pool.capacity(), open), (128, 128, 128));
    }
}

/// Streams that have moved on since they were saved are listed, and everything else goes on.
#[test]
fn a_pool_is_built_again_on_another_device() {
    let mut draw = Draw::new();
    let devices = devices();
    for (index, device) in devices.iter().enumerate() {
        let other = &devices[(index + 1) % devices.len()];
        let model = draw.model(Cell::LSTM, 3, 10, 2);
        let [engine, new] = [device, other].map(|device| device.load(&model).unwrap());
        let mut pool = engine.pool(PoolOptions::fixed(4)).unwrap();
        let streams: Vec<_> = (0..4).map(|_| pool.open().unwrap()).collect();
        let frames = draw.values(3 * 4, 1.0);
        streams[..3].iter().for_each(|&stream| pool.push(stream, &frames[..6]).unwrap());
        pool.tick().unwrap();
        pool.state(streams[0]).unwrap();
        let saved = pool.state(streams[1]).unwrap();
        pool.push(streams[1], &frames[6..9]).unwrap();
        pool.tick().unwrap();
        pool.push(streams[0], &frames[6..9]).unwrap();

        let error = pool.rebuild(&device.load(&other_model(&mut draw)).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        let lost = pool.rebuild(&new).unwrap();
        let lost: Vec<_> = lost.iter().map(|lost| (lost.stream, lost.frames)).collect();
        let context = format!("{} to {}, seed {}", device.info(), other.info(), draw.seed);
        assert_eq!(lost, [(streams[1], 1), (streams[2], 2)], "{context}");
        assert_eq!(pool.state(streams[1]).unwrap(), saved, "{context}");
        assert_eq!(pool.frames(streams[1]).unwrap(), 2, "{context}");
        let output = pool.tick().unwrap();
        assert_eq!(output.iter().map(|frames| frames.stream).collect::<Vec<_>>(), [streams[0]], "{context}");
    }
}

/// The predicted time of a tick grows with its work.
#[test]
fn the_cost_of_a_tick_is_known_beforehand() {
    let mut draw = Draw::new();
    for device in devices() {
        let engine = device.load(&draw.model(Cell::GRU, 64, 64, 1)).unwrap();
        let pool = engine.pool(PoolOptions::fixed(1)).unwrap();
        let [one, many] = [1, 4096].map(|streams| pool.expected(streams, 1).unwrap());
        assert!(one.as_nanos() > 0 && one < many, "{}: {one:?}, {many:?}", device.info());
        assert!(matches!(pool.expected(0, 1), Err(Error::Zero { .. })));
    }
}

/// Polls a future once and drops it; returns its output if it was done.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[test]
fn futures_may_be_dropped() {
    let mut draw = Draw::new();
    for device in devices() {
        let model = draw.model(Cell::GRU, 6, 40, 2);
        let engine = device.load_with(&model, options()).unwrap();
        let mut pool = engine.pool(PoolOptions::fixed(5)).unwrap();
        let mut lives: Vec<Life> = (0..5).map(|_| Life::new(pool.open().unwrap(), None)).collect();
        let mut output = TickOutput::default();
        for _ in 0..3 {
            lives.iter_mut().for_each(|life| life.push(&mut draw, &mut pool, 3));
            // Later calls get the outputs of a tick that began, however often its futures were dropped.
            let mut done = poll_once(pool.tick_into_async(&mut output));
            if done.is_none() {
                assert_eq!((pool.in_flight(), pool.ready()), (1, 0));
                assert!(output.is_empty());
                done = (0..1000).find_map(|_| poll_once(pool.finish_into_async(&mut output)));
            }
            done.unwrap_or_else(|| pool.finish_into(&mut output)).unwrap();
            take(&mut lives, &output);
        }
        // A caller that only calls ticks, and drops them again and again, still gets every output.
        let mut drops = 0;
        for _ in 0..4 {
            lives.iter_mut().for_each(|life| life.push(&mut draw, &mut pool, 2));
            while pool.ready() > 0 || pool.in_flight() > 0 {
                match poll_once(pool.tick_into_async(&mut output)) {
                    None => drops += 1,
                    Some(done) => {
                        done.unwrap();
                        take(&mut lives, &output);
                    }
                }
            }
        }
        println!("{}: {drops} ticks dropped", device.info());
        assert!(lives.iter().all(|life| life.outputs() == 17 * 40), "seed {}", draw.seed);
        let saved = std::iter::repeat_with(|| poll_once(pool.state_async(lives[0].stream))).flatten().next();
        lives[0].saved = Some(saved.unwrap().unwrap());
        lives[0].saved_at = lives[0].outputs();
        assert_lives(&engine, &lives, &format!("{}, seed {}", device.info(), draw.seed));
    }
}
