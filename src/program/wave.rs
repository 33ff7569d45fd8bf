//! The layers of a stack as a wavefront: while a layer walks over a chunk of steps, the one above walks over the chunk
//! before. Dispatches that share no array need not wait for each other, so a device may run them side by side.

use super::Op;
use super::lower::{Chunk, Lowering, Stage};
use crate::error::Result;

impl Lowering<'_> {
    /// All layers, in chunks of `steps`, an even number, so that every chunk begins with an even step.
    pub(super) fn wave(&mut self, steps: usize) -> Result<()> {
        let layers = self.model.layers().len();
        let stages = (0..layers).map(|index| self.stage(index)).collect::<Result<Vec<Stage>>>()?;
        let times = self.plan.form.dims.steps;
        let chunks = times.div_ceil(steps);
        for slot in 0..chunks + layers - 1 {
            let chunk_of = |(index, stage): (usize, &Stage)| {
                let first = slot.checked_sub(index).filter(|chunk| *chunk < chunks)? * steps;
                let count = steps.min(times - first);
                Some(Chunk { op: 0, first, count, output: stage.output, proof: [0; 4] })
            };
            let chunks: Vec<Option<Chunk>> = stages.iter().enumerate().map(chunk_of).collect();
            let active = || stages.iter().zip(&chunks).filter_map(|(stage, chunk)| Some((stage, (*chunk)?)));
            // Each projection reads what another layer writes in this slot, so all of them come first.
            for (stage, chunk) in active() {
                self.project_chunk(stage, chunk.first, chunk.count)?;
            }
            let mut walks = Vec::new();
            for (stage, chunk) in active() {
                walks.extend(self.walk(stage, chunk)?);
            }
            self.program.ops.extend(in_step(walks));
        }
        Ok(())
    }
}

/// `ops`, with those of single steps joined where they take as many: a step of each, kernel by kernel, before the next.
fn in_step(ops: Vec<Op>) -> Vec<Op> {
    let mut joined: Vec<Op> = Vec::new();
    for op in ops {
        let twin = joined.iter_mut().find(|other| match (&op, other) {
            (Op::Steps { count, phases, .. }, Op::Steps { count: own, phases: all, .. }) => {
                count == own && all[0].len() % phases[0].len().max(1) == 0
            }
            _ => false,
        });
        match (op, twin) {
            (Op::Steps { phases: [even, odd], .. }, Some(Op::Steps { phases, .. })) => {
                for (all, more) in phases.iter_mut().zip([even, odd]) {
                    // One kernel of this layer after each of the ones below it, so that like stands beside like.
                    let layers = all.len() / more.len().max(1);
                    for (index, dispatch) in more.into_iter().enumerate() {
                        all.insert((index + 1) * (layers + 1) - 1, dispatch);
                    }
                }
            }
            (op, _) => joined.push(op),
        }
    }
    joined
}
