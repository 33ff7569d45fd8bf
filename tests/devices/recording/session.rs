//! Recorded steps of sessions and ticks of pools.

use super::Caller;
use crate::common::{Draw, bits};
use wgru::plan::Strategy;
use wgru::{Batch, Bindings, Cell, Engine, Error, Model, Options, Output, Pool, PoolOptions, ReadoutSteps};
use wgru::{State, StreamId};

fn draw_model(draw: &mut Draw, cell: Cell) -> Model {
    let model = draw.model(cell, 3, 17, 3);
    let model = if draw.chance() { draw.with_options(model) } else { model };
    draw.with_readout(model, 2, ReadoutSteps::Every)
}

/// Frames of two streams, and the outputs of a sequence run of each.
struct Streams {
    x: Vec<Vec<f32>>,
    sequences: Vec<Output>,
    /// D·P.
    width: usize,
}

impl Streams {
    fn draw(draw: &mut Draw, engine: &Engine, steps: usize) -> Self {
        let x: Vec<Vec<f32>> = (0..2).map(|_| draw.values(steps * 3, 1.5)).collect();
        let run = |x: &Vec<f32>| engine.run(&Batch::new(x, [1, steps, 3]).unwrap()).unwrap();
        let sequences = x.iter().map(run).collect();
        Self { x, sequences, width: engine.model().output() }
    }

    /// So many frames of each, from one on.
    fn frames(&self, from: usize, count: usize) -> Vec<f32> {
        self.x.iter().flat_map(|x| &x[from * 3..][..count * 3]).copied().collect()
    }

    /// Their outputs.
    fn y(&self, from: usize, count: usize) -> Vec<u32> {
        let width = self.width;
        let rows = self.sequences.iter().flat_map(|all| &all.y[from * width..][..count * width]);
        bits(&rows.copied().collect::<Vec<f32>>())
    }

    /// Asserts that the pool's streams have had all frames.
    fn assert_had_all(&self, pool: &mut Pool, ids: &[StreamId], context: &str) {
        for ((&stream, all), x) in ids.iter().zip(&self.sequences).zip(&self.x) {
            assert_eq!(bits(&pool.state(stream).unwrap().h), bits(&all.h_n), "{context}");
            assert_eq!(pool.frames(stream).unwrap(), x.len() as u64 / 3, "{context}");
        }
    }
}

/// Two recordings in one encoder are two steps, a dropped encoder is none, and host steps come between.
#[test]
fn recorded_steps_are_steps() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in Cell::ALL {
            let strategy = [Strategy::Step, Strategy::Persistent][draw.size(0..=1)];
            let model = draw_model(&mut draw, cell);
            let engine = caller.ours.load_with(&model, Options::default().strategy(strategy)).unwrap();
            let context = format!("{}, {model}, {strategy}, seed {}", caller.name, draw.seed);
            let streams = 5;
            let steps: Vec<Vec<f32>> = (0..7).map(|_| draw.values(streams * 3, 1.5)).collect();
            let mut plain = engine.session(streams).unwrap();
            let wanted: Vec<_> = steps.iter().map(|x| plain.step(x).unwrap()).collect();

            let mut session = engine.session(streams).unwrap();
            let step = |session: &mut wgru::Session, at: usize| {
                let output = session.step(&steps[at]).unwrap();
                assert_eq!(bits(&output.y), bits(&wanted[at].y), "{context}: step {at}");
            };
            step(&mut session, 0);
            // x and, 256 bytes on, y of each step: slices of one buffer, as with pooled memory.
            let pages = steps.iter().zip(&wanted).map(|(x, output)| {
                let words = [&bits(x)[..], &vec![0; 64 - x.len() + output.y.len()]].concat();
                caller.with(&words, 0)
            });
            let pages: Vec<_> = pages.collect();
            let y = |at: usize| (pages[at].clone(), 256);
            let out = caller.with(&[0; 10], 0);
            let h = caller.with(&vec![0; plain.state().unwrap().h.len()], 0);
            let recording = |session: &mut wgru::Session, at: usize| {
                let bindings = Bindings::new(&pages[at]).y((&pages[at], 256));
                session.recording(bindings.out(&out).h_n(&h)).unwrap()
            };
            let recordings: Vec<_> = (0..7).map(|at| recording(&mut session, at)).collect();
            let mut dropped = caller.encoder();
            recordings[3].record(&mut dropped);
            drop(dropped);
            caller.submit(|encoder| recordings[1..3].iter().for_each(|recording| recording.record(encoder)));
            step(&mut session, 3);
            caller.submit(|encoder| recordings[4].record(encoder));
            let mut got = vec![0.0; wanted[5].y.len()];
            session.step_bound(Bindings::new(&pages[5]).y(&mut got)).unwrap();
            assert_eq!(bits(&got), bits(&wanted[5].y), "{context}: a step with x in a buffer");
            caller.submit(|encoder| recordings[6].record(encoder));
            for at in [1, 2, 4, 6] {
                assert_eq!(caller.read(&y(at)), bits(&wanted[at].y), "{context}: step {at}");
            }
            assert_eq!(caller.read(&(out, 0)), bits(wanted[6].out.as_ref().unwrap()), "{context}");
            let [own, state] = [&mut session, &mut plain].map(|session| session.state().unwrap());
            assert_eq!(bits(&own.h), bits(&state.h), "{context}");
            assert_eq!(caller.read(&(h, 0)), bits(&state.h), "{context}");
            assert_eq!(own.c.as_deref().map(bits), state.c.as_deref().map(bits), "{context}");
            // The next step begins from a state that is set.
            let other =
                State { h: draw.values(own.h.len(), 1.0), c: own.c.map(|c| draw.values(c.len(), 1.0)) };
            for session in [&mut session, &mut plain] {
                session.set_state(&other).unwrap();
            }
            caller.submit(|encoder| recordings[0].record(encoder));
            let next = plain.step(&steps[0]).unwrap();
            assert_eq!(caller.read(&y(0)), bits(&next.y), "{context}");
        }
    }
}

