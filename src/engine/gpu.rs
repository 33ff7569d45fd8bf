//! A model on a GPU: plans, programs and workspaces by shape, and the way a batch goes through one.

use std::sync::{Arc, Mutex};

use crate::dims::Dims;
use crate::error::Result;
use crate::gpu::{Constants, Context, Fetch, Wait, Workspace};
use crate::io::{Batch, Output, StepOutput};
use crate::model::{Model, constants, pack};
use crate::plan::{Plan, plan};
use crate::program::{Program, lower, untile};

/// Workspaces that are kept for the next run of their shape.
const KEPT: usize = 8;

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
        Workspace::new(&self.context, program, &self.constants, self.poison).await
    }

    pub(super) async fn run_into(
        &self,
        model: &Model,
        batch: &Batch<'_>,
        output: &mut Output,
        wait: Wait,
    ) -> Result<()> {
        let mut workspace = self.workspace(model, batch.dims()).await?;
        let [h0, c0] = batch.states();
        workspace.write_states(&self.context, 0, h0, c0);
        workspace.write_x(&self.context, batch.x());
        let bytes = workspace.submit(&self.context, 0, Fetch::All)?;
        let read = |mut data: &[f32]| {
            take(&mut data, &mut output.y);
            if let Some(out) = &mut output.out {
                take(&mut data, out);
            }
            let c_n = output.c_n.as_deref_mut().unwrap_or_default();
            read_states(workspace.program(), data, &mut output.h_n, c_n);
        };
        workspace.read(&self.context, bytes, wait, read).await?;
        self.give_back(workspace);
        Ok(())
    }

    fn take(&self, dims: Dims) -> Option<Workspace> {
        let mut idle = crate::gpu::lock(&self.idle);
        let index = idle.iter().position(|workspace| workspace.program().dims == dims)?;
        Some(idle.remove(index))
    }

    fn give_back(&self, workspace: Workspace) {
        let mut idle = crate::gpu::lock(&self.idle);
        if idle.len() == KEPT {
            idle.remove(0);
        }
        idle.push(workspace);
    }

    pub(super) async fn session(&self, model: &Model, streams: usize) -> Result<GpuSession> {
        let mut workspace = self.make(model, Dims::new(streams, 1)?).await?;
        workspace.write_states(&self.context, 0, None, None);
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
    pub(super) async fn step_into(&mut self, x: &[f32], output: &mut StepOutput, wait: Wait) -> Result<()> {
        self.workspace.write_x(&self.context, x);
        let bytes = self.workspace.submit(&self.context, self.phase, Fetch::Outputs)?;
        self.phase = 1 - self.phase;
        let read = |mut data: &[f32]| {
            take(&mut data, &mut output.y);
            if let Some(out) = &mut output.out {
                take(&mut data, out);
            }
        };
        self.workspace.read(&self.context, bytes, wait, read).await
    }

    /// Replaces the states, by zeros where `None`.
    pub(super) fn write_states(&mut self, h: Option<&[f32]>, c: Option<&[f32]>) {
        self.workspace.write_states(&self.context, self.phase, h, c);
    }

    pub(super) async fn read_states(&self, h: &mut [f32], c: &mut [f32], wait: Wait) -> Result<()> {
        let bytes = self.workspace.fetch_states(&self.context, self.phase);
        let read = |data: &[f32]| read_states(self.workspace.program(), data, h, c);
        self.workspace.read(&self.context, bytes, wait, read).await
    }
}

/// `data`: the tiled h of every layer, then the tiled c of every layer; `h`, `c`: `[L, B, H]`.
fn read_states(program: &Program, data: &[f32], h: &mut [f32], c: &mut [f32]) {
    let len = program.dims.batch * program.hidden;
    let tiled = program.state_elements();
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
