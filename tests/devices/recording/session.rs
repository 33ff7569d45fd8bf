//! Recorded steps of sessions and ticks of pools.

use super::Caller;
use crate::common::{Draw, bits, cells};
use wgru::plan::Strategy;
use wgru::{Batch, Bindings, Error, Model, Options, PoolOptions, ReadoutSteps, State};

fn draw_model(draw: &mut Draw, cell: wgru::Cell) -> Model {
    let model = draw.model(cell, 3, 17, 3);
    let model = if draw.chance() { draw.with_options(model) } else { model };
    draw.with_readout(model, 2, ReadoutSteps::Every)
}

/// Two recordings in one encoder are two steps, a dropped encoder is none, and host steps come between.
#[test]
fn recorded_steps_are_steps() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in cells() {
            let strategy = [Strategy::Step, Strategy::Resident][draw.size(0..=1)];
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
            // x and, 256 bytes on, y of each step: slices of one buffer, as pooled memory has them.
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
            // A state that is set is the one that the next step takes.
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
        for cell in cells() {
            let model = draw_model(&mut draw, cell);
            let engine = caller.ours.load(&model).unwrap();
            let context = format!("{}, {model}, seed {}", caller.name, draw.seed);
            let mut pool = engine.pool(PoolOptions::fixed(6)).unwrap();
            let streams: Vec<_> = (0..4).map(|_| pool.open().unwrap()).collect();
            // Two streams, three frames at once, then one by the host and three again.
            let x: Vec<Vec<f32>> = (0..2).map(|_| draw.values(7 * 3, 1.5)).collect();
            let sequences: Vec<_> =
                x.iter().map(|x| engine.run(&Batch::new(x, [1, 7, 3]).unwrap()).unwrap()).collect();
            let frames = |from: usize| {
                let rows: Vec<f32> = x.iter().flat_map(|x| &x[from * 3..][..3 * 3]).copied().collect();
                caller.with(&bits(&rows), 0)
            };
            let width = model.output();
            let y = [(); 2].map(|()| caller.with(&vec![0; 2 * 3 * width], 0));
            let ids = [streams[2], streams[0]];
            let (one, two) = (frames(0), frames(4));
            let first = pool.recording(&ids, 3, Bindings::new(&one).y(&y[0])).unwrap();
            let before = caller.ours.created();
            let second = first.rebind(&pool, Bindings::new(&two).y(&y[1])).unwrap();
            let after = caller.ours.created();
            assert_eq!((after.buffers, after.pipelines), (before.buffers, before.pipelines), "{context}");
            let mut encoder = caller.encoder();
            pool.record(&first, &mut encoder).unwrap();
            assert_eq!(caller.ours.created(), after, "{context}");
            caller.queue.submit([encoder.finish()]);
            for (&stream, x) in ids.iter().zip(&x) {
                pool.push(stream, &x[3 * 3..][..3]).unwrap();
            }
            pool.tick().unwrap();
            let mut encoder = caller.encoder();
            pool.record(&second, &mut encoder).unwrap();
            caller.queue.submit([encoder.finish()]);
            for (at, from) in [(0, 0), (1, 4)] {
                let wanted: Vec<f32> =
                    sequences.iter().flat_map(|all| &all.y[from * width..][..3 * width]).copied().collect();
                assert_eq!(
                    caller.read(&(y[at].clone(), 0)),
                    bits(&wanted),
                    "{context}: from frame {from} on"
                );
            }
            for (&stream, all) in ids.iter().zip(&sequences) {
                assert_eq!(bits(&pool.state(stream).unwrap().h), bits(&all.h_n), "{context}");
                assert_eq!(pool.frames(stream).unwrap(), 7, "{context}");
            }
            // A stream that is reset begins anew.
            pool.reset(ids[0]).unwrap();
            let mut encoder = caller.encoder();
            pool.record(&first, &mut encoder).unwrap();
            caller.queue.submit([encoder.finish()]);
            let got = caller.read(&(y[0].clone(), 0));
            assert_eq!(got[..3 * width], bits(&sequences[0].y[..3 * width]), "{context}: after a reset");

            let twice = pool.recording(&[ids[0], ids[0]], 1, Bindings::new(&one));
            assert!(twice.unwrap_err().to_string().contains("named twice"), "{context}");
            pool.close(ids[1]).unwrap();
            let mut encoder = caller.encoder();
            let error = pool.record(&first, &mut encoder).unwrap_err();
            assert!(matches!(error, Error::Stream { .. }), "{context}: {error}");
        }
    }
}

/// Ticks that submit themselves, first from the host into a buffer, then from a buffer to the host.
#[test]
fn ticks_on_buffers_are_ticks() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in cells() {
            let model = draw_model(&mut draw, cell);
            let engine = caller.ours.load(&model).unwrap();
            let context = format!("{}, {model}, seed {}", caller.name, draw.seed);
            let mut pool = engine.pool(PoolOptions::fixed(3)).unwrap();
            let ids: Vec<_> = (0..2).map(|_| pool.open().unwrap()).collect();
            let x: Vec<Vec<f32>> = (0..2).map(|_| draw.values(5 * 3, 1.5)).collect();
            let sequences: Vec<_> =
                x.iter().map(|x| engine.run(&Batch::new(x, [1, 5, 3]).unwrap()).unwrap()).collect();
            let frames = |from: usize, count: usize| -> Vec<f32> {
                x.iter().flat_map(|x| &x[from * 3..][..count * 3]).copied().collect()
            };
            let width = model.output();
            let wanted = |from: usize, count: usize| {
                let rows = sequences.iter().flat_map(|all| &all.y[from * width..][..count * width]);
                bits(&rows.copied().collect::<Vec<f32>>())
            };
            let y = caller.with(&vec![0; 2 * 2 * width], 0);
            pool.tick_bound(&ids, 2, Bindings::new(&frames(0, 2)).y(&y)).unwrap();
            assert_eq!(caller.read(&(y, 0)), wanted(0, 2), "{context}");
            let (later, mut y) = (caller.with(&bits(&frames(2, 3)), 0), vec![f32::NAN; 2 * 3 * width]);
            pool.tick_bound(&ids, 3, Bindings::new(&later).y(&mut y)).unwrap();
            assert_eq!(bits(&y), wanted(2, 3), "{context}");
            for (&stream, all) in ids.iter().zip(&sequences) {
                assert_eq!(bits(&pool.state(stream).unwrap().h), bits(&all.h_n), "{context}");
                assert_eq!(pool.frames(stream).unwrap(), 5, "{context}");
            }
            // What is refused changes nothing.
            let small = caller.with(&[0; 4], 0);
            let error = pool.tick_bound(&ids, 3, Bindings::new(&later).y(&small)).unwrap_err();
            assert!(matches!(error, Error::Buffer { .. }), "{context}: {error}");
            assert_eq!(pool.frames(ids[0]).unwrap(), 5, "{context}");
        }
    }
    let x = [0.0; 3];
    let model = draw_model(&mut draw, wgru::Cell::GRU);
    let mut pool = wgru::Device::cpu().load(&model).unwrap().pool(PoolOptions::fixed(1)).unwrap();
    let stream = pool.open().unwrap();
    let error = pool.tick_bound(&[stream], 1, Bindings::new(&x[..])).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}
