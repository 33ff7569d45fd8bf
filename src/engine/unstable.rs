//! Public for tools alone, by the feature `unstable`: how runs are planned, and their expected times.

use std::time::Duration;

use super::any::on;
use super::backend::{Backend, Ticks};
use super::device::{Device, Kind};
use super::exchange::{Exchange, Fallbacks};
use super::options::{DeviceOptions, Options};
use super::pieces::Pieces;
use super::pool::Pool;
use super::run::Engine;
use super::wait::block_on;
use crate::dims::at_least_one;
use crate::dtype::Precision;
use crate::error::Result;
use crate::gpu::adapters;
use crate::io::{OutputShape, RunShape};
use crate::kernels::matrices::Matrices;
use crate::model::Model;
use crate::plan::{Candidate, Only, Plan, Prediction, Strategy, Table};

impl Device {
    /// The expected time of a run of `run_shape`, or `[B, T]` alone, from the caller's arrays to the caller's arrays, by the
    /// planner's cost model. Where the device was not measured (`wgru tune`; [`Device::calibrate`] for the CPU path) it is an
    /// order of magnitude.
    ///
    /// # Errors
    /// The error of such a run on this device, [`crate::Error::Unsupported`] on the reference.
    pub fn expected(
        &self,
        model: &Model,
        run_shape: impl Into<RunShape>,
        options: Options,
    ) -> Result<Duration> {
        self.time_of(model, run_shape.into(), options)
    }

    /// Measures how fast this processor computes, on one thread, in some 2 ms, and 20 ms at most. From then on it
    /// scales the expected times of this device, its clones and their engines.
    ///
    /// Returns the scale: 2 where a multiply-add takes twice as long as on the processor that the model was fitted on. `None` for
    /// a GPU, for which there are tables (`wgru tune`), and for the reference.
    ///
    /// On two other processors, times of 64 runs were expected within a factor of 1.17 and 1.20 in the median, at worst 2.5;
    /// without, 2.04 and 1.45, at worst 3.1.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn calibrate(&self) -> Option<f64> {
        match &self.0 {
            Kind::Cpu(processor) => Some(processor.calibrate()),
            _ => None,
        }
    }

    /// The cooperative matrices that plans on this device may use: it has usable ones, and was opened with
    /// [`DeviceOptions::matrices`]. `None` on a device of the caller's, since wgpu does not report which it has.
    pub fn matrices(&self) -> Option<Matrices> {
        match &self.0 {
            Kind::Gpu(context) => context.info().caps.matrices,
            Kind::Cpu(_) | Kind::Reference => None,
        }
    }

    /// Opens every adapter that can compute, for a harness that runs on all of them.
    ///
    /// # Errors
    /// [`crate::Error::Device`] for the first that cannot be opened.
    pub fn all_adapters() -> Result<Vec<Self>> {
        block_on(async {
            let mut opened = Vec::new();
            for adapter in adapters(None).await {
                opened.push(Self::open_adapter(adapter, &DeviceOptions::default()).await?);
            }
            Ok(opened)
        })
    }
}

