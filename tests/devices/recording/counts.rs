//! The objects that recording creates: none.

use super::Caller;
use crate::common::{Draw, Inputs, bits};
use wgru::{Bindings, Cell, StepInput};

#[test]
fn recording_again_creates_nothing_and_other_buffers_bind_groups_alone() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM] {
            let model = draw.model(cell, 5, 20, 2);
            let engine = caller.ours.load(&model).unwrap();
            let [one, two] = [(); 2].map(|()| {
                let inputs = Inputs::draw(&mut draw, &model, 4, 6).ragged(&mut draw);
                Inputs { h0: Some(draw.values(2 * 4 * 20, 1.0)), ..inputs }
            });
            let context = format!("{}, {model}, seed {}", caller.name, draw.seed);
            let wanted = [&one, &two].map(|inputs| {
                let batch = wgru::Batch::new(&inputs.x, [4, 6, 5]).unwrap();
                let batch = batch.h0(inputs.h0.as_ref().unwrap()).lengths(inputs.lengths.as_ref().unwrap());
                engine.run(&batch).unwrap()
            });
            let buffers = [&one, &two].map(|inputs| {
                let arrays =
                    [bits(&inputs.x), inputs.lengths.clone().unwrap(), bits(inputs.h0.as_ref().unwrap())];
                arrays.map(|words| caller.with(&words, 0))
            });
            let outputs = wanted.each_ref().map(|output| {
                [caller.with(&bits(&vec![0.5; output.y.len()]), 0), caller.with(&bits(&output.h_n), 0)]
            });
            let bindings = |index: usize| {
                let ([x, lengths, h0], [y, h_n]) = (&buffers[index], &outputs[index]);
                Bindings::new(x).lengths(lengths).h0(h0).y(y).h_n(h_n)
            };
            let first = engine.recording(one.dims, bindings(0)).unwrap();
            let before = caller.ours.resource_counts();
            let mut dropped = caller.encoder();
            let submissions = caller.submissions();
            // The encoder has neither the device nor the queue, so recording cannot wait.
            first.record(&mut dropped);
            first.record(&mut dropped);
            assert_eq!(caller.submissions(), submissions + 1, "{context}: recording submits");
            drop(dropped);
            assert_eq!(caller.ours.resource_counts(), before, "{context}: recording creates");
            // None of it was executed.
            let untouched = caller.read(&(outputs[0][0].clone(), 0));
            assert_eq!(untouched, bits(&vec![0.5; wanted[0].y.len()]), "{context}: recording submits");

            let second = first.rebind(bindings(1)).unwrap();
            let after = caller.ours.resource_counts();
            assert!(after.bind_groups > before.bind_groups, "{context}");
            let bound = engine.recording(one.dims, bindings(1)).unwrap();
            let again = caller.ours.resource_counts();
            for created in [after, again] {
                assert_eq!(
                    (created.buffers, created.pipelines, created.shader_modules),
                    (before.buffers, before.pipelines, before.shader_modules),
                    "{context}: other buffers make more than bind groups"
                );
            }
            // All of them in one encoder, the first twice.
            caller.submit(|encoder| {
                first.record(encoder);
                second.record(encoder);
                bound.record(encoder);
                first.record(encoder);
            });
            assert_eq!(caller.ours.resource_counts(), again, "{context}");
            for (output, wanted) in outputs.iter().zip(&wanted) {
                assert_eq!(caller.read(&(output[0].clone(), 0)), bits(&wanted.y), "{context}");
                assert_eq!(caller.read(&(output[1].clone(), 0)), bits(&wanted.h_n), "{context}");
            }
        }
    }
}

/// The kernel that resets streams is compiled for the first step with resets, of the host's or of a recording, and
/// not for a session before.
#[test]
fn steps_without_resets_make_nothing_for_them() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        let model = draw.model(Cell::LSTM, 3, 17, 2);
        let engine = caller.ours.load(&model).unwrap();
        let context = format!("{}, {model}, seed {}", caller.name, draw.seed);
        let x = draw.values(5 * 3, 1.0);
        let step = |session: &mut wgru::Session, resets: Option<&[u32]>| {
            let input = StepInput::new(&x);
            session.step(resets.map_or(input, |resets| input.resets(resets))).unwrap();
            let created = caller.ours.resource_counts();
            (created.pipelines, created.bind_groups, created.buffers)
        };
        let [mut recorded, mut session] = [(); 2].map(|()| engine.session(5).unwrap());
        let on_device = caller.with(&bits(&x), 0);
        let recording = recorded.recording(Bindings::new(&on_device)).unwrap();
        caller.submit(|encoder| recording.record(encoder));
        let without = step(&mut session, None);
        let with = step(&mut session, Some(&[0, 1, 0, 0, 1]));
        assert!(with.0 > without.0, "{context}: it was compiled before");
        assert!(with.1 > without.1 && with.2 == without.2, "{context}: {without:?}, {with:?}");
        assert_eq!(step(&mut session, Some(&[1; 5])), with, "{context}");
        assert_eq!(step(&mut session, None), with, "{context}");
        // Every session has its own bind group, with the same kernels.
        let resets = caller.with(&[1; 5], 0);
        recorded.recording(Bindings::new(&on_device).resets(&resets)).unwrap();
        assert_eq!(caller.ours.resource_counts().pipelines, with.0, "{context}");
    }
}

