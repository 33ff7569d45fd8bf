//! The fallback path: finishing a run whose exchange between workgroups failed.

use super::context::Context;
use super::execute::{Fetch, Way};
use super::readback::Submitted;
use super::workspace::Workspace;
use crate::error::{Error, Result};
use crate::io::Batch;
use crate::program::Completion;

impl Workspace {
    /// Re-runs the rest of `failed`, from the chunk `at` on, or all of it. Both have the same plan, except that this one uses
    /// per-step kernels where the other used multi-workgroup kernels.
    ///
    /// The results of the earlier operations are copied on the device: the sequences, the final states of the layers below, and
    /// the states of the chunk's own layer from its beginning. The states of the layers above, which may have run on invalid
    /// values, are written again. With layer pipelining, all states are those at the beginning of the dispatch that was not
    /// completed.
    ///
    /// # Errors
    /// [`Error::Lost`]; [`Error::Device`] and [`Error::DeviceMemory`] where the device refuses the work.
    pub fn fall_back(
        &mut self,
        context: &Context,
        failed: &Self,
        at: Option<&Completion>,
        batch: &Batch<'_>,
        way: Way<'_>,
    ) -> Result<Submitted> {
        self.write_inputs(context, batch.lengths_of(), 0, batch.states())?;
        self.pack_x(batch.x());
        let copies = at.map_or(Ok(Vec::new()), |at| self.copies(failed, at))?;
        let from_op = at.map_or(0, |at| at.op);
        context.check_fault()?;
        let submit = || {
            self.write_x(context, batch.x());
            self.fill_nan(context, 0);
            way.tally.begin(self.program.dispatches_from(from_op));
            let mut encoder = self.encoder(context);
            for (from, to) in copies {
                let bytes = failed.buffers[from].size();
                encoder.copy_buffer_to_buffer(&failed.buffers[from], 0, &self.buffers[to], 0, bytes);
            }
            let encoder = self.record(context, encoder, None, 0, from_op, way);
            self.finish(context, encoder, 0, Fetch::All)
        };
        let submitted = context.checked("fallback run", submit)?;
        context.check_fault()?;
        Ok(submitted)
    }

    /// Pairs of buffers: of `failed`, and of this workspace to copy to.
    fn copies(&self, failed: &Self, at: &Completion) -> Result<Vec<(usize, usize)>> {
        if let (Some(from), Some(to)) = (failed.program.together, self.program.together) {
            // The steps of the first layer before, with the lag of the layers that have ended.
            let steps = at.first + at.layer * to.lag;
            let mut copies = vec![(from.y, to.y), (from.states.h[at.phase], to.states.h[steps % 2])];
            if let (Some(from), Some(to)) = (from.states.c, to.states.c) {
                copies.push((from[at.phase], to[steps % 2]));
            }
            return Ok(copies);
        }
        let mut copies = Vec::new();
        for (to, buffer) in self.program.buffers.iter().enumerate() {
            if to == self.program.y || buffer.name.starts_with("y.") {
                let from = failed.program.buffers.iter().position(|other| other.name == buffer.name);
                let from =
                    from.ok_or_else(|| Error::internal(&buffer.name, "not in the run that fell back"))?;
                copies.push((from, to));
            }
        }
        let layers = failed.program.states.iter().zip(&self.program.states).enumerate();
        for (layer, (from, to)) in layers.take(at.layer + 1) {
            let (before, now) = match layer == at.layer {
                true => (at.phase, at.first % 2),
                false => (from.changes % 2, to.changes % 2),
            };
            copies.push((from.h[before], to.h[now]));
            if let (Some(from), Some(to)) = (from.c, to.c) {
                copies.push((from[before], to[now]));
            }
        }
        Ok(copies)
    }
}
