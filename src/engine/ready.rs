//! The needs of runs of a shape: reported or prepared before there is a batch.
//!
//! A batch that does not fit the device at once is run in pieces, so these calls report and prepare the pieces.

use super::any::on;
use super::backend::Backend;
use super::memory::Memory;
use super::run::Engine;
use super::wait::{BLOCK, block_on};
use crate::error::Result;
use crate::io::{OutputShape, RunShape};
use crate::sync::Wait;

impl Engine {
    /// The memory of a run of `run_shape`, or `[B, T]` alone, on a GPU at a time. For a run in pieces that of the largest piece;
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
    /// The planner's error for this shape.
    pub fn explain(&self, run_shape: impl Into<RunShape>) -> Result<String> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => backend.explain(run_shape))
    }

    /// Prepares everything that runs of `run_shape`, or `[B, T]` alone, need, so that the first of them takes no longer than the
    /// next. For a run in pieces it prepares the kernels of all pieces, and the buffers that fit
    /// [`Options::memory`](crate::Options::memory).
    ///
    /// # Errors
    /// Those of [`Engine::run`] for a batch of this shape.
    pub fn prepare(&self, run_shape: impl Into<RunShape>) -> Result<()> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => block_on(backend.prepare(run_shape, BLOCK)))
    }

    /// As [`Engine::prepare`], compiling one kernel after the other. Before each, `progress` gets how many are compiled, of how
    /// many, and once more at the end; 0 of 0 on a device that compiles nothing. In a browser, where compiling takes seconds, other
    /// work of the page goes on in between.
    ///
    /// # Errors
    /// Those of [`Engine::prepare`].
    pub async fn prepare_async(
        &self,
        run_shape: impl Into<RunShape>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<()> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => {
            backend.compile(run_shape, &mut progress).await?;
            backend.prepare(run_shape, Wait::Yield).await
        })
    }
}
