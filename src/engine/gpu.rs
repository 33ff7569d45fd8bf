//! A model on a GPU: plans, programs and workspaces by shape, and the way a batch goes through one.

use std::sync::{Arc, Mutex};

use crate::dims::Dims;
use crate::error::{Error, Result};
use crate::gpu::{Constants, Context, Fetch, Wait, Workspace, lock};
use crate::io::{Batch, Output, StepOutput};
use crate::model::{Model, constants, pack};
use crate::plan::{Plan, plan};
use crate::program::{Program, lower, untile};
use crate::progress::Progress;

/// Workspaces that are kept for the next run of their shape, and their bytes but for the last one used.
const KEPT: usize = 8;
const KEPT_BYTES: u64 = 1 << 30;

#[derive(Debug)]
pub(super) struct GpuEngine {
    context: Arc<Context>,
    constants: Constants,
    /// Idle workspaces, the one used last at the end. A run takes one out, so that runs may overlap.
    idle: Mutex<Vec<Workspace>>,
    poison: bool,
}

impl GpuEngine {
    pub(super) async fn new(context: Arc<Context>, model: &Model, poison: bool) -> Result<Self> {
        let all = constants(model).into_iter();
        let packed = all.map(|constant| (constant, pack(model, constant))).collect();
        let constants = Constants::upload(&context, packed).await?;
        Ok(Self { context, constants, idle: Mutex::default(), poison })
    }

    pub(super) fn plan(&self, model: &Model, dims: Dims) -> Result<Plan> {
        plan(model, dims, self.context.caps())
    }

    /// Makes the workspace of `dims`, unless an idle one is there.
    pub(super) async fn prepare(&self, model: &Model, dims: Dims) -> Result<()> {
        let workspace = self.workspace(model, dims).await?;
        self.give_back(workspace);
        Ok(())
    }

    async fn workspace(&self, model: &Model, dims: Dims) -> Result<Workspace> {
        let idle = self.take(dims);
        match idle {
            Some(workspace) => Ok(workspace),
            None => self.make(model, dims).await,
        }
    }

    async fn make(&self, model: &Model, dims: Dims) -> Result<Workspace> {
        let program = lower(model, &self.plan(model, dims)?)?;
        let new = Workspace::new(&self.context, program.clone(), &self.constants, self.poison).await;
        match new {
            // What is idle may be what the device lacks memory for.
            Err(Error::Device { .. }) if self.free_idle() => {
                Workspace::new(&self.context, program, &self.constants, self.poison).await
            }
            new => new,
        }
    }

    pub(super) async fn run_into(
        &self,
        model: &Model,
        batch: &Batch<'_>,
        output: &mut Output,
        wait: Wait,
        progress: &Arc<Progress>,
    ) -> Result<()> {
        if batch.form() != batch.dims().into() {
            return Err(Error::Unsupported { what: "another layout or fill on a GPU".into() });
        }
        let mut workspace = self.workspace(model, batch.dims()).await?;
        let [h0, c0] = batch.states();
        workspace.write_states(&self.context, 0, h0, c0);
        workspace.write_lengths(&self.context, batch.lengths_of());
        let submitted = workspace.submit(&self.context, batch.x(), 0, Fetch::All, progress).await?;
        let read = |mut data: &[f32]| {
            take(&mut data, &mut output.y);
            if let Some(out) = &mut output.out {
                take(&mut data, out);
            }
            let c_n = output.c_n.as_deref_mut().unwrap_or_default();
            read_states(workspace.program(), data, &mut output.h_n, c_n);
        };
        workspace.read(&self.context, submitted, wait, read).await?;
        self.give_back(workspace);
        Ok(())
    }

    fn take(&self, dims: Dims) -> Option<Workspace> {
        let mut idle = lock(&self.idle);
        let index = idle.iter().position(|workspace| workspace.program().dims == dims)?;
        Some(idle.remove(index))
    }

    fn give_back(&self, workspace: Workspace) {
        let mut idle = lock(&self.idle);
        let bytes = |idle: &[Workspace]| idle.iter().map(|w| w.program().working_bytes()).sum::<u64>();
        while idle.len() >= KEPT || bytes(&idle) > KEPT_BYTES {
            idle.remove(0);
        }
        idle.push(workspace);
    }

    /// Frees every idle workspace; whether there was any.
    fn free_idle(&self) -> bool {
        let mut idle = lock(&self.idle);
        let any = !idle.is_empty();
        idle.clear();
        any
    }

    pub(super) async fn session(&self, model: &Model, streams: usize) -> Result<GpuSession> {
        let mut workspace = self.make(model, Dims::new(streams, 1)?).await?;
        workspace.write_states(&self.context, 0, None, None);
        workspace.write_lengths(&self.context, None);
        Ok(GpuSession { context: self.context.clone(), workspace, phase: 0 })
    }
}

/// A workspace for one step whose states live on.
#[derive(Debug)]
pub(super) struct GpuSession {
    context: Arc<Context>,
    workspace: Workspace,
    /// Which of each pair of h buffers holds the state.
    phase: usize,
}

impl GpuSession {
    pub(super) async fn step_into(
        &mut self,
        x: &[f32],
        output: &mut StepOutput,
        wait: Wait,
        progress: &Arc<Progress>,
    ) -> Result<()> {
        let submit = self.workspace.submit(&self.context, x, self.phase, Fetch::Outputs, progress);
        let submitted = submit.await?;
        self.phase = 1 - self.phase;
        let read = |mut data: &[f32]| {
            take(&mut data, &mut output.y);
            if let Some(out) = &mut output.out {
                take(&mut data, out);
            }
        };
        self.workspace.read(&self.context, submitted, wait, read).await
    }

    /// Replaces the states, by zeros where `None`.
    pub(super) fn write_states(&mut self, h: Option<&[f32]>, c: Option<&[f32]>) {
        self.workspace.write_states(&self.context, self.phase, h, c);
    }

    pub(super) async fn read_states(&self, h: &mut [f32], c: &mut [f32], wait: Wait) -> Result<()> {
        let submitted = self.workspace.fetch_states(&self.context, self.phase).await?;
        let read = |data: &[f32]| read_states(self.workspace.program(), data, h, c);
        self.workspace.read(&self.context, submitted, wait, read).await
    }
}

/// `data`: the tiled h of every layer, then the tiled c of every layer; `h`, `c`: `[L·D, B, H]`.
fn read_states(program: &Program, data: &[f32], h: &mut [f32], c: &mut [f32]) {
    let len = program.dims.batch * program.hidden;
    let tiled = program.state_elements() / program.dirs;
    let states = h.chunks_exact_mut(len).chain(c.chunks_exact_mut(len));
    for (from, to) in data.chunks_exact(tiled).zip(states) {
        untile(program.rows, program.hidden, from, to);
    }
}

/// Moves the next `to.len()` values out of `data`.
fn take(data: &mut &[f32], to: &mut [f32]) {
    let (head, tail) = data.split_at(to.len());
    to.copy_from_slice(head);
    *data = tail;
}
