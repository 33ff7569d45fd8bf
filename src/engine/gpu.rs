//! A model on a GPU: plans, programs and workspaces by shape, and the way a batch goes through one.

use std::sync::{Arc, Mutex};

use super::exchange::{Counter, Exchange, Resumes, tested};
use super::memory::Memory;
use super::pieces::cut;
use super::run::Options;
use crate::dims::Dims;
use crate::error::{Error, Result};
use crate::gpu::{Constants, Context, Fetch, StagedWorkspace, Submitted, Workspace};
use crate::info::RunSeconds;
use crate::io::{Batch, Form, Output, StepOutput};
use crate::model::{Model, constants};
use crate::plan::{self, Candidate, Caps, Plan, Request, Table};
use crate::program::{Matrix, Proof, check, constant_words, lower, unpack_sequence, untile};
use crate::progress::Progress;
use crate::sync::{Wait, lock};

/// Workspaces that are kept for the next run of their shape, and their bytes but for the last one used.
const KEPT: usize = 8;
const KEPT_BYTES: u64 = 1 << 30;

/// Bytes of the arrays of one run where the caller says nothing: pieces as large as that lose nothing.
const MEMORY: u64 = 1 << 30;

#[derive(Debug)]
pub(super) struct GpuEngine {
    pub(super) context: Arc<Context>,
    /// What plans are made for: the device's, with the table that was asked for, but for the exchange.
    pub(super) caps: Caps,
    exchange: Exchange,
    resumes: Counter,
    pub(super) constants: Constants,
    /// What idles, the one used last at the end. A run takes one out, so that runs may overlap.
    idle: Mutex<Vec<Ready>>,
    pub(super) poison: bool,
    pub(super) request: Request,
    /// Bytes of the arrays of one run.
    pub(super) memory: u64,
}

/// A workspace, and what it was made from.
#[derive(Debug)]
struct Ready {
    workspace: Workspace,
    plan: Plan,
    /// What the device was known to do when it was planned.
    exchange: Option<plan::Exchange>,
}

impl Ready {
    /// Whether a run of `form` would be planned like this now.
    fn is_for(&self, form: Form, exchange: Option<plan::Exchange>) -> bool {
        self.plan.form == form && self.exchange == exchange
    }
}

/// The plan of a run on a device, with nothing of the model there.
pub(super) fn planned(context: &Context, model: &Model, form: Form, options: Options) -> Result<Plan> {
    let Options { precision, only, any_order, speed, exchange, .. } = options;
    let caps = Caps { exchange: allowed(exchange, context), ..known(speed, context) };
    plan::plan(model, form, Request { precision, only, any_order }, &caps)
}

/// What is known of the device, by the table that was asked for.
fn known(table: Option<Table>, context: &Context) -> Caps {
    let caps = context.caps().clone();
    match table {
        Some(table) => caps.with_table(table),
        None => caps,
    }
}

/// What plans may make use of.
fn allowed(exchange: Exchange, context: &Context) -> Option<plan::Exchange> {
    match exchange {
        Exchange::Never => None,
        Exchange::Forced(exchange) => Some(exchange),
        Exchange::Tested => tested(context),
    }
}

impl GpuEngine {
    pub(super) async fn new(context: Arc<Context>, model: &Model, options: Options) -> Result<Self> {
        let Options { poison, precision, only, any_order, memory, speed, exchange } = options;
        let most = usize::try_from(context.caps().max_array_bytes() / 4).unwrap_or(usize::MAX);
        let mut words = Vec::new();
        for constant in constants(model) {
            let all = constant_words(model, constant, precision)?;
            match Matrix::of(model, constant, precision) {
                Some(matrix) if all.len() > most => {
                    let slices = matrix.slices(most).into_iter();
                    words.extend(slices.map(|slice| ((constant, slice.first), matrix.cut(&all, slice))));
                }
                _ => words.push(((constant, 0), all)),
            }
        }
        let constants = Constants::upload(&context, words).await?;
        let caps = known(speed, &context);
        let (request, memory) = (Request { precision, only, any_order }, memory.unwrap_or(MEMORY));
        let (resumes, idle) = (Counter::default(), Mutex::default());
        Ok(Self { context, caps, exchange, resumes, constants, idle, poison, request, memory })
    }

    /// What the device is known to do now.
    fn exchange(&self) -> Option<plan::Exchange> {
        allowed(self.exchange, &self.context)
    }

    /// What plans are made for now.
    fn caps(&self) -> Caps {
        Caps { exchange: self.exchange(), ..self.caps.clone() }
    }

    pub(super) fn resumes(&self) -> Resumes {
        self.resumes.get()
    }

