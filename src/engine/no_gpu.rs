//! The engine's GPU side in a crate built without GPUs: there is no such engine, session or batch, so nothing here is ever
//! called.

use std::sync::Arc;

use super::exchange::Resumes;
use super::memory::Memory;
use super::pieces::Piece;
use super::run::Options;
use crate::error::Result;
use crate::gpu::Context;
use crate::info::RunSeconds;
use crate::io::{Batch, Form, Output, StepInput, StepOutput};
use crate::model::Model;
use crate::plan::{Candidate, Plan};
use crate::progress::{Progress, SharedTally};
use crate::sync::Wait;

#[derive(Debug)]
pub(super) enum GpuEngine {}

#[derive(Debug)]
pub(super) enum Home {}

#[derive(Debug)]
pub(super) enum Planner {}

#[derive(Debug)]
pub(super) enum GpuSession {}

#[derive(Debug)]
pub(super) enum GpuStaged {}

impl GpuEngine {
    pub(super) async fn new(context: Arc<Context>, _: &Model, _: Options, _: Option<Home>) -> Result<Self> {
        match *context {}
    }

    pub(super) fn home(&self, _: usize, _: usize) -> Home {
        match *self {}
    }

    pub(super) fn resumes(&self) -> Resumes {
        match *self {}
    }

    pub(super) fn planner(&self) -> &Planner {
        match *self {}
    }

    pub(super) fn is_ready(&self, _: Form) -> bool {
        match *self {}
    }

    pub(super) async fn prepare(&self, _: &Model, _: Form, _: Wait) -> Result<()> {
        match *self {}
    }

    pub(super) async fn run_into(
        &self,
        _: &Model,
        _: &Batch<'_>,
        _: &mut Output,
        _: Wait,
        _: &SharedTally,
    ) -> Result<()> {
        match *self {}
    }

    pub(super) async fn stage(&self, _: &Model, _: &Batch<'_>) -> Result<GpuStaged> {
        match *self {}
    }

    pub(super) fn constant_bytes(&self) -> u64 {
        match *self {}
    }

    pub(super) async fn session(&self, _: &Model, _: usize) -> Result<GpuSession> {
        match *self {}
    }
}

impl Planner {
    pub(super) fn plan(&self, _: &Model, _: Form) -> Result<Plan> {
        match *self {}
    }

    pub(super) fn alternatives(&self, _: &Model, _: Form) -> Result<Vec<Vec<Candidate>>> {
        match *self {}
    }

    pub(super) fn fits(&self, _: &Model, _: Form) -> Result<()> {
        match *self {}
    }

    pub(super) fn fits_staged(&self, _: &Model, _: Form) -> Result<()> {
        match *self {}
    }

    pub(super) fn pieces<'a>(&self, _: &'a Model, _: Form) -> Result<Vec<Piece<'a>>> {
        match *self {}
    }

    pub(super) fn memory(&self, _: &Model, _: Form) -> Result<Memory> {
        match *self {}
    }
}

impl GpuStaged {
    pub(super) async fn run(&self, _: Wait, _: &SharedTally) -> Result<RunSeconds> {
        match *self {}
    }

    pub(super) async fn read_into(&self, _: &mut Output, _: Wait) -> Result<()> {
        match *self {}
    }

    pub(super) fn bytes(&self) -> u64 {
        match *self {}
    }
}

impl GpuSession {
    pub(super) async fn step_into(
        &mut self,
        _: StepInput<'_>,
        _: &mut StepOutput,
        _: Wait,
        _: &Arc<Progress>,
    ) -> Result<()> {
        match *self {}
    }

    pub(super) fn write_states(&mut self, _: Option<&[f32]>, _: Option<&[f32]>) -> Result<()> {
        match *self {}
    }

    pub(super) async fn read_states(&self, _: &mut [f32], _: &mut [f32], _: Wait) -> Result<()> {
        match *self {}
    }
}
