//! A session on a GPU.

use std::sync::Arc;

use super::pieces::cut;
use super::read::{read_outputs, read_states};
use super::{GpuEngine, Planner, Ready};
use crate::dims::Dims;
use crate::engine::backend::Steps;
use crate::error::{Error, Result};
use crate::gpu::{Context, Fetch, Recordable, Submittable, Way, Workspace};
use crate::io::{State, StepInput, StepOutput};
use crate::plan::Plan;
use crate::program::{lower_recorded_session, lower_session};
use crate::progress::{Progress, Tally};
use crate::sync::Wait;

impl GpuEngine {
    /// A session of `streams` streams, in parts of as many as the device supports.
    pub(super) fn session_of(&self, streams: usize) -> Result<GpuSession> {
        let dims = Dims::new(streams, 1)?;
        // Includes the arrays of a step with resets, which are created at the first one.
        let fits = |dims: Dims| {
            let plan = self.planner.plan(&self.model, dims.into())?;
            self.planner.bytes_of(&lower_session(&self.model, &plan)?)
        };
        let most = cut(dims, |dims| fits(dims).map(drop))?.map_or(streams, |cut| cut.rows);
        let bytes = fits(Dims { batch: most, steps: 1 })?.saturating_mul(streams.div_ceil(most) as u64);
        let Planner { caps, memory, .. } = &self.planner;
        caps.check(&format!("a session of {streams} streams"), bytes, *memory, "bytes of memory")?;
        let mut parts = Vec::new();
        for first in (0..streams).step_by(most) {
            let count = most.min(streams - first);
            let Ready { mut workspace, plan, .. } = self.make(Dims::new(count, 1)?.into(), lower_session)?;
            workspace.write_inputs(&self.context, None, 0, [None, None])?;
            parts.push(Part { first, count, workspace, plan, phase: 0 });
        }
        Ok(GpuSession { context: self.context.clone(), streams, parts, recordable: None, bound: None })
    }
}

/// Workspaces for one step whose states persist: one, or several, one for each part of the streams, where they exceed the device.
#[derive(Debug)]
pub(in crate::engine) struct GpuSession {
    context: Arc<Context>,
    streams: usize,
    parts: Vec<Part>,
    /// For a recorded session: the program of its step. Then every step begins and ends in phase 0.
    recordable: Option<Arc<Recordable>>,
    /// The same for steps on the caller's buffers that submit themselves.
    pub(in crate::engine) bound: Option<Submittable>,
}

/// Some streams of a session.
#[derive(Debug)]
struct Part {
    /// The first of them.
    first: usize,
    count: usize,
    workspace: Workspace,
    plan: Plan,
    /// Which of each pair of h buffers holds the state.
    phase: usize,
}

impl Part {
    /// Its rows of `all`, which has the same number of elements for each stream.
    fn of<'a, T>(&self, all: &'a [T], streams: usize) -> &'a [T] {
        let features = all.len() / streams;
        &all[self.first * features..][..self.count * features]
    }

    fn of_mut<'a>(&self, all: &'a mut [f32], streams: usize) -> &'a mut [f32] {
        let features = all.len() / streams;
        &mut all[self.first * features..][..self.count * features]
    }
}

impl Part {
    /// Brings the states to phase 0, where recorded steps begin and end.
    fn settle(&mut self, context: &Context) -> Result<()> {
        if self.phase == 1 {
            self.workspace.settle(context)?;
            self.phase = 0;
        }
        Ok(())
    }
}