    /// What a run of `form` takes.
    pub(super) fn memory(&self, model: &Model, form: Form) -> Result<Memory> {
        let program = lower(model, &self.plan(model, form)?)?;
        let (arrays, read_back) = (program.working_bytes(), program.read_back_bytes());
        Ok(Memory { weights: self.constants.bytes(), arrays, read_back })
    }

    /// # Errors
    /// [`Error::TooLarge`] and [`Error::Overflow`] where a run of `form` exceeds the device or the memory it may take.
    pub(super) fn fits(&self, model: &Model, form: Form) -> Result<()> {
        let bytes = self.fits_device(model, form)?;
        self.caps.check(&format!("arrays of {:?}", form.dims), bytes, self.memory, "bytes of memory")
    }

    /// What a run of `form` takes, where the device bears it.
    fn fits_device(&self, model: &Model, form: Form) -> Result<u64> {
        self.bytes(model, &self.plan(model, form)?)
    }

    /// What a run by `plan` takes, where the device bears it.
    fn bytes(&self, model: &Model, plan: &Plan) -> Result<u64> {
        let program = lower(model, plan)?;
        check(&program, &self.caps)?;
        let (read_back, limit) = (program.read_back_bytes(), self.caps.max_buffer_bytes);
        self.caps.check("read-back of all outputs", read_back, limit, "bytes in one buffer")?;
        Ok(program.working_bytes() + read_back)
    }

    /// Whether a run of `form` has all it needs.
    pub(super) fn is_ready(&self, form: Form) -> bool {
        let exchange = self.exchange();
        lock(&self.idle).iter().any(|ready| ready.is_for(form, exchange))
    }

    pub(super) fn plan(&self, model: &Model, form: Form) -> Result<Plan> {
        self.planned(model, form, &self.caps())
    }

    /// The plan for `caps`; one layer after the other where all at once take more memory than there is.
    fn planned(&self, model: &Model, form: Form, caps: &Caps) -> Result<Plan> {
        let plan = plan::plan(model, form, self.request, caps)?;
        if plan.wave.is_none() {
            return Ok(plan);
        }
        let in_turn = match self.bytes(model, &plan) {
            Ok(bytes) if bytes <= self.memory => return Ok(plan),
            Ok(bytes) => format!("together they need {bytes} bytes, a run may take {}", self.memory),
            Err(error) => error.to_string(),
        };
        let mut request = self.request;
        request.only.wave = Some(0);
        Ok(Plan { in_turn: Some(in_turn), ..plan::plan(model, form, request, caps)? })
    }

    pub(super) fn alternatives(&self, model: &Model, form: Form) -> Result<Vec<Vec<Candidate>>> {
        plan::alternatives(model, form, self.request, &self.caps())
    }

    /// Makes the workspace of `form`, unless an idle one is there.
    pub(super) async fn prepare(&self, model: &Model, form: Form) -> Result<()> {
        let ready = self.ready(model, form).await?;
        self.give_back(ready);
        Ok(())
    }

    async fn ready(&self, model: &Model, form: Form) -> Result<Ready> {
        let idle = self.take(form);
        match idle {
            Some(ready) => Ok(ready),
            None => self.make(model, form).await,
        }
    }

    async fn make(&self, model: &Model, form: Form) -> Result<Ready> {
        let caps = self.caps();
        let plan = self.planned(model, form, &caps)?;
        let workspace = self.workspace(model, &plan).await?;
        Ok(Ready { workspace, plan, exchange: caps.exchange })
    }

    async fn workspace(&self, model: &Model, plan: &Plan) -> Result<Workspace> {
        let program = lower(model, plan)?;
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
        let mut ready = self.ready(model, batch.form()).await?;
        let workspace = &mut ready.workspace;
        workspace.write_inputs(&self.context, batch.lengths_of(), 0, batch.states()).await?;
        workspace.pack_x(batch.x());
        let submitted = workspace.submit(&self.context, batch.x(), 0, Fetch::All, progress).await?;
        let mut unproven = None;
        let read = |data: &[u32]| unproven = read_all(workspace, data, output);
        workspace.read(&self.context, submitted, wait, read).await?;
        let Some(at) = unproven else {
            self.give_back(ready);
            return Ok(());
        };
        let (stepwise, submitted) = self.resume(model, &ready, &at, batch, progress).await?;
        // Steps that are dispatched one by one have nothing to prove.
        let read = |data: &[u32]| _ = read_all(&stepwise, data, output);
        stepwise.read(&self.context, submitted, wait, read).await?;
        // Nobody would plan either of them now, but where it is meant to fail.
        if self.exchange != Exchange::Tested {
            self.give_back(ready);
        }
        Ok(())
    }

