//! Faults of the options: clips, activations, storage types.

use wgru::model::{Activation, Activations, Function};
use wgru::{Cell, Storage};

use super::{Fault, before};

pub fn all() -> Vec<Fault> {
    [options(), storage()].concat()
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
                other => unreachable!("{other}"),
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
        other => unreachable!("{other}"),
    };
    f32::from_bits(v.to_bits() & kept)
}