#[test]
fn recorded_ticks_are_ticks() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in Cell::ALL {
            let model = draw_model(&mut draw, cell);
            let engine = caller.ours.load(&model).unwrap();
            let context = format!("{}, {model}, seed {}", caller.name, draw.seed);
            let mut pool = engine.pool(PoolOptions::fixed(6)).unwrap();
            let streams: Vec<_> = (0..4).map(|_| pool.open().unwrap()).collect();
            // Two streams: three frames at once, then one by the host and three again.
            let all = Streams::draw(&mut draw, &engine, 7);
            let width = all.width;
            let y = [(); 2].map(|()| caller.with(&vec![0; 2 * 3 * width], 0));
            let ids = [streams[2], streams[0]];
            let [one, two] = [0, 4].map(|from| caller.with(&bits(&all.frames(from, 3)), 0));
            let first = pool.recording(&ids, 3, Bindings::new(&one).y(&y[0])).unwrap();
            let before = caller.ours.resource_counts();
            let second = first.rebind(&pool, Bindings::new(&two).y(&y[1])).unwrap();
            let after = caller.ours.resource_counts();
            assert_eq!((after.buffers, after.pipelines), (before.buffers, before.pipelines), "{context}");
            let mut encoder = caller.encoder();
            pool.record(&first, &mut encoder).unwrap();
            assert_eq!(caller.ours.resource_counts(), after, "{context}");
            caller.queue.submit([encoder.finish()]);
            for (&stream, x) in ids.iter().zip(&all.x) {
                pool.push(stream, &x[3 * 3..][..3]).unwrap();
            }
            pool.tick().unwrap();
            let mut encoder = caller.encoder();
            pool.record(&second, &mut encoder).unwrap();
            caller.queue.submit([encoder.finish()]);
            for (at, from) in [(0, 0), (1, 4)] {
                let got = caller.read(&(y[at].clone(), 0));
                assert_eq!(got, all.y(from, 3), "{context}: from frame {from} on");
            }
            all.assert_had_all(&mut pool, &ids, &context);
            // A stream that is reset begins with zero states.
            pool.reset(ids[0]).unwrap();
            let mut encoder = caller.encoder();
            pool.record(&first, &mut encoder).unwrap();
            caller.queue.submit([encoder.finish()]);
            let got = caller.read(&(y[0].clone(), 0));
            assert_eq!(got[..3 * width], all.y(0, 3)[..3 * width], "{context}: after a reset");

            let twice = pool.recording(&[ids[0], ids[0]], 1, Bindings::new(&one));
            assert!(twice.unwrap_err().to_string().contains("named twice"), "{context}");
            pool.close(ids[1]).unwrap();
            let mut encoder = caller.encoder();
            let error = pool.record(&first, &mut encoder).unwrap_err();
            assert!(matches!(error, Error::Stream { .. }), "{context}: {error}");
        }
    }
}

