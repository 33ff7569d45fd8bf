//! How a run on a GPU is planned, its memory, and whether it fits: known before anything is created on the device.

use std::sync::Arc;
use std::time::Duration;

use super::pieces::{Piece, pieces};
use crate::dims::Dims;
use crate::engine::exchange::{Exchange, tested};
use crate::engine::memory::Memory;
use crate::engine::options::Options;
use crate::error::Result;
use crate::gpu::Context;
use crate::io::{OutputShape, RunShape};
use crate::model::Model;
use crate::plan::{self, Candidate, Caps, Plan, Prediction, Request};
use crate::program::{Program, check, lower};

/// The default limit on the bytes of a run's arrays: larger pieces are no faster.
const MEMORY: u64 = 1 << 30;

/// A device and the options of an engine.
#[derive(Debug)]
pub(in crate::engine) struct Planner {
    context: Arc<Context>,
    /// The capabilities that plans are made for: the device's, with the option's table, without the exchange.
    pub(super) caps: Caps,
    pub(super) exchange: Exchange,
    pub(super) request: Request,
    /// The limit on the bytes of a run's arrays.
    pub(super) memory: u64,
    /// The caller's value of it.
    asked: Option<u64>,
}

impl Planner {
    pub(in crate::engine) fn new(context: Arc<Context>, options: Options) -> Self {
        let Options { precision, only, any_reduction_order, memory, speed, exchange, .. } = options;
        let caps = context.caps().clone();
        let caps = match speed {
            Some(table) => caps.with_table(table),
            None => caps,
        };
        let request = Request { precision, only, any_reduction_order };
        Self { context, caps, exchange, request, memory: memory.unwrap_or(MEMORY), asked: memory }
    }

    /// The exchange that the device supports now.
    pub(super) fn exchange(&self) -> Option<plan::Exchange> {
        match self.exchange {
            Exchange::Never => None,
            Exchange::Forced(exchange) => Some(exchange),
            Exchange::Tested => tested(&self.context),
        }
    }

    /// The capabilities that plans are made for now.
    pub(super) fn caps(&self) -> Caps {
        Caps { exchange: self.exchange(), ..self.caps.clone() }
    }

    pub(super) fn plan(&self, model: &Model, run_shape: RunShape) -> Result<Plan> {
        self.planned(model, run_shape, &self.caps())
    }

    /// The plan for `caps`; without layer pipelining where that takes more memory than the limit.
    pub(super) fn planned(&self, model: &Model, run_shape: RunShape, caps: &Caps) -> Result<Plan> {
        let plan = plan::plan(model, run_shape, self.request, caps)?;
        if plan.pipelining.is_none() {
            return Ok(plan);
        }
        let not_pipelined = match self.bytes(model, &plan) {
            Ok(bytes) if bytes <= self.memory => return Ok(plan),
            Ok(bytes) => format!("together they need {bytes} bytes, a run may take {}", self.memory),
            Err(error) => error.to_string(),
        };
        let mut request = self.request;
        request.only.pipelining = Some(0);
        Ok(Plan { not_pipelined: Some(not_pipelined), ..plan::plan(model, run_shape, request, caps)? })
    }

    pub(super) fn alternatives(&self, model: &Model, run_shape: RunShape) -> Result<Vec<Vec<Candidate>>> {
        plan::alternatives(model, run_shape, self.request, &self.caps())
    }

    pub(super) fn predictions(
        &self,
        model: &Model,
        run_shape: RunShape,
    ) -> Result<Vec<Vec<(String, Prediction)>>> {
        let caps = self.caps();
        Ok(plan::predictions(model, &self.planned(model, run_shape, &caps)?, &caps))
    }

    /// The bytes of a run of `plan`, if the device supports it.
    pub(super) fn bytes(&self, model: &Model, plan: &Plan) -> Result<u64> {
        self.bytes_of(&lower(model, plan)?)
    }

