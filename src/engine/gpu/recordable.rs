//! Recorded programs of an engine on a GPU: created once for a run shape, and kept.

use std::sync::{Arc, Mutex};

use super::{GpuEngine, KEPT, Planner};
use crate::error::{Error, Result};
use crate::gpu::{Foreign, Recordable, Submittable};
use crate::io::RunShape;
use crate::plan::{self, Caps, Plan};
use crate::program::{Program, lower_recorded};
use crate::sync::lock;

/// The programs that are kept. Recordings of one run shape share one, since they run one after the other in the caller's
/// encoders. A run that submits itself may take several submissions, so it has a program of its own meanwhile.
#[derive(Debug, Default)]
pub(super) struct Recordables {
    shared: Mutex<Vec<Arc<Recordable>>>,
    idle: Mutex<Vec<Submittable>>,
}

fn keep<T>(all: &Mutex<Vec<T>>, new: T) {
    let mut all = lock(all);
    if all.len() == KEPT {
        all.remove(0);
    }
    all.push(new);
}

impl Recordables {
    /// The program that recordings of `run_shape` share.
    pub(super) fn shared(&self, run_shape: RunShape) -> Option<Arc<Recordable>> {
        lock(&self.shared).iter().find(|recordable| recordable.program().run_shape == run_shape).cloned()
    }

    pub(super) fn share(&self, new: Arc<Recordable>) {
        keep(&self.shared, new);
    }

    /// Takes out a program for a run of `run_shape` that submits itself.
    pub(super) fn take(&self, run_shape: RunShape) -> Option<Submittable> {
        let mut idle = lock(&self.idle);
        let is_it = |idle: &Submittable| idle.recordable().program().run_shape == run_shape;
        idle.iter().position(is_it).map(|index| idle.remove(index))
    }

    pub(super) fn give_back(&self, idle: Submittable) {
        keep(&self.idle, idle);
    }

    pub(super) fn clear(&self) {
        lock(&self.shared).clear();
        lock(&self.idle).clear();
    }

    /// Bytes of the arrays of all of them.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = |recordable: &Arc<Recordable>| recordable.program().working_bytes();
        let idle = lock(&self.idle).iter().map(|idle| bytes(idle.recordable())).sum::<u64>();
        idle + lock(&self.shared).iter().map(bytes).sum::<u64>()
    }
}

impl GpuEngine {
    /// The plan where the host does not see the end: layer by layer, without an exchange between workgroups.
    pub(in crate::engine) fn recorded_plan(&self, run_shape: RunShape) -> Result<Plan> {
        let Planner { request, caps, .. } = self.planner();
        let mut request = *request;
        request.only.pipelining = Some(0);
        let caps = Caps { exchange: None, ..caps.clone() };
        plan::plan(&self.model, run_shape, request, &caps)
    }

    /// The program of a recording of `run_shape`.
    pub(in crate::engine) fn recordable(&self, run_shape: RunShape) -> Result<Arc<Recordable>> {
        if let Some(found) = self.recordables.shared(run_shape) {
            return Ok(found);
        }
        let new = self.new_recordable(run_shape)?;
        self.recordables.share(new.clone());
        Ok(new)
    }

    /// The program of a run of `run_shape` that submits itself; [`GpuEngine::end_bound`] takes it back.
    pub(in crate::engine) fn begin_bound(&self, run_shape: RunShape) -> Result<Submittable> {
        match self.recordables.take(run_shape) {
            Some(taken) => Ok(taken),
            None => Ok(self.new_recordable(run_shape)?.into()),
        }
    }

    pub(in crate::engine) fn end_bound(&self, idle: Submittable) {
        self.recordables.give_back(idle);
    }

    fn new_recordable(&self, run_shape: RunShape) -> Result<Arc<Recordable>> {
        let program = lower_recorded(&self.model, &self.recorded_plan(run_shape)?)?;
        let Planner { caps, memory, .. } = self.planner();
        let what = format!("arrays of {} rows × {} steps", run_shape.dims.batch, run_shape.dims.steps);
        caps.check(&what, program.working_bytes(), *memory, "bytes of memory").map_err(in_one_piece)?;
        self.made(program, &[])
    }

    /// Creates the pipelines and buffers of `program`.
    pub(in crate::engine) fn made(&self, program: Program, foreign: &[Foreign]) -> Result<Arc<Recordable>> {
        let made = Recordable::new(&self.context, program, &self.constants, foreign, self.options.fill_nan);
        Ok(Arc::new(made.map_err(in_one_piece)?))
    }
}

/// A recorded run is not cut.
fn in_one_piece(error: Error) -> Error {
    match error {
        Error::TooLarge { name, needed, limit, unit, device } => {
            let name = format!(
                "{name}, in one piece as the caller's buffers are bound (Engine::run cuts its batches)"
            );
            Error::TooLarge { name, needed, limit, unit, device }
        }
        other => other,
    }
}