impl Engine {
    /// The expected time of a run of `run_shape`, or `[B, T]` alone: see [`Device::expected`].
    ///
    /// # Errors
    /// Those of [`Device::expected`].
    pub fn expected(&self, run_shape: impl Into<RunShape>) -> Result<Duration> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => backend.expected(run_shape))
    }

    /// The pieces that a run of `run_shape`, or `[B, T]` alone, is cut into; `None` where it is run at once, as always on the CPU
    /// path and the reference.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] where not even one step of one row fits.
    pub fn pieces(&self, run_shape: impl Into<RunShape>) -> Result<Option<Pieces>> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => backend.pieces(run_shape))
    }

    /// Every candidate for each layer on a run of `run_shape`, or `[B, T]` alone, with its predicted time or the reason against
    /// it. For a run in pieces they are those of its first piece, see [`Engine::plan`]; on the CPU path and the reference there
    /// are none.
    ///
    /// # Errors
    /// The planner's error for this shape.
    pub fn alternatives(&self, run_shape: impl Into<RunShape>) -> Result<Vec<Vec<Candidate>>> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => backend.alternatives(run_shape))
    }

    /// The plan of a run of `run_shape`, or `[B, T]` alone; `None` on the CPU path and the reference. For a run in pieces
    /// ([`Engine::pieces`]) it is the plan of the first piece, which is as large as any: [`Plan::run_shape`] has its size. Where
    /// rows are cut by steps, that piece is of the first direction of the first layer.
    ///
    /// # Errors
    /// The planner's error for this shape.
    pub fn plan(&self, run_shape: impl Into<RunShape>) -> Result<Option<Plan>> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => backend.plan(run_shape))
    }

    /// What the cost model says of each kernel of each layer of [`Engine::plan`], by the kernel's text: how many workgroups a core
    /// holds at once, and what bounds the time. Measurements do not correct it. Nothing on the CPU path and the reference.
    ///
    /// # Errors
    /// The planner's error for this shape.
    pub fn predictions(&self, run_shape: impl Into<RunShape>) -> Result<Vec<Vec<(String, Prediction)>>> {
        let run_shape = run_shape.into();
        OutputShape::new(self.model(), run_shape)?;
        on!(AnyBackend, &self.0.backend, backend => backend.predictions(run_shape))
    }

    /// The runs of this engine with a multi-workgroup kernel that fell back to per-step kernels, since some
    /// workgroup did not complete.
    pub fn fallbacks(&self) -> Fallbacks {
        on!(AnyBackend, &self.0.backend, backend => backend.fallbacks())
    }
}

impl Options {
    /// Sets the strategy for steps, wherever a layer and the device allow it.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.only.strategy = Some(strategy);
        self
    }

    /// Sets [`Options::speed`]: a table, or numbers alone ([`Speed`](crate::plan::Speed)).
    pub fn speed(mut self, speed: impl Into<Table>) -> Self {
        self.speed = Some(speed.into());
        self
    }

    /// Sets [`Options::exchange`].
    pub fn exchange(mut self, exchange: Exchange) -> Self {
        self.exchange = exchange;
        self
    }

    /// Sets what the planner of a GPU chooses from.
    pub fn only(mut self, only: Only) -> Self {
        self.only = only;
        self
    }

    /// How the device stores weights and activations.
    pub fn precision(&self) -> Precision {
        self.precision
    }
}

impl DeviceOptions {
    /// Turns on the device's cooperative matrices (tensor cores, simdgroup matrices), if it has some of f16 with sums in f32;
    /// otherwise it has no effect, which [`crate::Device::matrices`] reports.
    ///
    /// Plans use them where weights and activations are f16 and sums need not be reproducible
    /// ([`Options::reproducible`](crate::Options::reproducible)): in projections, and in steps of batches that are large enough.
    /// The left operand of a step's product is then rounded to f16, and clipped at ±65,504: h, and in some cells r ⊙ h or the
    /// input of the projection. The state itself stays in f32. The device chooses the reduction order within a matrix.
    ///
    /// wgpu calls the feature experimental, so it is off by default, and the device first has to compute exact numbers: opening
    /// one that gets them wrong is [`crate::Error::Device`].
    pub fn matrices(mut self, on: bool) -> Self {
        self.matrices = on;
        self
    }
}

impl Pool {
    /// The expected time of a tick of `frames` frames of each of `streams` streams, by the planner's cost model; an order of
    /// magnitude where the device was not measured.
    ///
    /// # Errors
    /// [`crate::Error::Zero`], and the error of a batch of this size.
    pub fn expected(&self, streams: usize, frames: usize) -> Result<Duration> {
        at_least_one("streams of a tick", streams)?;
        at_least_one("frames of a tick", frames)?;
        on!(AnyPool, &self.states, states => states.expected(streams, frames))
    }
}
