//! A model on a GPU: plans, programs and workspaces by shape, and how a batch runs.

mod budget;
mod pieces;
mod planner;
mod pool;
mod read;
mod recordable;
mod session;
mod staged;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use budget::{Budget, Claim, WaitsForItself};
use pieces::{Piece, summary};
use read::read_all;
use recordable::Recordables;

pub(super) use self::planner::Planner;
pub(super) use self::pool::GpuPool;
pub(super) use self::session::GpuSession;
pub(super) use self::staged::GpuStaged;
use super::backend::Backend;
use super::exchange::{Counter, Exchange, Fallback, Fallbacks};
use super::memory::Memory;
use super::options::Options;
use super::pieces::Pieces;
use crate::dtype::{Precision, Storage};
use crate::error::{Error, Result};
use crate::gpu::{Constants, Context, Fetch, Submitted, Way, Workspace};
use crate::io::{Batch, OutputMut, Resets, RunShape};
use crate::model::{Model, constants};
use crate::plan::{self, Candidate, Plan, Prediction};
use crate::program::{Incomplete, Matrix, Program, constant_words, lower};
use crate::progress::Progress;
use crate::sync::{Wait, lock};

/// Workspaces that are kept for later runs of their shape.
const KEPT: usize = 8;

/// Lowers a plan to a program.
type Lower = fn(&Model, &Plan) -> Result<Program>;

#[derive(Debug)]
pub(super) struct GpuEngine {
    pub(super) context: Arc<Context>,
    model: Model,
    options: Options,
    planner: Planner,
    fallbacks: Counter,
    constants: Constants,
    /// The memory of the runs, and idle workspaces. A run takes a workspace out, so that runs may overlap.
    budget: Arc<Budget<Ready>>,
    /// The layer and direction of another engine that this engine computes; it shares that engine's budget.
    part: Option<(usize, usize)>,
    /// Engines of single directions of single layers, for rows that are run in pieces.
    parts: Mutex<HashMap<(usize, usize), Arc<GpuEngine>>>,
    recordables: Recordables,
}

/// A workspace, and what it was made from.
#[derive(Debug)]
struct Ready {
    /// The layer and direction of its model, if it is a part.
    part: Option<(usize, usize)>,
    workspace: Workspace,
    plan: Plan,
    /// The exchange that the device was known to support at planning.
    exchange: Option<plan::Exchange>,
}

impl Ready {
    /// Whether a run of `run_shape` of that part would get the same plan now.
    fn is_for(
        &self,
        part: Option<(usize, usize)>,
        run_shape: RunShape,
        exchange: Option<plan::Exchange>,
    ) -> bool {
        self.part == part && self.plan.run_shape == run_shape && self.exchange == exchange
    }
}

impl GpuEngine {
    pub(super) fn new(context: Arc<Context>, model: &Model, options: Options) -> Result<Self> {
        let planner = Planner::new(context.clone(), options.clone());
        let budget = Arc::new(Budget::new(planner.memory));
        Self::with(context, model.clone(), options, budget, None)
    }

    /// An engine for a part of this one's model, with the same budget.
    fn of_part(&self, model: Model, layer: usize, dir: usize) -> Result<Self> {
        let (context, options, budget) = (self.context.clone(), self.options.clone(), self.budget.clone());
        Self::with(context, model, options, budget, Some((layer, dir)))
    }

    fn with(
        context: Arc<Context>,
        model: Model,
        options: Options,
        budget: Arc<Budget<Ready>>,
        part: Option<(usize, usize)>,
    ) -> Result<Self> {
        let precision = options.precision;
        let most = usize::try_from(context.caps().max_array_bytes() / 4).unwrap_or(usize::MAX);
        let mut words = Vec::new();
        for constant in constants(&model) {
            let all = constant_words(&model, constant, precision)?;
            match Matrix::of(&model, constant, precision) {
                Some(matrix) if all.len() > most => {
                    let slices = matrix.slices(most).into_iter();
                    words.extend(slices.map(|slice| ((constant, slice.first), matrix.cut(&all, slice))));
                }
                _ => words.push(((constant, 0), all)),
            }
        }
        let constants = Constants::upload(&context, words)?;
        let planner = Planner::new(context.clone(), options.clone());
        let (fallbacks, parts, recordables) = Default::default();
        Ok(Self { context, model, options, planner, fallbacks, constants, budget, part, parts, recordables })
    }

