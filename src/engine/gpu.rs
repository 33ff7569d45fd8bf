//! A model on a GPU: plans, programs and workspaces by shape, and the way a batch goes through one.

mod budget;
mod planner;
mod read;
mod recordable;
mod session;

use std::sync::Arc;

use budget::{Budget, Claim, WaitsForItself};
use read::read_all;
use recordable::Recordables;

pub(super) use self::planner::Planner;
pub(super) use self::session::GpuSession;
use super::exchange::{Counter, Exchange, Resumes};
use super::run::Options;
use crate::error::{Error, Result};
use crate::gpu::{Constants, Context, Fetch, StagedWorkspace, Submitted, Workspace};
use crate::info::RunSeconds;
use crate::io::{Batch, Form, Output};
use crate::model::{Model, constants};
use crate::plan::{self, Plan};
use crate::program::{Matrix, Proof, constant_words, lower};
use crate::progress::SharedTally;
use crate::sync::Wait;

/// Workspaces that are kept for the next run of their shape.
const KEPT: usize = 8;

#[derive(Debug)]
pub(super) struct GpuEngine {
    pub(super) context: Arc<Context>,
    planner: Planner,
    resumes: Counter,
    pub(super) constants: Constants,
    /// What runs take, and workspaces that idle. A run takes one out, so that runs may overlap.
    budget: Arc<Budget<Ready>>,
    /// Which part of another engine this one is, whose budget it has.
    part: Option<(usize, usize)>,
    pub(super) poison: bool,
    recordables: Recordables,
}

/// What the engine of a part has of the one that it is a part of.
#[derive(Debug)]
pub(super) struct Home {
    budget: Arc<Budget<Ready>>,
    part: Option<(usize, usize)>,
}

/// A workspace, and what it was made from.
#[derive(Debug)]
struct Ready {
    /// Of whose model.
    part: Option<(usize, usize)>,
    workspace: Workspace,
    plan: Plan,
    /// What the device was known to do when it was planned.
    exchange: Option<plan::Exchange>,
}

impl Ready {
    /// Whether a run of `form` of that part would be planned like this now.
    fn is_for(&self, part: Option<(usize, usize)>, form: Form, exchange: Option<plan::Exchange>) -> bool {
        self.part == part && self.plan.form == form && self.exchange == exchange
    }
}

impl GpuEngine {
    /// An engine of its own, or one that has its `home` in another.
    pub(super) async fn new(
        context: Arc<Context>,
        model: &Model,
        options: Options,
        home: Option<Home>,
    ) -> Result<Self> {
        let Options { poison, precision, .. } = options;
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
        let planner = Planner::new(context.clone(), options);
        let own = || Home { budget: Arc::new(Budget::new(planner.memory)), part: None };
        let (Home { budget, part }, resumes) = (home.unwrap_or_else(own), Counter::default());
        let recordables = Recordables::default();
        Ok(Self { context, planner, resumes, constants, budget, part, poison, recordables })
    }

    /// What plans and judges the runs of this engine.
    pub(super) fn planner(&self) -> &Planner {
        &self.planner
    }

    pub(super) fn resumes(&self) -> Resumes {
        self.resumes.get()
    }

    /// For the engine of a part of this one's model: its runs share the memory.
    pub(super) fn home(&self, layer: usize, dir: usize) -> Home {
        Home { budget: self.budget.clone(), part: Some((layer, dir)) }
    }

    /// Whether a run of `form` has all it needs.
    pub(super) fn is_ready(&self, form: Form) -> bool {
        let exchange = self.planner.exchange();
        self.budget.idles(|ready| ready.is_for(self.part, form, exchange)).is_some()
    }

    /// Makes the workspace of `form`, unless an idle one is there.
    pub(super) async fn prepare(&self, model: &Model, form: Form, wait: Wait) -> Result<()> {
        let (claim, ready) = self.ready(model, form, wait).await?;
        self.give_back(claim, ready);
        Ok(())
    }

