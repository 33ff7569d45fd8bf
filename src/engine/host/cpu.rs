//! The CPU path.

use std::sync::Arc;
use std::time::Duration;

use super::{Given, Path};
use crate::cpu::{Network, Processor, Scratch, Targets};
use crate::dtype::{Precision, Storage};
use crate::error::Result;
use crate::io::{Batch, OutputMut, RunShape};
use crate::model::Model;
use crate::progress::Progress;

/// A packed network and its processor.
#[derive(Debug)]
pub(in crate::engine) struct Cpu {
    network: Network,
    processor: Arc<Processor>,
    activations: Storage,
}

impl Cpu {
    /// # Errors
    /// As [`Network::new`].
    pub(in crate::engine) fn new(
        model: &Model,
        precision: Precision,
        processor: &Arc<Processor>,
    ) -> Result<Self> {
        let network = Network::new(model, precision, processor)?;
        Ok(Self { network, processor: processor.clone(), activations: precision.activations })
    }
}

impl Path for Cpu {
    type Number = f32;
    type Scratch = Scratch;

    fn narrow(number: f32) -> f32 {
        number
    }

    fn activations(&self) -> Storage {
        self.activations
    }

    fn advance(
        &self,
        given: Given<'_>,
        scratch: &mut Scratch,
        [h, c]: [&mut [f32]; 2],
        [y, out]: [&mut [f32]; 2],
        progress: &Progress,
    ) -> Result<()> {
        self.network.run(&self.processor, given, scratch, Targets { h, c, y, out }, progress)
    }

    fn run(
        &self,
        batch: &Batch<'_>,
        scratch: &mut Scratch,
        output: &mut OutputMut<'_>,
        progress: &Progress,
    ) -> Result<()> {
        let [h, c] = [&mut *output.h_n, output.c_n.as_deref_mut().unwrap_or_default()];
        batch.initial_states(h, c);
        let outputs = [&mut *output.y, output.out.as_deref_mut().unwrap_or_default()];
        self.advance(Given::of(batch), scratch, [h, c], outputs, progress)
    }

    fn prepare(&self, run_shape: RunShape, scratch: &mut Scratch) -> Result<()> {
        self.network.prepare(run_shape, &self.processor, scratch)
    }

    fn expected(&self, run_shape: RunShape) -> Result<Duration> {
        Ok(self.network.expected(run_shape, &self.processor))
    }

    fn explain(&self, run_shape: RunShape) -> String {
        self.network.explain(run_shape, &self.processor)
    }
}