    fn model(&self) -> &Model {
        &self.model
    }

    fn precision(&self) -> Precision {
        self.options.precision
    }

    fn planner(&self) -> &Planner {
        &self.planner
    }

    /// Whether everything that a run of `run_shape` needs exists.
    fn is_ready(&self, run_shape: RunShape) -> bool {
        let exchange = self.planner.exchange();
        self.budget.idles(|ready| ready.is_for(self.part, run_shape, exchange)).is_some()
    }

    /// Creates the workspace of `run_shape`, which is not cut, unless there is an idle one.
    async fn prepare_at_once(&self, run_shape: RunShape, wait: Wait<'_>) -> Result<()> {
        let (claim, ready) = self.ready(run_shape, wait).await?;
        self.give_back(claim, ready);
        Ok(())
    }

    /// A workspace for a run of `run_shape`, with its memory; waits while other runs hold the memory.
    async fn ready(&self, run_shape: RunShape, wait: Wait<'_>) -> Result<(Claim<Ready>, Ready)> {
        let caps = self.planner.caps();
        let planned = || self.planner.planned(&self.model, run_shape, &caps);
        let is_it = |ready: &Ready| ready.is_for(self.part, run_shape, caps.exchange);
        let (bytes, plan) = match self.budget.idles(is_it) {
            Some(bytes) => (bytes, None),
            None => {
                let plan = planned()?;
                (self.planner.bytes(&self.model, &plan)?, Some(plan))
            }
        };
        let claim =
            self.budget.claim(bytes, wait).await.map_err(|left| self.waits_for_itself(bytes, &left))?;
        let is_stale = |ready: &Ready| ready.part == self.part && ready.exchange != caps.exchange;
        if let Some(ready) = claim.take(is_it, is_stale) {
            return Ok((claim, ready));
        }
        let plan = plan.map_or_else(planned, Ok)?;
        let workspace = self.workspace(lower(&self.model, &plan)?)?;
        Ok((claim, Ready { part: self.part, workspace, plan, exchange: caps.exchange }))
    }

    fn waits_for_itself(&self, needed: u64, WaitsForItself(limit): &WaitsForItself) -> Error {
        let name = "arrays of a blocking run in addition to those of runs whose futures this thread has begun (await or \
                    drop these first, or await this run too)";
        let (device, unit) = (self.planner.caps.device.clone(), "bytes of memory");
        Error::TooLarge { name: name.into(), needed, limit: *limit, unit, device }
    }

    /// A workspace of the program that `lower` makes of the plan of `run_shape`.
    fn make(&self, run_shape: RunShape, lower: Lower) -> Result<Ready> {
        let caps = self.planner.caps();
        let plan = self.planner.planned(&self.model, run_shape, &caps)?;
        let workspace = self.workspace(lower(&self.model, &plan)?)?;
        Ok(Ready { part: self.part, workspace, plan, exchange: caps.exchange })
    }

    fn workspace(&self, program: Program) -> Result<Workspace> {
        let new = Workspace::new(&self.context, program.clone(), &self.constants, self.options.fill_nan);
        match new {
            // Idle workspaces may hold the memory that the device lacks.
            Err(error) if error.is_of_device() && self.budget.free_idle() => {
                log::debug!(target: "wgru::run", "memory that was kept for other runs is freed: {error}");
                Workspace::new(&self.context, program, &self.constants, self.options.fill_nan)
            }
            new => new,
        }
    }

