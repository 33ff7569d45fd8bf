//! Errors that only the inside of an engine can make, produced by a faulty engine; it does not round to 16 bits.

use wgru::model::Reset;
use wgru::{Cell, Direction, Layer, Output};

use super::{Fault, after};
use crate::golden::{Golden, Made};
use crate::mutations::engine::{self, Slip};

pub fn all() -> Vec<Fault> {
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
