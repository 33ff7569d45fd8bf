//! Possible faults of an engine or an importer, each as a change of its inputs or of its outputs.
//!
//! ```text
//! weights   gates, conventions, peepholes, projections, biases
//! options   clips, activations, storage types
//! order     directions, layers, layouts
//! states    initial and final states, lengths, padding
//! slips     errors that only the inside of an engine can make
//! ```

mod options;
mod order;
mod slips;
mod states;
mod weights;

use wgru::{Layout, Output};

use crate::golden::Golden;
use crate::mutations::draft::Draft;

/// A fault: planted before the run or after it; it changes nothing where it does not apply.
#[derive(Clone)]
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
/// Every fault.
pub fn all() -> Vec<Fault> {
    [weights::all(), options::all(), order::all(), states::all(), slips::all()].concat()
}

/// The index in y of direction d of row b and step t.
pub fn at(golden: &Golden, b: usize, t: usize, d: usize) -> usize {
    let (dims, state) = (golden.inputs.dims, golden.model.state_size());
    let dirs = golden.model.output() / state;
    let index = match golden.inputs.layouts.1 {
        Layout::BatchMajor => (b * dims.steps + t) * dirs + d,
        Layout::TimeMajor => (t * dims.batch + b) * dirs + d,
        Layout::DirectionMajor => (t * dirs + d) * dims.batch + b,
    };
    index * state
}