/// Runs and steps that submit themselves, with some arrays on the host: on the same buffers they create nothing after
/// the first.
#[test]
fn runs_and_steps_again_create_nothing() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        let model = draw.model(Cell::LSTM, 3, 17, 1);
        let engine = caller.ours.load(&model).unwrap();
        let context = format!("{}, {model}, seed {}", caller.name, draw.seed);
        let y = caller.with(&[0; 5 * 4 * 17], 0);
        let mut first = None;
        for at in 0..3 {
            let inputs = Inputs::draw(&mut draw, &model, 5, 4);
            let h0 = draw.values(5 * 17, 1.0);
            let lengths: Vec<u32> = (0..5).map(|_| draw.size(0..=4) as u32).collect();
            let batch = wgru::Batch::new(&inputs.x, [5, 4, 3]).unwrap().h0(&h0).lengths(&lengths);
            let wanted = engine.run(&batch).unwrap();
            let mut h_n = vec![f32::NAN; 5 * 17];
            let bindings = Bindings::new(&inputs.x).lengths(&lengths).h0(&h0).y(&y).h_n(&mut h_n);
            engine.run_bound(inputs.dims, bindings).unwrap();
            assert_eq!(bits(&h_n), bits(&wanted.h_n), "{context}: run {at}");
            assert_eq!(caller.read(&(y.clone(), 0)), bits(&wanted.y), "{context}: run {at}");
            assert_eq!(
                *first.get_or_insert(caller.ours.resource_counts()),
                caller.ours.resource_counts(),
                "{context}"
            );
        }
        let [mut session, mut plain] = [(); 2].map(|()| engine.session(5).unwrap());
        let y = caller.with(&[0; 5 * 17], 0);
        let mut first = None;
        for at in 0..3 {
            let (x, resets) = (draw.values(5 * 3, 1.0), [0, 1, 0, at, 1]);
            let wanted = plain.step(StepInput::new(&x).resets(&resets)).unwrap();
            session.step_bound(Bindings::new(&x).resets(&resets[..]).y(&y)).unwrap();
            assert_eq!(caller.read(&(y.clone(), 0)), bits(&wanted.y), "{context}: step {at}");
            assert_eq!(
                *first.get_or_insert(caller.ours.resource_counts()),
                caller.ours.resource_counts(),
                "{context}"
            );
        }
    }
}

/// Arrays on the host stay those that a recording was prepared with, whatever is prepared after it.
#[test]
fn recordings_keep_what_they_had_on_the_host() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        let model = draw.model(Cell::LSTM, 3, 8, 1);
        let engine = caller.ours.load(&model).unwrap();
        let inputs: Vec<Inputs> =
            (0..3).map(|_| Inputs::draw(&mut draw, &model, 5, 4).ragged(&mut draw)).collect();
        let wanted: Vec<_> = inputs.iter().map(|inputs| engine.run(&inputs.batch()).unwrap()).collect();
        let outputs: Vec<_> = wanted.iter().map(|output| caller.with(&vec![0; output.y.len()], 0)).collect();
        let recordings: Vec<_> = inputs
            .iter()
            .zip(&outputs)
            .map(|(inputs, y)| {
                let mut bindings = Bindings::new(&inputs.x).lengths(inputs.lengths.as_ref().unwrap()).y(y);
                if let Some(h0) = &inputs.h0 {
                    bindings = bindings.h0(h0);
                }
                if let Some(c0) = &inputs.c0 {
                    bindings = bindings.c0(c0);
                }
                engine.recording(inputs.dims, bindings).unwrap()
            })
            .collect();
        caller.submit(|encoder| recordings.iter().for_each(|recording| recording.record(encoder)));
        for (y, wanted) in outputs.into_iter().zip(&wanted) {
            let context = format!("{}, seed {}", caller.name, draw.seed);
            assert_eq!(caller.read(&(y, 0)), bits(&wanted.y), "{context}");
        }
    }
}