impl GpuSession {
    /// The program of a step that is recorded, on the session's states.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the session is in several parts.
    pub(in crate::engine) fn recordable(&mut self, engine: &GpuEngine) -> Result<Arc<Recordable>> {
        if let Some(recordable) = &self.recordable {
            return Ok(recordable.clone());
        }
        let [part] = &mut self.parts[..] else {
            let (streams, parts) = (self.streams, self.parts.len());
            let what = format!(
                "a recording of a session of {streams} streams, which the device takes in {parts} parts: open {parts} sessions"
            );
            return Err(Error::Unsupported { what });
        };
        part.settle(&self.context)?;
        let program = lower_recorded_session(&engine.model, &part.plan)?;
        let own = part.workspace.program();
        let states = own.states.iter().zip(&program.states).flat_map(|(own, recorded)| {
            let pairs = |own: [usize; 2], recorded: [usize; 2]| [0, 1].map(|at| (recorded[at], own[at]));
            let c = own.c.zip(recorded.c).map(|(own, recorded)| pairs(own, recorded));
            pairs(own.h, recorded.h).into_iter().chain(c.into_iter().flatten())
        });
        let foreign: Vec<_> =
            states.map(|(recorded, own)| (recorded, part.workspace.buffer(own).clone())).collect();
        let recordable = engine.made(program, &foreign)?;
        self.recordable = Some(recordable.clone());
        Ok(recordable)
    }
}

impl Steps for GpuSession {
    async fn step(
        &mut self,
        input: StepInput<'_>,
        output: &mut StepOutput,
        wait: Wait<'_>,
        progress: &Arc<Progress>,
    ) -> Result<()> {
        let (streams, x) = (self.streams, input.x());
        let tally = Arc::new(Tally::new(progress.clone(), self.parts.len()));
        let mut submitted = Vec::with_capacity(self.parts.len());
        if input.resets_of().is_some() {
            for part in &mut self.parts {
                part.workspace.prepare_resets(&self.context)?;
            }
        }
        for part in &mut self.parts {
            let x = part.of(x, streams);
            part.workspace.pack_x(x);
            let given = (x, input.resets_of().map(|resets| part.of(resets, streams)));
            let submit = part.workspace.submit(
                &self.context,
                given,
                part.phase,
                Fetch::Outputs,
                Way { wait, tally: &tally },
            );
            submitted.push(submit?);
            part.phase = 1 - part.phase;
            if self.recordable.is_some() {
                part.settle(&self.context)?;
            }
        }
        for (part, submitted) in self.parts.iter().zip(submitted) {
            let read = |mut data: &[u32]| {
                let out = output.out.as_deref_mut().map(|out| part.of_mut(out, streams));
                read_outputs(&part.workspace, &mut data, part.of_mut(&mut output.y, streams), out);
            };
            part.workspace.read(&self.context, submitted, wait, read).await?;
        }
        Ok(())
    }

    fn write(&mut self, states: Option<&State>) -> Result<()> {
        self.context.check_lost()?;
        for part in &mut self.parts {
            let program = part.workspace.program();
            let of_part = |all: &[f32], features: usize| -> Vec<f32> {
                let layers = all.chunks_exact(self.streams * features);
                layers.flat_map(|all| part.of(all, self.streams)).copied().collect()
            };
            let h = states.map(|states| of_part(&states.h, program.state));
            let c = states.and_then(|states| states.c.as_deref()).map(|c| of_part(c, program.hidden));
            part.workspace.write_states(&self.context, part.phase, h.as_deref(), c.as_deref());
        }
        Ok(())
    }

    async fn read(&self, to: &mut State, wait: Wait<'_>) -> Result<()> {
        let State { h, c } = to;
        let (h, c) = (&mut h[..], c.as_deref_mut().unwrap_or_default());
        for part in &self.parts {
            let share = |all: &[f32]| vec![0.0; all.len() / self.streams * part.count];
            let (mut own_h, mut own_c) = (share(h), share(c));
            let submitted = part.workspace.fetch_states(&self.context, part.phase)?;
            let read = |data: &[u32]| read_states(&part.workspace, data, &mut own_h, &mut own_c);
            part.workspace.read(&self.context, submitted, wait, read).await?;
            let program = part.workspace.program();
            for (all, own, features) in [(&mut *h, own_h, program.state), (&mut *c, own_c, program.hidden)] {
                let layers = all.chunks_exact_mut(self.streams * features);
                for (all, own) in layers.zip(own.chunks_exact(part.count * features)) {
                    part.of_mut(all, self.streams).copy_from_slice(own);
                }
            }
        }
        Ok(())
    }
}