    /// A workspace for a run of `form`, with its memory, for which the run waits where other runs have it.
    async fn ready(&self, model: &Model, form: Form, wait: Wait) -> Result<(Claim<Ready>, Ready)> {
        let caps = self.planner.caps();
        let planned = || self.planner.planned(model, form, &caps);
        let is_it = |ready: &Ready| ready.is_for(self.part, form, caps.exchange);
        let (bytes, plan) = match self.budget.idles(is_it) {
            Some(bytes) => (bytes, None),
            None => {
                let plan = planned()?;
                (self.planner.bytes(model, &plan)?, Some(plan))
            }
        };
        let claim =
            self.budget.claim(bytes, wait).await.map_err(|left| self.waits_for_itself(bytes, &left))?;
        let is_stale = |ready: &Ready| ready.part == self.part && ready.exchange != caps.exchange;
        if let Some(ready) = claim.take(is_it, is_stale) {
            return Ok((claim, ready));
        }
        let plan = plan.map_or_else(planned, Ok)?;
        let workspace = self.workspace(model, &plan).await?;
        Ok((claim, Ready { part: self.part, workspace, plan, exchange: caps.exchange }))
    }

    fn waits_for_itself(&self, needed: u64, WaitsForItself(limit): &WaitsForItself) -> Error {
        let name = "arrays of a blocking run beside those of runs whose futures this thread has begun (await or drop these \
                    first, or await this run too)";
        let (device, unit) = (self.planner.caps.device.clone(), "bytes of memory");
        Error::TooLarge { name: name.into(), needed, limit: *limit, unit, device }
    }

    async fn make(&self, model: &Model, form: Form) -> Result<Ready> {
        let caps = self.planner.caps();
        let plan = self.planner.planned(model, form, &caps)?;
        let workspace = self.workspace(model, &plan).await?;
        Ok(Ready { part: self.part, workspace, plan, exchange: caps.exchange })
    }

    async fn workspace(&self, model: &Model, plan: &Plan) -> Result<Workspace> {
        let program = lower(model, plan)?;
        let new = Workspace::new(&self.context, program.clone(), &self.constants, self.poison).await;
        match new {
            // What is idle may be what the device lacks memory for.
            Err(Error::Device { .. }) if self.budget.free_idle() => {
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
        progress: &SharedTally,
    ) -> Result<()> {
        let (claim, mut ready) = self.ready(model, batch.form(), wait).await?;
        let workspace = &mut ready.workspace;
        workspace.write_inputs(&self.context, batch.lengths_of(), 0, batch.states()).await?;
        workspace.pack_x(batch.x());
        let submitted = workspace.submit(&self.context, batch.x(), 0, Fetch::All, progress).await?;
        let mut unproven = None;
        let read = |data: &[u32]| unproven = read_all(workspace, data, output);
        workspace.read(&self.context, submitted, wait, read).await?;
        let Some(at) = unproven else {
            self.give_back(claim, ready);
            return Ok(());
        };
        let (stepwise, submitted) = self.resume(model, &ready, &at, batch, progress).await?;
        // Steps that are dispatched one by one have nothing to prove.
        let read = |data: &[u32]| _ = read_all(&stepwise, data, output);
        stepwise.read(&self.context, submitted, wait, read).await?;
        // Nobody would plan either of them now, but where it is meant to fail.
        if self.planner.exchange != Exchange::Tested {
            self.give_back(claim, ready);
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
        progress: &SharedTally,
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
        if self.planner.exchange == Exchange::Tested {
            self.context.trust(None);
        }
    }

    fn give_back(&self, claim: Claim<Ready>, ready: Ready) {
        claim.keep(ready, KEPT, |other| other.part == self.part);
    }

    pub(super) async fn stage(&self, model: &Model, batch: &Batch<'_>) -> Result<GpuStaged> {
        let Ready { workspace, .. } = self.make(model, batch.form()).await?;
        let staged = StagedWorkspace::new(&self.context, workspace, batch).await?;
        let distrusts = self.planner.exchange == Exchange::Tested;
        Ok(GpuStaged { context: self.context.clone(), staged, distrusts })
    }

    /// Bytes of the model's constants on the device.
    pub(super) fn constant_bytes(&self) -> u64 {
        self.constants.bytes()
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
    pub(super) async fn run(&self, wait: Wait, progress: &SharedTally) -> Result<RunSeconds> {
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
