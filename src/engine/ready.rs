//! What runs of a shape need: said, or made ready, before there is a batch.
//!
//! A batch that does not fit the device at once is run in pieces, so what is said and made ready is what the pieces need.

use super::any::on;
use super::backend::Backend;
use super::memory::Memory;
use super::run::Engine;
use super::wait::{BLOCK, block_on};
use crate::error::Result;
use crate::io::{OutputShape, RunShape};

impl Engine {
    /// What a run of `run_shape`, or `[B, T]` alone, takes on a GPU at a time: of a run in pieces what the piece takes that takes most;
    /// 0 on the CPU path and the reference.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] where not even one step of one row fits.
    pub fn memory(&self, run_shape: impl Into<RunShape>) -> Result<Memory> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => backend.memory(run_shape))
    }

    /// In words, which kernels a run of `run_shape`, or `[B, T]` alone, uses, and into which pieces it is cut.
    ///
    /// # Errors
    /// What the planner refuses for this shape.
    pub fn explain(&self, run_shape: impl Into<RunShape>) -> Result<String> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => backend.explain(run_shape))
    }

    /// Makes everything that runs of `run_shape`, or `[B, T]` alone, need, so that the first of them takes no longer than
    /// the next; of a run in pieces the kernels of all of them, and of buffers those that [`Options::memory`](crate::Options::memory)
    /// has room for.
    ///
    /// # Errors
    /// As [`Engine::run`] for a batch of this shape.
    pub fn prepare(&self, run_shape: impl Into<RunShape>) -> Result<()> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => block_on(backend.prepare(run_shape, BLOCK)))
    }
}
