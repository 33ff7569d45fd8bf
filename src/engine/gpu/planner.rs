//! How a run on a GPU is planned, what it takes, and whether it fits: known before anything is on the device.

use std::sync::Arc;

use crate::dims::Dims;
use crate::engine::exchange::{Exchange, tested};
use crate::engine::memory::Memory;
use crate::engine::pieces::{Piece, pieces};
use crate::engine::run::Options;
use crate::error::Result;
use crate::gpu::Context;
use crate::io::Form;
use crate::model::Model;
use crate::plan::{self, Candidate, Caps, Plan, Request};
use crate::program::{check, lower};

/// Bytes of the arrays of a run where the caller says nothing: pieces as large as that lose nothing.
const MEMORY: u64 = 1 << 30;

/// A device and the options of an engine.
#[derive(Debug)]
pub(in crate::engine) struct Planner {
    context: Arc<Context>,
    /// What plans are made for: the device's, with the table that was asked for, but for the exchange.
    pub(in crate::engine) caps: Caps,
    pub(super) exchange: Exchange,
    pub(in crate::engine) request: Request,
    /// Bytes of the arrays of a run.
    pub(in crate::engine) memory: u64,
    /// What the caller said of them.
    asked: Option<u64>,
}

impl Planner {
    pub(in crate::engine) fn new(context: Arc<Context>, options: Options) -> Self {
        let Options { precision, only, any_order, memory, speed, exchange, .. } = options;
        let caps = context.caps().clone();
        let caps = match speed {
            Some(table) => caps.with_table(table),
            None => caps,
        };
        let request = Request { precision, only, any_order };
        Self { context, caps, exchange, request, memory: memory.unwrap_or(MEMORY), asked: memory }
    }

    /// What the workgroups of a dispatch may be relied on to do now.
    pub(super) fn exchange(&self) -> Option<plan::Exchange> {
        match self.exchange {
            Exchange::Never => None,
            Exchange::Forced(exchange) => Some(exchange),
            Exchange::Tested => tested(&self.context),
        }
    }

    /// What plans are made for now.
    pub(super) fn caps(&self) -> Caps {
        Caps { exchange: self.exchange(), ..self.caps.clone() }
    }

    pub(in crate::engine) fn plan(&self, model: &Model, form: Form) -> Result<Plan> {
        self.planned(model, form, &self.caps())
    }

    /// The plan for `caps`; one layer after the other where all at once take more memory than there is.
    pub(super) fn planned(&self, model: &Model, form: Form, caps: &Caps) -> Result<Plan> {
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

    pub(in crate::engine) fn alternatives(&self, model: &Model, form: Form) -> Result<Vec<Vec<Candidate>>> {
        plan::alternatives(model, form, self.request, &self.caps())
    }

    /// What a run by `plan` takes, where the device supports it.
    pub(super) fn bytes(&self, model: &Model, plan: &Plan) -> Result<u64> {
        let program = lower(model, plan)?;
        check(&program, &self.caps)?;
        let (read_back, limit) = (program.read_back_bytes(), self.caps.max_buffer_bytes);
        self.caps.check("read-back of all outputs", read_back, limit, "bytes in one buffer")?;
        Ok(program.working_bytes() + read_back)
    }

    /// What a run of `form` takes, where the device supports it.
    pub(super) fn fits_device(&self, model: &Model, form: Form) -> Result<u64> {
        self.bytes(model, &self.plan(model, form)?)
    }

    /// # Errors
    /// [`crate::Error::TooLarge`] and [`crate::Error::Overflow`] where a run of `form` exceeds the device or the memory it
    /// may take.
    pub(in crate::engine) fn fits(&self, model: &Model, form: Form) -> Result<()> {
        self.fits_in(model, form, self.memory)
    }

    /// [`Planner::fits`] for a batch that is staged: the default of the memory is the size of a piece, and binds no batch that
    /// cannot be cut.
    pub(in crate::engine) fn fits_staged(&self, model: &Model, form: Form) -> Result<()> {
        self.fits_in(model, form, self.asked.unwrap_or(u64::MAX))
    }

    fn fits_in(&self, model: &Model, form: Form, memory: u64) -> Result<()> {
        let bytes = self.fits_device(model, form)?;
        let Dims { batch, steps } = form.dims;
        self.caps.check(&format!("arrays of {batch} rows × {steps} steps"), bytes, memory, "bytes of memory")
    }

    /// The pieces of a run of `form`, see [`pieces`].
    pub(in crate::engine) fn pieces<'a>(&self, model: &'a Model, form: Form) -> Result<Vec<Piece<'a>>> {
        pieces(model, form, |model, form| self.fits(model, form))
    }

    /// What a run of `form`, which is not cut, takes beside the weights.
    pub(in crate::engine) fn memory(&self, model: &Model, form: Form) -> Result<Memory> {
        let program = lower(model, &self.plan(model, form)?)?;
        let (arrays, read_back) = (program.working_bytes(), program.read_back_bytes());
        Ok(Memory { weights: 0, arrays, read_back })
    }
}
