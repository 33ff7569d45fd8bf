//! Faults that an engine or an importer could have, each as a change of what it is given or of what it returns.

use wgru::model::{Activation, Activations, Forget, Function, Reset, Update};
use wgru::{Cell, Device, Direction, Fill, Layer, Layout, Output, Storage};

use crate::draft::{Draft, swap_blocks, transposed};
use crate::engine::{self, Slip};
use crate::golden::{Golden, Made};

/// A fault: planted before the run, which it leaves as it is where it does not apply, or after it.
pub struct Fault {
    pub name: &'static str,
    pub before: fn(&mut Draft),
    pub after: fn(&Golden, &mut Output),
}

fn before(name: &'static str, before: fn(&mut Draft)) -> Fault {
    Fault { name, before, after: |_, _| {} }
}

fn after(name: &'static str, after: fn(&Golden, &mut Output)) -> Fault {
    Fault { name, before: |_| {}, after }
}

pub fn all() -> Vec<Fault> {
    [
        gates(),
        gru(),
        lstm(),
        biases(),
        options(),
        directions(),
        states(),
        padding(),
        layouts(),
        storage(),
        slips(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn gates() -> Vec<Fault> {
    vec![
        before("GRU: r and z swapped", |draft| draft.swap_gates(3, [0, 1])),
        before("GRU: r and n swapped", |draft| draft.swap_gates(3, [0, 2])),
        before("GRU: z and n swapped", |draft| draft.swap_gates(3, [1, 2])),
        before("GRU: r and z swapped in the biases only", |draft| {
            if draft.gates() == 3 {
                draft.each(|weights, _| {
                    let biases = weights.b_ih.iter_mut().chain(&mut weights.b_hh);
                    biases.for_each(|values| swap_blocks(values, 3, [0, 1]));
                });
            }
        }),
        before("LSTM: i and f swapped", |draft| draft.swap_gates(4, [0, 1])),
        before("LSTM: i and g swapped", |draft| draft.swap_gates(4, [0, 2])),
        before("LSTM: i and o swapped", |draft| draft.swap_gates(4, [0, 3])),
        before("LSTM: f and g swapped", |draft| draft.swap_gates(4, [1, 2])),
        before("LSTM: f and o swapped", |draft| draft.swap_gates(4, [1, 3])),
        before("LSTM: g and o swapped", |draft| draft.swap_gates(4, [2, 3])),
        before("GRU: R transposed", |draft| transpose_r(draft, 3)),
        before("LSTM: R transposed", |draft| transpose_r(draft, 4)),
        before("RNN: R transposed", |draft| transpose_r(draft, 1)),
        before("GRU: R_n transposed, R_r and R_z not", |draft| {
            let block = draft.hidden * draft.hidden;
            if draft.gates() == 3 {
                let hidden = draft.hidden;
                draft.each(|weights, _| {
                    let turned = transposed(&weights.w_hh[2 * block..], hidden);
                    weights.w_hh.splice(2 * block.., turned);
                });
            }
        }),
        before("W read column by column", |draft| {
            draft.each(|weights, input| weights.w_ih = transposed(&weights.w_ih, input));
        }),
        before("R read column by column", |draft| {
            let state = draft.state;
            draft.each(|weights, _| weights.w_hh = transposed(&weights.w_hh, state));
        }),
    ]
}

/// Transposes the matrix of each gate, where it is square.
fn transpose_r(draft: &mut Draft, gates: usize) {
    if draft.gates() == gates && draft.state == draft.hidden {
        let hidden = draft.hidden;
        draft.each(|weights, _| {
            let blocks = weights.w_hh.chunks_exact(hidden * hidden);
            weights.w_hh = blocks.flat_map(|block| transposed(block, hidden)).collect();
        });
    }
}

fn gru() -> Vec<Fault> {
    vec![
        before("GRU: reset before for after", |draft| {
            if let Cell::Gru { reset: reset @ Reset::After, .. } = &mut draft.cell {
                *reset = Reset::Before;
            }
        }),
        before("GRU: reset after for before", |draft| {
            if let Cell::Gru { reset: reset @ Reset::Before, .. } = &mut draft.cell {
                *reset = Reset::After;
            }
        }),
        before("GRU: z takes where it keeps", |draft| {
            if let Cell::Gru { update: update @ Update::Keeps, .. } = &mut draft.cell {
                *update = Update::Takes;
            }
        }),
        before("GRU: z keeps where it takes", |draft| {
            if let Cell::Gru { update: update @ Update::Takes, .. } = &mut draft.cell {
                *update = Update::Keeps;
            }
        }),
        before("GRU: c_n outside the reset product", |draft| move_n(draft, true)),
        before("GRU: b_n inside the reset product", |draft| move_n(draft, false)),
    ]
}

/// Adds the n part of one bias to the other's, for a reset that is after and so tells them apart.
fn move_n(draft: &mut Draft, out: bool) {
    let hidden = draft.hidden;
    if !matches!(draft.cell, Cell::Gru { reset: Reset::After, .. }) {
        return;
    }
    draft.each(|weights, _| {
        let (from, to) = match out {
            true => (&mut weights.b_hh, &mut weights.b_ih),
            false => (&mut weights.b_ih, &mut weights.b_hh),
        };
        let Some(from) = from else { return };
        let to = to.get_or_insert_with(|| vec![0.0; 3 * hidden]);
        for (from, to) in from[2 * hidden..].iter_mut().zip(&mut to[2 * hidden..]) {
            *to += *from;
            *from = 0.0;
        }
    });
}

fn lstm() -> Vec<Fault> {
    vec![
        before("LSTM: f coupled where it has rows of its own", |draft| {
            if draft.cell == Cell::LSTM {
                draft.cell = Cell::Lstm { forget: Forget::Coupled };
            }
        }),
        before("LSTM: f of its rows where it is coupled", |draft| {
            if draft.cell.has_c() {
                draft.cell = Cell::LSTM;
            }
        }),
        before("LSTM: peepholes dropped", |draft| draft.each(|weights, _| weights.peepholes = None)),
        before("LSTM: p_i dropped", |draft| drop_peephole(draft, 0)),
        before("LSTM: p_f dropped", |draft| drop_peephole(draft, 1)),
        before("LSTM: p_o dropped", |draft| drop_peephole(draft, 2)),
        before("LSTM: p_i and p_f swapped", |draft| swap_peepholes(draft, [0, 1])),
        before("LSTM: p_i and p_o swapped", |draft| swap_peepholes(draft, [0, 2])),
        before("LSTM: p_f and p_o swapped", |draft| swap_peepholes(draft, [1, 2])),
        before("LSTM: rows of the projection in reverse", |draft| {
            let hidden = draft.hidden;
            draft.each(|weights, _| {
                if let Some(w_hr) = &mut weights.w_hr {
                    *w_hr = w_hr.chunks_exact(hidden).rev().flatten().copied().collect();
                }
            });
        }),
        before("LSTM: projection read column by column", |draft| {
            let hidden = draft.hidden;
            draft.each(|weights, _| {
                if let Some(w_hr) = &mut weights.w_hr {
                    *w_hr = transposed(w_hr, hidden);
                }
            });
        }),
    ]
}

fn drop_peephole(draft: &mut Draft, gate: usize) {
    let hidden = draft.hidden;
    draft.each(|weights, _| {
        if let Some(peepholes) = &mut weights.peepholes {
            peepholes[gate * hidden..][..hidden].fill(0.0);
        }
    });
}

/// p_f of a coupled f is without effect.
fn swap_peepholes(draft: &mut Draft, gates: [usize; 2]) {
    draft.each(|weights, _| {
        if let Some(peepholes) = &mut weights.peepholes {
            swap_blocks(peepholes, 3, gates);
        }
    });
}

fn biases() -> Vec<Fault> {
    vec![
        before("b_ih dropped", |draft| draft.each(|weights, _| weights.b_ih = None)),
        before("b_hh dropped", |draft| draft.each(|weights, _| weights.b_hh = None)),
        before("GRU: b_ih and b_hh swapped", |draft| {
            if matches!(draft.cell, Cell::Gru { reset: Reset::After, .. }) {
                draft.each(|weights, _| std::mem::swap(&mut weights.b_ih, &mut weights.b_hh));
            }
        }),
        before("b_ih counted twice", |draft| {
            draft.each(|weights, _| weights.b_ih.iter_mut().flatten().for_each(|b| *b *= 2.0));
        }),
    ]
}

fn options() -> Vec<Fault> {
    vec![
        before("clip dropped", |draft| draft.layers.iter_mut().for_each(|layer| layer.clip = None)),
        before("clip taken for a state clip", |draft| {
            for layer in draft.layers.iter_mut().filter(|layer| layer.clip.is_some()) {
                layer.state_clip = layer.clip.take();
            }
        }),
        before("state clip dropped", |draft| {
            draft.layers.iter_mut().for_each(|layer| layer.state_clip = None)
        }),
        before("state clip taken for a clip", |draft| {
            for layer in draft.layers.iter_mut().filter(|layer| layer.state_clip.is_some()) {
                layer.clip = layer.state_clip.take();
            }
        }),
        before("activations dropped", |draft| {
            let own = Activations::of(draft.cell);
            draft.each_activations(|activations| *activations = own);
        }),
        before("activations: the forward ones for both directions", |draft| {
            draft.layers.iter_mut().for_each(|layer| {
                let forward = layer.activations[0];
                layer.activations.fill(forward);
            });
        }),
        before("activations: of the directions swapped", |draft| {
            draft.layers.iter_mut().for_each(|layer| layer.activations.reverse());
        }),
        before("activations: f's and g's swapped", |draft| {
            if draft.cell != Cell::Rnn {
                draft.each_activations(|all| std::mem::swap(&mut all.gate, &mut all.candidate));
            }
        }),
        before("activations: g's and h's swapped", |draft| {
            if draft.cell.has_c() {
                draft.each_activations(|all| std::mem::swap(&mut all.candidate, &mut all.output));
            }
        }),
        before("activations: ONNX's alpha and beta for any", |draft| {
            draft.each_activations(|all| {
                for one in [&mut all.gate, &mut all.candidate, &mut all.output] {
                    *one = with_defaults(*one);
                }
            });
        }),
        before("activations: alpha and beta swapped", |draft| {
            draft.each_activations(|all| {
                for one in [&mut all.gate, &mut all.candidate, &mut all.output] {
                    if one.function().parameters() == (true, true) {
                        let swapped = Activation::new(one.function(), one.beta(), one.alpha());
                        *one = swapped.expect("finite");
                    }
                }
            });
        }),
    ]
}

fn with_defaults(activation: Activation) -> Activation {
    let function = activation.function();
    let (alpha, beta) = match function {
        Function::HardSigmoid => (0.2, 0.5),
        Function::Elu | Function::ThresholdedRelu => (1.0, 0.0),
        Function::LeakyRelu => (0.01, 0.0),
        Function::ScaledTanh => (1.0, 1.0),
        Function::Affine => (1.0, 0.0),
        _ => (0.0, 0.0),
    };
    Activation::new(function, alpha, beta).expect("finite")
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
            if golden.model.output() > golden.model.state() {
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

/// Where direction d of row b and step t lies in y.
fn at(golden: &Golden, b: usize, t: usize, d: usize) -> usize {
    let (dims, state) = (golden.inputs.dims, golden.model.state());
    let dirs = golden.model.output() / state;
    let index = match golden.inputs.layouts.1 {
        Layout::BatchMajor => (b * dims.steps + t) * dirs + d,
        Layout::TimeMajor => (t * dims.batch + b) * dirs + d,
        Layout::DirectionMajor => (t * dirs + d) * dims.batch + b,
    };
    index * state
}

/// The place of each half of y, that of the other half, and their length.
fn each_half(golden: &Golden, mut of: impl FnMut(usize, usize, usize)) {
    let dims = golden.inputs.dims;
    for (b, t) in (0..dims.batch).flat_map(|b| (0..dims.steps).map(move |t| (b, t))) {
        let [forward, reverse] = [0, 1].map(|d| at(golden, b, t, d));
        of(forward, reverse, golden.model.state());
        of(reverse, forward, golden.model.state());
    }
}

/// What a forward layer of the reverse weights gives takes the reverse half's place.
fn reverse_half_forward(golden: &Golden, output: &mut Output) {
    let model = &golden.model;
    if model.states() != 2 || model.layers()[0].direction() != Direction::Bidirectional {
        return;
    }
    let (hidden, state, dims) = (model.hidden(), model.state(), golden.inputs.dims);
    let mut draft = Draft::of(golden);
    draft.direction = Direction::Forward;
    draft.layers[0].weights.remove(0);
    draft.layers[0].activations.remove(0);
    let [h0, c0] =
        [(&mut draft.inputs.h0, state), (&mut draft.inputs.c0, hidden)].map(|(states, features)| {
            states.as_mut().map(|states| states.drain(..dims.batch * features).count())
        });
    assert!(h0.is_some() && (c0.is_some() || !model.cell().has_c()), "{}: initial states", golden.name);
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

fn states() -> Vec<Fault> {
    vec![
        before("h0 dropped", |draft| draft.inputs.h0 = None),
        before("c0 dropped", |draft| draft.inputs.c0 = None),
        before("c0 read from h0", |draft| {
            if draft.state == draft.hidden && draft.inputs.c0.is_some() {
                draft.inputs.c0 = draft.inputs.h0.clone();
            }
        }),
        before("h0 of another row", |draft| {
            let (state, batch) = (draft.state, draft.inputs.dims.batch);
            if let Some(h0) = &mut draft.inputs.h0 {
                h0.chunks_exact_mut(batch * state).for_each(|rows| rows.rotate_left(state));
            }
        }),
        before("h0 of the first layer for all", |draft| {
            let block = draft.dirs() * draft.inputs.dims.batch * draft.state;
            if let Some(h0) = &mut draft.inputs.h0 {
                *h0 = h0[..block].repeat(h0.len() / block);
            }
        }),
        before("h0 direction by direction instead of layer by layer", |draft| {
            let (layers, dirs) = (draft.layers.len(), draft.dirs());
            let block = draft.inputs.dims.batch * draft.state;
            if let Some(h0) = &mut draft.inputs.h0 {
                let places = (0..layers).flat_map(|l| (0..dirs).map(move |d| (d * layers + l) * block));
                *h0 = places.flat_map(|place| h0[place..place + block].to_vec()).collect();
            }
        }),
        after("h_n direction by direction instead of layer by layer", |golden, output| {
            let layers = golden.model.layers().len();
            let dirs = golden.model.states() / layers;
            let block = golden.inputs.dims.batch * golden.model.state();
            let places = (0..dirs).flat_map(|d| (0..layers).map(move |l| (l * dirs + d) * block));
            output.h_n = places.flat_map(|place| output.h_n[place..place + block].to_vec()).collect();
        }),
        after("h_n of the last layer alone", |golden, output| {
            let (dirs, all) = (golden.model.output() / golden.model.state(), output.h_n.len());
            let block = dirs * golden.inputs.dims.batch * golden.model.state();
            output.h_n = output.h_n[all - block..].repeat(all / block);
        }),
    ]
}

fn padding() -> Vec<Fault> {
    vec![
        before("lengths dropped", |draft| draft.inputs.lengths = None),
        Fault {
            name: "padding run through, then zeroed",
            before: |draft| draft.inputs.lengths = None,
            after: |golden, output| {
                each_past_the_end(golden, |place, len| output.y[place..place + len].fill(0.0));
            },
        },
        before("lengths of another row", |draft| {
            draft.inputs.lengths.iter_mut().for_each(|lengths| lengths.rotate_left(1));
        }),
        before("lengths one step short", |draft| {
            let lengths = draft.inputs.lengths.iter_mut().flatten();
            lengths.for_each(|length| *length = length.saturating_sub(1));
        }),
        before("a sequence of no step run to the end", |draft| {
            let steps = draft.inputs.dims.steps as u32;
            let lengths = draft.inputs.lengths.iter_mut().flatten();
            lengths.filter(|length| **length == 0).for_each(|length| *length = steps);
        }),
        after("a sequence of no step ends in 0", |golden, output| {
            let (batch, state) = (golden.inputs.dims.batch, golden.model.state());
            let lengths = golden.inputs.lengths.iter().flatten().enumerate();
            for (b, _) in lengths.filter(|(_, length)| **length == 0) {
                for states in output.h_n.chunks_exact_mut(batch * state) {
                    states[b * state..][..state].fill(0.0);
                }
            }
        }),
        before("padding repeats where it is 0", |draft| {
            if draft.inputs.lengths.is_some() {
                draft.inputs.fill = Fill::Last;
            }
        }),
        before("padding is 0 where it repeats", |draft| {
            if draft.inputs.lengths.is_some() {
                draft.inputs.fill = Fill::Zero;
            }
        }),
    ]
}

/// Where y lies past the ends of sequences.
fn each_past_the_end(golden: &Golden, mut of: impl FnMut(usize, usize)) {
    let dirs = golden.model.output() / golden.model.state();
    for (b, &length) in golden.inputs.lengths.iter().flatten().enumerate() {
        for (t, d) in (length as usize..golden.inputs.dims.steps).flat_map(|t| (0..dirs).map(move |d| (t, d)))
        {
            of(at(golden, b, t, d), golden.model.state());
        }
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

fn storage() -> Vec<Fault> {
    vec![
        before("16 bits: weights kept in f32", |draft| draft.precision.weights = Storage::F32),
        before("16 bits: activations kept in f32", |draft| draft.precision.activations = Storage::F32),
        before("16 bits: weights cut off instead of rounded", |draft| {
            let storage = draft.precision.weights;
            draft.each(|weights, _| {
                let matrices = [&mut weights.w_ih, &mut weights.w_hh].into_iter().chain(&mut weights.w_hr);
                matrices.flatten().for_each(|w| *w = cut_off(storage, *w));
            });
        }),
        before("16 bits: x cut off instead of rounded", |draft| {
            let storage = draft.precision.activations;
            draft.inputs.x.iter_mut().for_each(|x| *x = cut_off(storage, *x));
        }),
        before("16 bits: biases rounded too", |draft| {
            let storage = draft.precision.weights;
            draft.each(|weights, _| {
                let biases = weights.b_ih.iter_mut().chain(&mut weights.b_hh);
                biases.flatten().for_each(|b| *b = storage.round(*b));
            });
        }),
        before("16 bits: h0 rounded too", |draft| {
            let storage = draft.precision.activations;
            draft.inputs.h0.iter_mut().flatten().for_each(|h| *h = storage.round(*h));
        }),
        before("16 bits: bf16 for f16, and f16 for bf16", |draft| {
            let other = |storage| match storage {
                Storage::F32 => Storage::F32,
                Storage::F16 => Storage::Bf16,
                Storage::Bf16 => Storage::F16,
            };
            draft.precision.weights = other(draft.precision.weights);
            draft.precision.activations = other(draft.precision.activations);
        }),
    ]
}

/// Towards 0, to a number of the type.
fn cut_off(storage: Storage, v: f32) -> f32 {
    let kept = match storage {
        Storage::F32 => return v,
        Storage::F16 => 0xffff_e000,
        Storage::Bf16 => 0xffff_0000,
    };
    f32::from_bits(v.to_bits() & kept)
}

/// What only the inside of an engine can get wrong, by an engine that does; it does not round to 16 bits.
fn slips() -> Vec<Fault> {
    fn slip(golden: &Golden, output: &mut Output, slip: Slip, applies: fn(&Layer) -> bool) {
        if golden.made != Made::Rounded && applies(&golden.model.layers()[0]) {
            *output = engine::run(golden, slip);
        }
    }
    vec![
        after("LSTM: p_o on the old c", |golden, output| {
            slip(golden, output, Slip::PeepholeOnOldC, Layer::has_peepholes);
        }),
        after("clip on the gates only", |golden, output| {
            let applies = |layer: &Layer| layer.clip().is_some() && layer.cell() != Cell::Rnn;
            slip(golden, output, Slip::ClipOnGatesOnly, applies);
        }),
        after("clip on the candidate only", |golden, output| {
            slip(golden, output, Slip::ClipOnCandidateOnly, |layer| layer.clip().is_some());
        }),
        after("clip before the peepholes are added", |golden, output| {
            let applies = |layer: &Layer| layer.clip().is_some() && layer.has_peepholes();
            slip(golden, output, Slip::ClipBeforePeepholes, applies);
        }),
        after("clip on W x and R h each", |golden, output| {
            slip(golden, output, Slip::ClipOnProducts, |layer| layer.clip().is_some());
        }),
        after("LSTM: state clip after h' is made", |golden, output| {
            let applies = |layer: &Layer| layer.state_clip().is_some() && layer.cell().has_c();
            slip(golden, output, Slip::StateClipAfterH, applies);
        }),
        after("LSTM: state clip on h", |golden, output| {
            let applies = |layer: &Layer| layer.state_clip().is_some() && layer.cell().has_c();
            slip(golden, output, Slip::StateClipOnH, applies);
        }),
        after("GRU: c_n weighed by r with reset before", |golden, output| {
            let applies = |layer: &Layer| {
                matches!(layer.cell(), Cell::Gru { reset: Reset::Before, .. })
                    && layer.weights()[0].b_hh.is_some()
            };
            slip(golden, output, Slip::ResetOnBias, applies);
        }),
        after("units read what other units wrote", |golden, output| {
            slip(golden, output, Slip::UnitsInPlace, |layer| layer.projection().is_none());
        }),
        after("a row starts where the row before ended", |golden, output| {
            slip(golden, output, Slip::RowsInARow, |_| true);
        }),
        after("nothing carried from step to step", |golden, output| {
            slip(golden, output, Slip::NothingCarried, |_| true);
        }),
        after("both ways: initial states of the other direction", |golden, output| {
            let applies = |layer: &Layer| layer.direction() == Direction::Bidirectional;
            slip(golden, output, Slip::StatesOfTheOtherDirection, applies);
        }),
    ]
}