    /// Takes up a run step by step from the chunk `at` on, which its workgroups did not prove. It takes the memory of a
    /// second run.
    async fn resume(
        &self,
        model: &Model,
        failed: &Ready,
        at: &Proof,
        batch: &Batch<'_>,
        progress: &Arc<Progress>,
    ) -> Result<(Workspace, Submitted)> {
        self.resumes.add(at);
        self.distrust();
        let plan = failed.plan.without_exchange();
        let mut workspace = self.workspace(model, &plan).await?;
        // Layers above that know no abort have run on nonsense, and may have written over what this one reads.
        let from = failed.plan.layers_above_can_abort(at.layer).then_some(at);
        let submitted = workspace.resume(&self.context, &failed.workspace, from, batch, progress).await?;
        Ok((workspace, submitted))
    }

    /// What failed once is not tried again before another self-test, but where it is meant to fail.
    fn distrust(&self) {
        if self.exchange == Exchange::Tested {
            self.context.trust(None);
        }
    }

    fn take(&self, form: Form) -> Option<Ready> {
        let exchange = self.exchange();
        let mut idle = lock(&self.idle);
        idle.retain(|ready| ready.exchange == exchange);
        let index = idle.iter().position(|ready| ready.is_for(form, exchange))?;
        Some(idle.remove(index))
    }

    fn give_back(&self, ready: Ready) {
        let mut idle = lock(&self.idle);
        let bytes = |idle: &[Ready]| idle.iter().map(|r| r.workspace.program().working_bytes()).sum::<u64>();
        while idle.len() >= KEPT || bytes(&idle) > KEPT_BYTES {
            idle.remove(0);
        }
        idle.push(ready);
    }

    /// Frees every idle workspace; whether there was any.
    fn free_idle(&self) -> bool {
        let mut idle = lock(&self.idle);
        let any = !idle.is_empty();
        idle.clear();
        any
    }

    pub(super) async fn stage(&self, model: &Model, batch: &Batch<'_>) -> Result<GpuStaged> {
        let Ready { workspace, .. } = self.make(model, batch.form()).await?;
        let staged = StagedWorkspace::new(&self.context, workspace, batch).await?;
        let distrusts = self.exchange == Exchange::Tested;
        Ok(GpuStaged { context: self.context.clone(), staged, distrusts })
    }

    /// Bytes of the model's constants on the device.
    pub(super) fn constant_bytes(&self) -> u64 {
        self.constants.bytes()
    }

    /// A session of `streams` streams, in parts of as many as the device bears.
    pub(super) async fn session(&self, model: &Model, streams: usize) -> Result<GpuSession> {
        let dims = Dims::new(streams, 1)?;
        let fits = |dims: Dims| self.fits_device(model, dims.into());
        let most = cut(dims, |dims| fits(dims).map(drop))?.map_or(streams, |cut| cut.rows);
        let bytes = fits(Dims { batch: most, steps: 1 })?.saturating_mul(streams.div_ceil(most) as u64);
        self.caps.check(&format!("a session of {streams} streams"), bytes, self.memory, "bytes of memory")?;
        let mut parts = Vec::new();
        for first in (0..streams).step_by(most) {
            let count = most.min(streams - first);
            let Ready { mut workspace, .. } = self.make(model, Dims::new(count, 1)?.into()).await?;
            workspace.write_inputs(&self.context, None, 0, [None, None]).await?;
            parts.push(Part { first, count, workspace, phase: 0 });
        }
        Ok(GpuSession { context: self.context.clone(), streams, parts })
    }
}

/// A batch on the device.
#[derive(Debug)]
pub(super) struct GpuStaged {
    context: Arc<Context>,
    staged: StagedWorkspace,
    /// Whether a run that fails says something of the device.
    distrusts: bool,
}

impl GpuStaged {
    pub(super) async fn run(&self, wait: Wait, progress: &Arc<Progress>) -> Result<RunSeconds> {
        let (seconds, unproven) = self.staged.run(&self.context, wait, progress).await?;
        let Some(Proof { layer, first, .. }) = unproven else { return Ok(seconds) };
        if self.distrusts {
            self.context.trust(None);
        }
        let reason = format!(
            "the workgroups of a staged run did not come through together, in layer {layer} from step {first} on; \
             stage the batch on an engine with Exchange::Never"
        );
        Err(Error::Device { device: self.context.caps().device.clone(), reason })
    }

    pub(super) async fn read_into(&self, output: &mut Output, wait: Wait) -> Result<()> {
        let submitted = self.staged.fetch(&self.context).await?;
        let workspace = self.staged.workspace();
        // The run has been seen to come through.
        let read = |data: &[u32]| _ = read_all(workspace, data, output);
        workspace.read(&self.context, submitted, wait, read).await
    }

    /// Bytes of everything but the model's constants.
    pub(super) fn bytes(&self) -> u64 {
        self.staged.workspace().program().working_bytes()
    }
}

