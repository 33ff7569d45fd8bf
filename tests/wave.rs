//! The layers of a stack at once, each a chunk behind the one below, against one layer after the other: the same bits.

mod common;

use common::{Draw, Inputs, adapters, bits, cells};
use wgru::plan::{Only, Speed, Strategy};
use wgru::{Dims, Direction, Layer, Model, Options, Output, ReadoutSteps, Storage};

fn options(strategy: Strategy, wave: usize) -> Options {
    let mut options = Options::default().poison(true);
    options.only = Only { strategy: Some(strategy), wave: Some(wave), ..Only::default() };
    options
}

fn all_bits(output: &Output) -> [Vec<u32>; 4] {
    let Output { y, h_n, c_n, out } = output;
    [bits(y), bits(h_n), bits(c_n.as_deref().unwrap_or_default()), bits(out.as_deref().unwrap_or_default())]
}

/// `model` with projections, peepholes, activations and clips drawn, the same in every layer, since one kernel serves all.
fn dressed_alike(draw: &mut Draw, model: &Model) -> Model {
    loop {
        let drawn = draw.with_options(model.clone());
        let first = &drawn.layers()[0];
        if drawn.layers().iter().any(|layer| layer.has_peepholes() != first.has_peepholes()) {
            continue;
        }
        let layers = drawn.layers().iter().map(|layer| {
            let weights = layer.weights().to_vec();
            let new = Layer::new(layer.cell(), layer.direction(), layer.input(), layer.hidden(), weights);
            let mut new = new.unwrap().with_activations(first.activations().to_vec()).unwrap();
            if let Some(clip) = first.clip() {
                new = new.with_clip(clip).unwrap();
            }
            match first.state_clip() {
                Some(clip) => new.with_state_clip(clip).unwrap(),
                None => new,
            }
        });
        return Model::new(layers.collect()).unwrap();
    }
}

#[test]
fn layers_at_once_give_the_bits_of_layers_in_turn() {
    let mut draw = Draw::new();
    let mut waves = 0;
    for device in adapters() {
        for (index, cell) in cells().into_iter().enumerate() {
            let strategy = [Strategy::Step, Strategy::Resident, Strategy::Streamed][index % 3];
            let storage = [Storage::F32, Storage::F16, Storage::Bf16][index / 2 % 3];
            let direction = [Direction::Forward, Direction::Reverse][index % 2];
            // Up to several workgroups and two units to a thread.
            let (hidden, layers) = ([draw.size(1..=40), draw.size(65..=70)][index % 2], draw.size(2..=4));
            let model = draw.model_of(cell, direction, 3, hidden, layers);
            let model = dressed_alike(&mut draw, &model);
            let model = if draw.chance() { draw.with_readout(model, 3, ReadoutSteps::Every) } else { model };
            let (batch, steps) = (draw.size(1..=9), draw.size(3..=13));
            let mut inputs = Inputs::draw(&mut draw, &model, batch, steps);
            if draw.chance() {
                inputs = inputs.ragged(&mut draw);
            }
            let inputs = inputs.laid_out(draw.layouts());
            let run = |wave: usize| {
                let options = options(strategy, wave).weights(storage).activations(storage);
                let engine = device.load_with(&model, options).unwrap();
                let plan = engine.explain(inputs.batch().form()).unwrap();
                let first = engine.run(&inputs.batch()).unwrap();
                // Nothing of a run is left for the next, nor for one that stays on the device.
                assert!(all_bits(&engine.run(&inputs.batch()).unwrap()) == all_bits(&first), "{plan}");
                let mut staged = engine.stage(&inputs.batch()).unwrap();
                let mut output = engine.output(inputs.batch().form()).unwrap();
                staged.run().unwrap();
                staged.run().unwrap();
                staged.read_into(&mut output).unwrap();
                assert!(all_bits(&output) == all_bits(&first), "{plan}");
                (first, plan)
            };
            let (in_turn, plan) = run(0);
            assert!(!plan.contains("at once"), "{plan}");
            for chunk in [1, 5] {
                let (at_once, plan) = run(chunk);
                let context = format!("{}, {model}, {storage}: {plan}, seed {}", device.info(), draw.seed);
                let even = chunk.next_multiple_of(2);
                assert_eq!(plan.contains("at once"), even < steps, "{context}");
                assert!(all_bits(&at_once) == all_bits(&in_turn), "{context}");
                waves += usize::from(even < steps);
            }
        }
    }
    assert!(waves > 10, "{waves} runs of several layers at once");
}

#[test]
fn layers_are_walked_at_once_where_that_is_predicted_to_pay() {
    let mut draw = Draw::new();
    let device = adapters().remove(0);
    let explain = |model: &Model, speed: Speed, [batch, steps]: [usize; 2]| {
        let engine = device.load_with(model, Options::default().speed(speed)).unwrap();
        engine.explain(Dims::new(batch, steps).unwrap()).unwrap()
    };
    let stack = draw.model(wgru::Cell::GRU, 8, 32, 4);
    let plan = explain(&stack, Speed::DISCRETE, [1, 1000]);
    assert!(plan.contains("at once"), "{plan}");
    // Where workgroups run in turn, or rows fill the device by themselves, there is nothing to gain.
    for (speed, dims) in [
        (Speed { cores: 1, ..Speed::DISCRETE }, [1, 1000]),
        (Speed::DISCRETE, [5000, 100]),
        (Speed::DISCRETE, [1, 1]),
    ] {
        let plan = explain(&stack, speed, dims);
        assert!(!plan.contains("at once"), "{plan}");
    }
    // The weights of all layers lie there once more, for which there may be no memory.
    let tight = Options::default().speed(Speed::DISCRETE).memory(200_000);
    let plan = device.load_with(&stack, tight).unwrap().explain(Dims::new(1, 100).unwrap()).unwrap();
    assert!(!plan.contains("at once"), "{plan}");
    let ample = Options::default().speed(Speed::DISCRETE);
    let plan = device.load_with(&stack, ample).unwrap().explain(Dims::new(1, 100).unwrap()).unwrap();
    assert!(plan.contains("at once"), "{plan}");
    // A step of the second layer needs all steps of the first.
    let both_ways = draw.model_of(wgru::Cell::GRU, Direction::Bidirectional, 8, 32, 4);
    let plan = explain(&both_ways, Speed::DISCRETE, [1, 1000]);
    assert!(!plan.contains("at once"), "{plan}");
}
