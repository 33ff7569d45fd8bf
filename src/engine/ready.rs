//! What runs of a shape need: said, or made ready, before there is a batch.
//!
//! A batch that does not fit the device at once is run in pieces, so what is said and made ready is what the pieces need.

use super::any::on;
use super::backend::Backend;
use super::memory::Memory;
use super::pieces::Pieces;
use super::run::Engine;
use crate::error::Result;
use crate::io::{Form, OutputShape};
use crate::plan::{Candidate, Plan};
use crate::sync::Wait;

impl Engine {
    /// The pieces that a run of `form`, or of dims alone, is cut into; `None` where it is run at once, as on the CPU path and
    /// the reference always.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] where not even one step of one row fits.
    pub fn pieces(&self, form: impl Into<Form>) -> Result<Option<Pieces>> {
        on!(AnyBackend, &self.0.backend, backend => backend.pieces(form.into()))
    }

    /// Every way to compute each layer on a run of `form`, or of dims alone, with its predicted time or what forbids it; of
    /// a run in pieces on its first piece, as [`Engine::plan`] says; of the CPU path and the reference nothing.
    ///
    /// # Errors
    /// What the planner refuses for this shape.
    pub fn alternatives(&self, form: impl Into<Form>) -> Result<Vec<Vec<Candidate>>> {
        on!(AnyBackend, &self.0.backend, backend => backend.alternatives(form.into()))
    }

    /// The plan of a run of `form`, or of dims alone; `None` of the CPU path and the reference. Of a run in pieces
    /// ([`Engine::pieces`]) it is the plan of the first piece, which is as large as any: [`Plan::form`] says its size. Where rows
    /// are cut by steps, that piece is of the first direction of the first layer.
    ///
    /// # Errors
    /// What the planner refuses for this shape.
    pub fn plan(&self, form: impl Into<Form>) -> Result<Option<Plan>> {
        on!(AnyBackend, &self.0.backend, backend => backend.plan(form.into()))
    }

    /// What a run of `form`, or of dims alone, takes on a GPU at a time: of a run in pieces what the piece takes that takes most;
    /// 0 on the CPU path and the reference.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] where not even one step of one row fits.
    pub fn memory(&self, form: impl Into<Form>) -> Result<Memory> {
        on!(AnyBackend, &self.0.backend, backend => backend.memory(form.into()))
    }

    /// In words, which kernels a run of `form`, or of dims alone, uses, and into which pieces it is cut.
    ///
    /// # Errors
    /// What the planner refuses for this shape.
    pub fn explain(&self, form: impl Into<Form>) -> Result<String> {
        let form = form.into();
        OutputShape::new(self.model(), form)?;
        on!(AnyBackend, &self.0.backend, backend => backend.explain(form))
    }

    /// Makes everything that runs of `form`, or of dims alone, need, so that the first of them takes no longer than
    /// the next; of a run in pieces the kernels of all of them, and of buffers those that [`Options::memory`](crate::Options::memory)
    /// has room for.
    ///
    /// # Errors
    /// As [`Engine::run`] for a batch of this shape.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn prepare(&self, form: impl Into<Form>) -> Result<()> {
        pollster::block_on(self.prepare_waiting(form.into(), Wait::Block))
    }

    /// [`Engine::prepare`], without blocking.
    ///
    /// # Errors
    /// As [`Engine::prepare`].
    pub async fn prepare_async(&self, form: impl Into<Form>) -> Result<()> {
        self.prepare_waiting(form.into(), Wait::Yield).await
    }

    async fn prepare_waiting(&self, form: Form, wait: Wait) -> Result<()> {
        OutputShape::new(self.model(), form)?;
        on!(AnyBackend, &self.0.backend, backend => backend.prepare(form, wait).await)
    }
}