/// Ticks that submit themselves, with the same numbers of streams and frames again and again, and recordings of such
/// ticks. After the first nothing is created on the same buffers, and only bind groups on other buffers. Which
/// streams tick does not matter.
#[test]
fn ticks_again_create_nothing() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        let model = draw_model(&mut draw, Cell::LSTM);
        let engine = caller.ours.load(&model).unwrap();
        let context = format!("{}, {model}, seed {}", caller.name, draw.seed);
        let mut pool = engine.pool(PoolOptions::growing(4)).unwrap();
        let ids: Vec<_> = (0..4).map(|_| pool.open().unwrap()).collect();
        let all = Streams::draw(&mut draw, &engine, 6);
        let x = [0, 2, 4].map(|from| all.frames(from, 2));
        let on_device = x.each_ref().map(|x| caller.with(&bits(x), 0));
        let y = caller.with(&vec![0; 2 * 2 * all.width], 0);
        let made = || caller.ours.resource_counts();
        // x and lengths on the host, y in a buffer.
        let mut first = None;
        for (at, x) in x.iter().enumerate() {
            pool.tick_bound(&ids[..2], 2, Bindings::new(x).lengths(&[2, 2][..]).y(&y)).unwrap();
            assert_eq!(*first.get_or_insert(made()), made(), "{context}: tick {at}");
            assert_eq!(caller.read(&(y.clone(), 0)), all.y(2 * at, 2), "{context}");
        }
        all.assert_had_all(&mut pool, &ids[..2], &context);
        // x in alternating buffers, y on the host, of other streams.
        let mut first = None;
        for (at, x) in on_device.iter().enumerate() {
            let mut y = vec![f32::NAN; 2 * 2 * all.width];
            pool.tick_bound(&ids[2..], 2, Bindings::new(x).y(&mut y)).unwrap();
            let (before, now) = (*first.get_or_insert(made()), made());
            assert_eq!((now.buffers, now.pipelines), (before.buffers, before.pipelines), "{context}");
            assert!(at == 0 || now.bind_groups > before.bind_groups, "{context}");
            assert_eq!(bits(&y), all.y(2 * at, 2), "{context}: tick {at}");
        }
        all.assert_had_all(&mut pool, &ids[2..], &context);
        // Recordings share their program; each has its own slots of rows.
        let recording = |pool: &mut Pool, at: usize| {
            pool.recording(&ids[at..at + 2], 2, Bindings::new(&on_device[0]).y(&y)).unwrap()
        };
        let _first = recording(&mut pool, 0);
        let before = made();
        let second = recording(&mut pool, 1);
        let now = made();
        assert_eq!((now.buffers, now.pipelines), (before.buffers + 1, before.pipelines), "{context}");
        // A pool that has grown has new buffers of states.
        pool.open().unwrap();
        assert!(pool.record(&second, &mut caller.encoder()).is_err(), "{context}");
        ids.iter().for_each(|&stream| _ = pool.reset(stream).unwrap());
        pool.tick_bound(&ids[..2], 2, Bindings::new(&x[0]).y(&y)).unwrap();
        assert_eq!(caller.read(&(y, 0)), all.y(0, 2), "{context}: after it has grown");
    }
}

/// Ticks that submit themselves, first from the host into a buffer, then from a buffer to the host.
#[test]
fn ticks_on_buffers_are_ticks() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in Cell::ALL {
            let model = draw_model(&mut draw, cell);
            let engine = caller.ours.load(&model).unwrap();
            let context = format!("{}, {model}, seed {}", caller.name, draw.seed);
            let mut pool = engine.pool(PoolOptions::fixed(3)).unwrap();
            let ids: Vec<_> = (0..2).map(|_| pool.open().unwrap()).collect();
            let all = Streams::draw(&mut draw, &engine, 5);
            let y = caller.with(&vec![0; 2 * 2 * all.width], 0);
            pool.tick_bound(&ids, 2, Bindings::new(&all.frames(0, 2)).y(&y)).unwrap();
            assert_eq!(caller.read(&(y, 0)), all.y(0, 2), "{context}");
            let later = caller.with(&bits(&all.frames(2, 3)), 0);
            let mut y = vec![f32::NAN; 2 * 3 * all.width];
            pool.tick_bound(&ids, 3, Bindings::new(&later).y(&mut y)).unwrap();
            assert_eq!(bits(&y), all.y(2, 3), "{context}");
            all.assert_had_all(&mut pool, &ids, &context);
            // A refused call changes nothing.
            let small = caller.with(&[0; 4], 0);
            let error = pool.tick_bound(&ids, 3, Bindings::new(&later).y(&small)).unwrap_err();
            assert!(matches!(error, Error::Buffer { .. }), "{context}: {error}");
            assert_eq!(pool.frames(ids[0]).unwrap(), 5, "{context}");
        }
    }
    let x = [0.0; 3];
    let model = draw_model(&mut draw, Cell::GRU);
    let mut pool = wgru::Device::cpu().load(&model).unwrap().pool(PoolOptions::fixed(1)).unwrap();
    let stream = pool.open().unwrap();
    let error = pool.tick_bound(&[stream], 1, Bindings::new(&x[..])).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}
