//! What a run of the CPU path reads, and what it writes.

use crate::io::{Batch, Resets, RunShape};
use crate::sync::Interrupt;

/// What a run reads.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    /// In the order of `run_shape`.
    pub(crate) x: &'a [f32],
    pub(crate) run_shape: RunShape,
    /// The steps of each batch row; T for all where there are none.
    pub(crate) lengths: Option<&'a [u32]>,
    /// Where states are reset.
    pub(crate) resets: Option<Resets<'a>>,
    /// What may end the run before it is done.
    pub(crate) interrupt: Option<&'a Interrupt<'a>>,
}

/// The arrays a run advances and fills.
#[derive(Debug)]
pub(crate) struct Targets<'a> {
    /// `[L·D, B, P]`, from initial to final.
    pub h: &'a mut [f32],
    /// `[L·D, B, H]`, from initial to final; empty where the cell has none.
    pub c: &'a mut [f32],
    /// In the order of the run shape.
    pub y: &'a mut [f32],
    /// `[B, O]`, or every step in the order of the run shape; empty where there is no readout.
    pub out: &'a mut [f32],
}

impl<'a> Given<'a> {
    /// All of a batch except its initial states.
    pub(crate) fn of(batch: &Batch<'a>) -> Self {
        let (lengths, resets) = (batch.lengths_of(), batch.resets_of());
        let interrupt = batch.interrupt_of();
        Self { x: batch.x(), run_shape: batch.run_shape(), lengths, resets, interrupt }
    }
}
