//! Resets in buffers of the caller's: only the device knows where episodes end.

use super::{Arrays, Caller, assert_same, draw_inputs, draw_options};
use crate::common::{Draw, bits};
use wgru::plan::Strategy;
use wgru::{Bindings, Cell, Error, Options, PoolOptions, RunShape, Source, StepInput};

#[test]
fn a_recorded_run_is_reset_where_its_buffer_says() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in Cell::ALL {
            let (hidden, layers) = (draw.size(1..=20), draw.size(1..=2));
            let model = draw.model(cell, 3, hidden, layers);
            let model = if draw.chance() { draw.with_options(model) } else { model };
            let strategy = [Strategy::Step, Strategy::Persistent][draw.size(0..=1)];
            let engine = caller.ours.load_with(&model, draw_options(&mut draw).strategy(strategy)).unwrap();
            let inputs = draw_inputs(&mut draw, &model);
            let count = inputs.dims.batch * inputs.dims.steps;
            let resets: Vec<u32> = (0..count).map(|_| u32::from(draw.size(0..=3) == 0)).collect();
            let batch = inputs.batch().resets(&resets);
            let context = format!("{}, {model}, {:?}, seed {}", caller.name, batch.run_shape(), draw.seed);
            let wanted = engine.run(&batch).unwrap();
            let arrays = Arrays::new(&caller, &mut draw, &engine, &inputs);
            let words = caller.with(&resets, 256);
            let at: Source<'_, u32> = (&words, 256).into();
            // The run shape has resets, or only the bindings do.
            let run_shape = RunShape { resets: draw.chance(), ..batch.run_shape() };
            let recording = engine.recording(run_shape, arrays.bindings().resets(at)).unwrap();
            for _ in 0..2 {
                caller.submit(|encoder| recording.record(encoder));
                assert_same(&arrays.read(&caller, &model, &wanted), &wanted, &context);
            }
            // The same resets from the host.
            let mut h_n = vec![0.0; wanted.h_n.len()];
            let bindings = arrays.bindings().resets(&resets).h_n(&mut h_n);
            engine.run_bound(run_shape, bindings).unwrap();
            assert_eq!(bits(&h_n), bits(&wanted.h_n), "{context}");
            let error = recording.rebind(arrays.bindings()).unwrap_err();
            assert!(error.to_string().contains("resets"), "{error}");
        }
    }
}

/// Streams are reset in the recorded step alone; a step whose bindings have no resets has none.
#[test]
fn a_recorded_step_resets_streams() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in Cell::ALL {
            let model = draw.model(cell, 3, 17, 2);
            let strategy = [Strategy::Step, Strategy::Persistent][draw.size(0..=1)];
            let engine = caller.ours.load_with(&model, Options::default().strategy(strategy)).unwrap();
            let context = format!("{}, {model}, {strategy}, seed {}", caller.name, draw.seed);
            let streams = 5;
            let steps: Vec<Vec<f32>> = (0..5).map(|_| draw.values(streams * 3, 1.5)).collect();
            let resets = [[0; 5], [0, 1, 0, 0, 9], [1, 0, 0, 1, 0], [0; 5], [0, 0, 1, 0, 1]];
            let [mut plain, mut session] = [(); 2].map(|()| engine.session(streams).unwrap());
            let x: Vec<_> = steps.iter().map(|x| caller.with(&bits(x), 0)).collect();
            let y: Vec<_> = x.iter().map(|_| caller.with(&[0; 5 * 17], 0)).collect();
            let words = resets.map(|words| caller.with(&words, 0));
            let recordings: Vec<_> = (0..5)
                .map(|at| {
                    let bindings = Bindings::new(&x[at]).y(&y[at]);
                    let bindings = if at == 3 { bindings } else { bindings.resets(&words[at]) };
                    session.recording(bindings).unwrap()
                })
                .collect();
            caller.submit(|encoder| recordings.iter().for_each(|recording| recording.record(encoder)));
            for (at, (x, resets)) in steps.iter().zip(&resets).enumerate() {
                let wanted = plain.step(StepInput::new(x).resets(resets)).unwrap();
                assert_eq!(caller.read(&(y[at].clone(), 0)), bits(&wanted.y), "{context}: step {at}");
            }
            // A step of the host's between them.
            let [own, wanted] = [&mut session, &mut plain].map(|session| {
                session.step(StepInput::new(&steps[0]).resets(&resets[1])).unwrap();
                session.state().unwrap()
            });
            assert_eq!(bits(&own.h), bits(&wanted.h), "{context}");
            assert_eq!(own.c.as_deref().map(bits), wanted.c.as_deref().map(bits), "{context}");
        }
    }
}

#[test]
fn resets_that_do_not_fit_a_recording_are_refused() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        let model = draw.model(Cell::GRU, 3, 4, 1);
        let engine = caller.ours.load(&model).unwrap();
        let dims = wgru::Dims::new(2, 5).unwrap();
        let x = caller.with(&[0; 30], 0);
        let short = caller.with(&[0; 9], 0);
        let error = engine.recording(dims, Bindings::new(&x).resets(&short)).unwrap_err();
        assert!(matches!(error, Error::Buffer { .. }) && error.to_string().contains("resets"), "{error}");
        let error = engine.run_bound(dims, Bindings::new(&x).resets(&[0; 9][..])).unwrap_err();
        assert!(matches!(error, Error::Length { .. }), "{error}");
        let mut session = engine.session(2).unwrap();
        let error = session.step_bound(Bindings::new(&x).resets(&[0; 3][..])).unwrap_err();
        assert!(error.to_string().contains("resets [B]: expected 2 elements"), "{error}");
        let mut pool = engine.pool(PoolOptions::fixed(2)).unwrap();
        let streams = [pool.open().unwrap(), pool.open().unwrap()];
        let error = pool.recording(&streams, 1, Bindings::new(&x).resets(&short)).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { what } if what.contains("resets")), "{error}");
        let both = draw.model_of(Cell::GRU, wgru::Direction::Bidirectional, 3, 4, 1);
        let engine = caller.ours.load(&both).unwrap();
        let error = engine.recording(dims, Bindings::new(&x).resets(&x)).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { what } if what.contains("resets")), "{error}");
    }
}
