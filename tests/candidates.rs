//! Whatever a planner can choose for a layer of each cell, on every adapter: each candidate gives the bits of the first,
//! which holds against the reference.

mod common;

use common::{Draw, Inputs, adapters, assert_close_in, bits, cells};
use wgru::plan::{Only, Strategy};
use wgru::{Options, Storage};

#[test]
fn every_candidate_gives_the_bits_of_the_first() {
    let mut draw = Draw::new();
    for device in adapters() {
        let mut packed = 0;
        for (index, cell) in cells().into_iter().enumerate() {
            // Last blocks of few k, which compilers like to reorder; units beside a workgroup's 64; k dealt to threads.
            let hidden = [draw.size(1..=9), draw.size(33..=36), draw.size(64..=68)][index % 3];
            let storage = [Storage::F16, Storage::F32, Storage::Bf16][(index + index / 3) % 3];
            let direction = draw.direction();
            let model = draw.model_of(cell, direction, 3, hidden, 1);
            let (batch, steps) = (draw.size(1..=17), draw.size(1..=9));
            let inputs = Inputs::draw(&mut draw, &model, batch, steps).ragged(&mut draw);
            let mut options = Options::default().poison(true).weights(storage);
            // Neighbours share a word of such a y.
            if draw.chance() {
                options = options.activations(storage);
            }
            let engine = device.load_with(&model, options.clone()).unwrap();
            let all = engine.alternatives(inputs.batch().form()).unwrap();
            let mut first = None;
            for candidate in all.iter().flatten().filter(|candidate| candidate.outcome.is_ok()) {
                let mut options = options.clone();
                options.only = Only {
                    strategy: Some(candidate.strategy),
                    rows: Some(candidate.rows),
                    variant: Some(candidate.variant),
                    wave: None,
                };
                let engine = device.load_with(&model, options.clone()).unwrap();
                let plan = engine.explain(inputs.batch().form()).unwrap();
                let context = format!("{}, {model}, {storage}: {plan}, seed {}", device.info(), draw.seed);
                packed += usize::from(plan.contains("weights packed"));
                let streams = plan.contains("weights streamed");
                assert_eq!(streams, candidate.strategy == Strategy::Streamed, "{context}");
                let output = engine.run(&inputs.batch()).unwrap();
                let own = (bits(&output.y), bits(&output.h_n), output.c_n.as_deref().map(bits));
                match &first {
                    None => {
                        assert_close_in(options.precision, &model, &inputs.batch(), &output, &context);
                        first = Some(own);
                    }
                    Some(first) => assert!(*first == own, "{context}"),
                }
            }
        }
        assert!(packed > 3, "{}: {packed} kernels with packed weights", device.info());
    }
}