    /// Runs a batch that is not cut.
    async fn run_at_once(&self, batch: &Batch<'_>, output: &mut OutputMut<'_>, way: Way<'_>) -> Result<()> {
        let wait = way.wait;
        let (claim, mut ready) = self.ready(batch.run_shape(), wait).await?;
        let workspace = &mut ready.workspace;
        workspace.write_inputs(&self.context, batch.lengths_of(), 0, batch.states())?;
        workspace.pack_x(batch.x());
        let given = (batch.x(), batch.resets_of().map(Resets::words));
        let submitted = workspace.submit(&self.context, given, 0, Fetch::All, way)?;
        let mut incomplete = None;
        let read = |data: &[u32]| incomplete = read_all(workspace, data, output);
        workspace.read(&self.context, submitted, wait, read).await?;
        let Some(at) = incomplete else {
            self.give_back(claim, ready);
            return Ok(());
        };
        let (stepwise, submitted) = self.fall_back(&ready, &at, batch, way)?;
        // Per-step dispatches have no completion count to check.
        let read = |data: &[u32]| _ = read_all(&stepwise, data, output);
        stepwise.read(&self.context, submitted, wait, read).await?;
        // The planner would choose neither of them again, except where a test forces the exchange.
        if self.planner.exchange != Exchange::Tested {
            self.give_back(claim, ready);
        }
        Ok(())
    }

    /// Finishes a run with per-step kernels from the chunk `at` on, the first incomplete one. Takes the memory of a second run.
    fn fall_back(
        &self,
        failed: &Ready,
        Incomplete { chunk: at, cause }: &Incomplete,
        batch: &Batch<'_>,
        way: Way<'_>,
    ) -> Result<(Workspace, Submitted)> {
        self.fallbacks.add(at, *cause);
        log::warn!(
            target: "wgru::run",
            "{}: the workgroups of a run did not complete it together ({cause}), so it fell back to per-step kernels \
             from step {} of layer {} on",
            self.context.caps().device, at.first, at.layer
        );
        self.distrust();
        let plan = failed.plan.without_exchange();
        let mut workspace = self.workspace(lower(&self.model, &plan)?)?;
        // Layers above that cannot abort have run on invalid values, and may have overwritten the input of this layer.
        let from = failed.plan.layers_above_can_abort(at.layer).then_some(at);
        let submitted = workspace.fall_back(&self.context, &failed.workspace, from, batch, way)?;
        Ok((workspace, submitted))
    }

    /// After a failure the exchange is not used again before another self-test, except where a test forces it.
    fn distrust(&self) {
        if self.planner.exchange == Exchange::Tested {
            self.context.trust(None);
        }
    }

    fn give_back(&self, claim: Claim<Ready>, ready: Ready) {
        claim.keep(ready, KEPT, |other| other.part == self.part);
    }

    /// The pieces of a run of `run_shape`.
    fn pieces_of(&self, run_shape: RunShape) -> Result<Vec<Piece<'_>>> {
        self.planner.pieces(&self.model, run_shape)
    }

    /// A value of the first piece of a run of `run_shape`.
    fn of_first<T>(
        &self,
        run_shape: RunShape,
        of: impl FnOnce(&Piece<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.pieces_of(run_shape)?.first().map(of).transpose()
    }
}

impl Backend for GpuEngine {
    type Session = GpuSession;
    type Staged = GpuStaged;
    type Pool = GpuPool;

    fn activations(&self) -> Storage {
        self.precision().activations
    }

    fn check(&self, run_shape: RunShape) -> Result<()> {
        self.cut(run_shape).map(drop)
    }

    async fn run(
        &self,
        batch: &Batch<'_>,
        output: &mut OutputMut<'_>,
        wait: Wait<'_>,
        progress: &Arc<Progress>,
    ) -> Result<()> {
        self.run_in_pieces(batch, output, wait, progress).await
    }

    fn stage(self: &Arc<Self>, batch: &Batch<'_>) -> Result<GpuStaged> {
        self.staged(batch)
    }

    fn session(self: &Arc<Self>, streams: usize) -> Result<GpuSession> {
        self.session_of(streams)
    }

    fn pool(self: &Arc<Self>, capacity: usize, frames: usize) -> Result<GpuPool> {
        GpuPool::new(self.clone(), capacity, frames)
    }