/// Workspaces for one step whose states live on: one, or where so many streams exceed the device, one for each part of
/// them.
#[derive(Debug)]
pub(super) struct GpuSession {
    context: Arc<Context>,
    streams: usize,
    parts: Vec<Part>,
}

/// Some streams of a session.
#[derive(Debug)]
struct Part {
    /// The first of them.
    first: usize,
    count: usize,
    workspace: Workspace,
    /// Which of each pair of h buffers holds the state.
    phase: usize,
}

impl Part {
    /// Its rows of `all`, which has as many numbers of each stream.
    fn of<'a>(&self, all: &'a [f32], streams: usize) -> &'a [f32] {
        let features = all.len() / streams;
        &all[self.first * features..][..self.count * features]
    }

    fn of_mut<'a>(&self, all: &'a mut [f32], streams: usize) -> &'a mut [f32] {
        let features = all.len() / streams;
        &mut all[self.first * features..][..self.count * features]
    }
}

impl GpuSession {
    pub(super) async fn step_into(
        &mut self,
        x: &[f32],
        output: &mut StepOutput,
        wait: Wait,
        progress: &Arc<Progress>,
    ) -> Result<()> {
        let streams = self.streams;
        let mut submitted = Vec::with_capacity(self.parts.len());
        for part in &mut self.parts {
            let x = part.of(x, streams);
            part.workspace.pack_x(x);
            let submit = part.workspace.submit(&self.context, x, part.phase, Fetch::Outputs, progress);
            submitted.push(submit.await?);
            part.phase = 1 - part.phase;
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

    /// Replaces the states, by zeros where `None`.
    pub(super) fn write_states(&mut self, h: Option<&[f32]>, c: Option<&[f32]>) {
        for part in &mut self.parts {
            let program = part.workspace.program();
            let of_part = |all: &[f32], features: usize| -> Vec<f32> {
                let layers = all.chunks_exact(self.streams * features);
                layers.flat_map(|all| part.of(all, self.streams)).copied().collect()
            };
            let h = h.map(|h| of_part(h, program.state));
            let c = c.map(|c| of_part(c, program.hidden));
            part.workspace.write_states(&self.context, part.phase, h.as_deref(), c.as_deref());
        }
    }

    /// h: `[L·D, B, P]`; c: `[L·D, B, H]`, nothing where the cell has none.
    pub(super) async fn read_states(&self, h: &mut [f32], c: &mut [f32], wait: Wait) -> Result<()> {
        for part in &self.parts {
            let share = |all: &[f32]| vec![0.0; all.len() / self.streams * part.count];
            let (mut own_h, mut own_c) = (share(h), share(c));
            let submitted = part.workspace.fetch_states(&self.context, part.phase).await?;
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

/// Everything a run copied, unless a chunk of it is unproven: that chunk.
fn read_all(workspace: &Workspace, data: &[u32], output: &mut Output) -> Option<Proof> {
    let (mut data, proof) = data.split_at(data.len() - workspace.program().proof_words());
    if let Some(unproven) = workspace.program().unproven(proof) {
        return Some(*unproven);
    }
    read_outputs(workspace, &mut data, &mut output.y, output.out.as_deref_mut());
    let c_n = output.c_n.as_deref_mut().unwrap_or_default();
    read_states(workspace, data, &mut output.h_n, c_n);
    None
}

/// Takes y and the readout out of `data`, where they stand first.
fn read_outputs(workspace: &Workspace, data: &mut &[u32], y: &mut [f32], out: Option<&mut [f32]>) {
    let program = workspace.program();
    let mut take = |words: usize| {
        let (head, tail) = data.split_at(words);
        *data = tail;
        head
    };
    let words = take(program.buffers[program.y].words);
    let storage = program.precision.activations;
    if storage.is_half() {
        unpack_sequence(storage, program.state, words, y);
    } else {
        y.copy_from_slice(bytemuck::cast_slice(words));
    }
    if let Some(out) = out {
        out.copy_from_slice(bytemuck::cast_slice(take(out.len())));
    }
}

/// `data`: the tiled h of every layer, then the tiled c of every layer; `h`: `[L·D, B, P]`; `c`: `[L·D, B, H]`.
fn read_states(workspace: &Workspace, mut data: &[u32], h: &mut [f32], c: &mut [f32]) {
    let program = workspace.program();
    let batch = program.form.dims.batch;
    for (states, features) in [(h, program.state), (c, program.hidden)] {
        let tiled = batch.div_ceil(program.rows.count() as usize) * program.rows.count() as usize * features;
        for to in states.chunks_exact_mut(batch * features) {
            let (head, tail) = data.split_at(tiled);
            untile(program.rows, workspace.rows(), bytemuck::cast_slice(head), to);
            data = tail;
        }
    }
}
