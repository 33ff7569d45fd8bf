//! Faults of the states and of sequences that end early.

use wgru::Padding;

use super::{Fault, after, at, before};
use crate::golden::Golden;

pub fn all() -> Vec<Fault> {
    [states(), padding()].concat()
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
            let dirs = golden.model.num_states() / layers;
            let block = golden.inputs.dims.batch * golden.model.state_size();
            let places = (0..dirs).flat_map(|d| (0..layers).map(move |l| (l * dirs + d) * block));
            output.h_n = places.flat_map(|place| output.h_n[place..place + block].to_vec()).collect();
        }),
        after("h_n of the last layer alone", |golden, output| {
            let (dirs, all) = (golden.model.output() / golden.model.state_size(), output.h_n.len());
            let block = dirs * golden.inputs.dims.batch * golden.model.state_size();
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
            let (batch, state) = (golden.inputs.dims.batch, golden.model.state_size());
            let lengths = golden.inputs.lengths.iter().flatten().enumerate();
            for (b, _) in lengths.filter(|(_, length)| **length == 0) {
                for states in output.h_n.chunks_exact_mut(batch * state) {
                    states[b * state..][..state].fill(0.0);
                }
            }
        }),
        before("padding repeats where it is 0", |draft| {
            if draft.inputs.lengths.is_some() {
                draft.inputs.padding = Padding::Last;
            }
        }),
        before("padding is 0 where it repeats", |draft| {
            if draft.inputs.lengths.is_some() {
                draft.inputs.padding = Padding::Zero;
            }
        }),
    ]
}

/// The positions of y past the ends of sequences.
fn each_past_the_end(golden: &Golden, mut of: impl FnMut(usize, usize)) {
    let dirs = golden.model.output() / golden.model.state_size();
    for (b, &length) in golden.inputs.lengths.iter().flatten().enumerate() {
        for (t, d) in (length as usize..golden.inputs.dims.steps).flat_map(|t| (0..dirs).map(move |d| (t, d)))
        {
            of(at(golden, b, t, d), golden.model.state_size());
        }
    }
}
