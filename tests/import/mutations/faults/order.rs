//! Faults of order: directions, layers, layouts.

use wgru::{Device, Direction, Layout, Output};

use super::{Fault, after, at, before};
use crate::golden::Golden;
use crate::mutations::draft::{Draft, swap_blocks};

pub fn all() -> Vec<Fault> {
    [directions(), layouts()].concat()
}

fn directions() -> Vec<Fault> {
    vec![
        before("reverse run forward", |draft| {
            if draft.direction == Direction::Reverse {
                draft.direction = Direction::Forward;
            }
        }),
        before("forward run in reverse", |draft| {
            if draft.direction == Direction::Forward {
                draft.direction = Direction::Reverse;
            }
        }),
        after("both ways: the reverse half run forward", reverse_half_forward),
        before("both ways: weights of the directions swapped", |draft| {
            draft.layers.iter_mut().for_each(|layer| layer.weights.reverse());
        }),
        before("both ways: the forward weights for both", |draft| {
            if draft.dirs() == 2 {
                draft.layers.iter_mut().for_each(|layer| layer.weights[1] = layer.weights[0].clone());
            }
        }),
        after("both ways: the halves of y swapped", |golden, output| {
            if golden.model.output() > golden.model.state_size() {
                let mut swapped = vec![0.0; output.y.len()];
                each_half(golden, |from, to, len| {
                    swapped[to..to + len].copy_from_slice(&output.y[from..from + len])
                });
                output.y = swapped;
            }
        }),
        before("both ways: the halves swapped between layers", |draft| {
            if draft.dirs() == 2 {
                draft.layers[1..].iter_mut().for_each(|layer| {
                    for weights in &mut layer.weights {
                        weights
                            .w_ih
                            .chunks_exact_mut(layer.input)
                            .for_each(|row| swap_blocks(row, 2, [0, 1]));
                    }
                });
            }
        }),
        before("layers: R of the first two swapped", |draft| {
            if let [first, second, ..] = &mut draft.layers[..] {
                for (a, b) in first.weights.iter_mut().zip(&mut second.weights) {
                    std::mem::swap(&mut a.w_hh, &mut b.w_hh);
                }
            }
        }),
    ]
}

/// The offset of each half of y, that of the other half, and their length.
fn each_half(golden: &Golden, mut of: impl FnMut(usize, usize, usize)) {
    let dims = golden.inputs.dims;
    for (b, t) in (0..dims.batch).flat_map(|b| (0..dims.steps).map(move |t| (b, t))) {
        let [forward, reverse] = [0, 1].map(|d| at(golden, b, t, d));
        of(forward, reverse, golden.model.state_size());
        of(reverse, forward, golden.model.state_size());
    }
}

/// The output of a forward layer with the reverse weights replaces the reverse half.
fn reverse_half_forward(golden: &Golden, output: &mut Output) {
    let model = &golden.model;
    if model.num_states() != 2 || model.layers()[0].direction() != Direction::Bidirectional {
        return;
    }
    let (hidden, state, dims) = (model.hidden(), model.state_size(), golden.inputs.dims);
    let mut draft = Draft::of(golden);
    draft.direction = Direction::Forward;
    draft.layers[0].weights.remove(0);
    draft.layers[0].activations.remove(0);
    for (states, features) in [(&mut draft.inputs.h0, state), (&mut draft.inputs.c0, hidden)] {
        states.iter_mut().for_each(|states| drop(states.drain(..dims.batch * features)));
    }
    let forward = draft.instead_of(golden);
    let run = forward.run(&Device::cpu()).expect("the CPU path runs it");
    for (b, t) in (0..dims.batch).flat_map(|b| (0..dims.steps).map(move |t| (b, t))) {
        let (to, from) = (at(golden, b, t, 1), at(&forward, b, t, 0));
        output.y[to..to + state].copy_from_slice(&run.y[from..from + state]);
    }
    output.h_n.splice(dims.batch * state.., run.h_n);
    if let (Some(to), Some(from)) = (&mut output.c_n, run.c_n) {
        to.splice(dims.batch * hidden.., from);
    }
}

fn layouts() -> Vec<Fault> {
    vec![
        before("x read with batch and time exchanged", |draft| {
            let inputs = &mut draft.inputs;
            inputs.layouts.0 = match inputs.layouts.0 {
                Layout::BatchMajor => Layout::TimeMajor,
                Layout::TimeMajor | Layout::DirectionMajor => Layout::BatchMajor,
            };
        }),
        before("y written with batch and time exchanged", |draft| {
            let inputs = &mut draft.inputs;
            inputs.layouts.1 = match inputs.layouts.1 {
                Layout::BatchMajor => Layout::TimeMajor,
                Layout::TimeMajor | Layout::DirectionMajor => Layout::BatchMajor,
            };
        }),
        before("y: directions side by side where they are apart", |draft| {
            if draft.inputs.layouts.1 == Layout::DirectionMajor && draft.dirs() == 2 {
                draft.inputs.layouts.1 = Layout::TimeMajor;
            }
        }),
    ]
}