    /// The bytes of a run of `program`, if the device supports it.
    pub(super) fn bytes_of(&self, program: &Program) -> Result<u64> {
        check(program, &self.caps)?;
        let (read_back, limit) = (program.read_back_bytes(), self.caps.max_buffer_bytes);
        self.caps.check("read-back of all outputs", read_back, limit, "bytes in one buffer")?;
        Ok(program.working_bytes() + read_back)
    }

    /// The bytes of a run of `run_shape`, if the device supports it.
    pub(super) fn fits_device(&self, model: &Model, run_shape: RunShape) -> Result<u64> {
        self.bytes(model, &self.plan(model, run_shape)?)
    }

    /// # Errors
    /// [`crate::Error::TooLarge`] and [`crate::Error::Overflow`] where a run of `run_shape` exceeds the device or its memory
    /// limit.
    pub(super) fn fits(&self, model: &Model, run_shape: RunShape) -> Result<()> {
        self.fits_in(model, run_shape, self.memory)
    }

    /// [`Planner::fits`] for a staged batch. The default memory limit is the size of a piece, and does not apply to a batch that
    /// cannot be cut.
    pub(super) fn fits_staged(&self, model: &Model, run_shape: RunShape) -> Result<()> {
        self.fits_in(model, run_shape, self.asked.unwrap_or(u64::MAX))
    }

    fn fits_in(&self, model: &Model, run_shape: RunShape, memory: u64) -> Result<()> {
        let bytes = self.fits_device(model, run_shape)?;
        let Dims { batch, steps } = run_shape.dims;
        self.caps.check(&format!("arrays of {batch} rows × {steps} steps"), bytes, memory, "bytes of memory")
    }

    /// The pieces of a run of `run_shape`, see [`pieces`].
    pub(super) fn pieces<'a>(&self, model: &'a Model, run_shape: RunShape) -> Result<Vec<Piece<'a>>> {
        pieces(model, run_shape, |model, run_shape| self.fits(model, run_shape))
    }

    /// The memory of a run of `run_shape`, which is not cut, without the weights.
    pub(super) fn memory(&self, model: &Model, run_shape: RunShape) -> Result<Memory> {
        let program = lower(model, &self.plan(model, run_shape)?)?;
        let (arrays, read_back) = (program.working_bytes(), program.read_back_bytes());
        Ok(Memory { weights: 0, arrays, read_back })
    }

    /// The expected time of a run of `run_shape`, piece by piece.
    pub(in crate::engine) fn expected(&self, model: &Model, run_shape: RunShape) -> Result<Duration> {
        let mut all = Duration::ZERO;
        for piece in self.pieces(model, run_shape)? {
            let one = with_copies(&self.plan(&piece.model, piece.run_shape)?, &piece.model)?;
            all = all.saturating_add(one.saturating_mul(u32::try_from(piece.count).unwrap_or(u32::MAX)));
        }
        Ok(all)
    }
}

/// The time of a submission to a GPU and the wait for its end, and the rate of copies from and to it, in bytes a nanosecond.
/// Orders of magnitude of GPUs on PCI Express, not measured.
const SUBMISSION: Duration = Duration::from_micros(80);
const COPY: f64 = 8.0;

/// The time of a plan, with the copies to the device and back.
pub(super) fn with_copies(plan: &Plan, model: &Model) -> Result<Duration> {
    let run_shape = plan.run_shape;
    let shape = OutputShape::new(model, run_shape)?;
    let out = shape.out.as_deref().map_or(0, |out| out.iter().product());
    let numbers = run_shape.dims.batch * run_shape.dims.steps * run_shape.features(model)
        + shape.y.iter().product::<usize>()
        + out;
    let copies = Duration::from_secs_f64(numbers as f64 * 4.0 / COPY * 1e-9);
    let cost = Duration::try_from_secs_f64(plan.cost.seconds()).unwrap_or(Duration::MAX);
    Ok(cost.saturating_add(SUBMISSION + copies))
}
