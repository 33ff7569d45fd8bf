//! Vectors that kernels of cooperative matrices keep in f16, for the next step or the second half of a step.

use super::Lowering;
use crate::error::Result;
use crate::kernels::{Recurrent, StepMatrices};
use crate::plan::Recurrence;
use crate::program::{BufferId, Role};

/// Buffers of h in f16, before even and odd steps.
const KEPT: [&str; 2] = ["h_f16.even", "h_f16.odd"];
/// The buffer of the vector in f16 of the second half of a step.
const SECOND: &str = "second_f16";

/// The buffers among `named` of the vectors in f16 that `kernel` reads and writes before an even or odd step, by their names
/// in the shaders.
pub(super) fn of(
    kernel: Recurrent,
    phase: usize,
    named: &[(&'static str, BufferId)],
) -> Vec<(&'static str, BufferId)> {
    let Recurrent::StepMatrices(kernel) = kernel else { return Vec::new() };
    let vector = if kernel.is_of_h() { KEPT[phase] } else { SECOND };
    let next = if kernel.is_half() { SECOND } else { KEPT[1 - phase] };
    let buffer = |(name, kept): (&'static str, &str)| {
        let found = named.iter().find(|(known, _)| *known == kept);
        found.map(|&(_, buffer)| (name, buffer))
    };
    [("vector_f16", vector), ("next_f16", next)].into_iter().filter_map(buffer).collect()
}

impl Lowering<'_> {
    /// Adds to `named` the buffers where the steps of layer `index`, or of `layers` that are pipelined, keep h in f16.
    pub(in crate::program) fn kept(
        &mut self,
        index: usize,
        layers: usize,
        named: &mut Vec<(&'static str, BufferId)>,
    ) -> Result<()> {
        let Recurrence::Step(kernels) = &self.plan.layers[index].recurrence else { return Ok(()) };
        let keeps = |kernel: &Recurrent| matches!(kernel, Recurrent::StepMatrices(kernel) if kernel.keeps);
        if !kernels.iter().any(keeps) {
            return Ok(());
        }
        let layer = &self.model.layers()[index];
        let (state, hidden) = (layer.state_size(), layer.hidden());
        let second = (kernels.len() > 1).then_some((SECOND, hidden));
        let [dirs, tiles, ..] = self.tiled(layers, 1);
        for (name, features) in KEPT.map(|name| (name, state)).into_iter().chain(second) {
            let shape = [&[dirs, tiles], &StepMatrices::kept(features)[..]].concat();
            named.push((name, self.buffer(&format!("{name}.{index}"), Role::Scratch, &shape)?));
        }
        Ok(())
    }
}