    async fn compile(&self, run_shape: RunShape, progress: &mut dyn FnMut(usize, usize)) -> Result<()> {
        let mut kernels = Vec::new();
        for piece in self.pieces_of(run_shape)? {
            let plan = self.planner.plan(&piece.model, piece.run_shape)?;
            let program = lower(&piece.model, &plan)?;
            for kernel in program.kernels(program.always()) {
                if !kernels.contains(&kernel) {
                    kernels.push(kernel);
                }
            }
        }
        for (done, kernel) in kernels.iter().enumerate() {
            progress(done, kernels.len());
            self.context.prepare(*kernel).await?;
        }
        progress(kernels.len(), kernels.len());
        Ok(())
    }

    async fn prepare(&self, run_shape: RunShape, wait: Wait<'_>) -> Result<()> {
        if self.is_ready(run_shape) {
            return Ok(());
        }
        // The first piece last, so that its workspace is the one that is kept.
        for piece in self.pieces_of(run_shape)?.iter().rev() {
            match piece.part {
                None => self.prepare_at_once(piece.run_shape, wait).await?,
                Some((layer, dir)) => {
                    self.part(layer, dir)?.prepare_at_once(piece.run_shape, wait).await?;
                }
            }
        }
        Ok(())
    }

    fn expected(&self, run_shape: RunShape) -> Result<Duration> {
        self.planner.expected(&self.model, run_shape)
    }

    fn explain(&self, run_shape: RunShape) -> Result<String> {
        let all = self.pieces_of(run_shape)?;
        let mut text = summary(&all).map_or_else(String::new, |pieces| format!("{pieces}: "));
        // Smaller pieces, which come last, use much the same plan as the large ones before them.
        let mut last = None;
        for piece in all.iter().filter(|piece| last.replace(piece.part) != Some(piece.part)) {
            let plan = self.planner.plan(&piece.model, piece.run_shape)?;
            match piece.part {
                None => text += &plan.to_string(),
                Some((layer, dir)) => {
                    let split = if layer + dir > 0 { "; " } else { "" };
                    text +=
                        &format!("{split}direction {dir} of layer {layer}, as a model of its own: {plan}");
                }
            }
        }
        Ok(text)
    }

    fn pieces(&self, run_shape: RunShape) -> Result<Option<Pieces>> {
        Ok(summary(&self.pieces_of(run_shape)?))
    }

    fn plan(&self, run_shape: RunShape) -> Result<Option<Plan>> {
        self.of_first(run_shape, |piece| self.planner.plan(&piece.model, piece.run_shape))
    }

    fn alternatives(&self, run_shape: RunShape) -> Result<Vec<Vec<Candidate>>> {
        let of = |piece: &Piece<'_>| self.planner.alternatives(&piece.model, piece.run_shape);
        Ok(self.of_first(run_shape, of)?.unwrap_or_default())
    }

    fn predictions(&self, run_shape: RunShape) -> Result<Vec<Vec<(String, Prediction)>>> {
        let of = |piece: &Piece<'_>| self.planner.predictions(&piece.model, piece.run_shape);
        Ok(self.of_first(run_shape, of)?.unwrap_or_default())
    }

    fn memory(&self, run_shape: RunShape) -> Result<Memory> {
        let mut most = Memory::default();
        for piece in self.pieces_of(run_shape)? {
            let own = self.planner.memory(&piece.model, piece.run_shape)?;
            if own.arrays + own.read_back > most.arrays + most.read_back {
                most = own;
            }
            // The engines of the parts of a row have weights of their own.
            most.weights = most.weights.max(self.constants.bytes() << u32::from(piece.part.is_some()));
        }
        Ok(most)
    }

    fn constant_bytes(&self) -> u64 {
        self.constants.bytes()
    }

    fn fallbacks(&self) -> Fallbacks {
        let mut all = self.fallbacks.get();
        for (&(layer, _), part) in lock(&self.parts).iter() {
            let Fallbacks { count, last } = part.fallbacks.get();
            all.count += count;
            all.last = all.last.or(last.map(|last| Fallback { layer, ..last }));
        }
        all
    }
}
