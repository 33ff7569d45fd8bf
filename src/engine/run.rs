//! An engine: a model loaded on a device, and the sequence run.

use std::sync::Arc;

use super::any::{AnyBackend, on};
use super::backend::Backend;
use super::device::{Device, Kind};
#[cfg(feature = "gpu")]
use super::gpu::GpuEngine;
use super::host::{Cpu, Host, Reference};
use super::options::Options;
use super::wait::{BLOCK, block_on};
use crate::dtype::Storage;
use crate::error::Result;
use crate::io::{Batch, Output, OutputMut, OutputShape, RunShape};
use crate::model::Model;
use crate::progress::Progress;
use crate::sync::Wait;

/// A model loaded on a device. Cheap to clone; clones share everything.
///
/// The kernels and buffers of a shape are created at its first run and kept for the next.
#[derive(Debug, Clone)]
pub struct Engine(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) model: Model,
    pub(super) device: Device,
    pub(super) options: Options,
    pub(super) backend: AnyBackend,
    pub(super) progress: Arc<Progress>,
}

impl Device {
    /// Loads `model` on this device.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] and [`crate::Error::Device`] where the weights do not fit.
    pub fn load(&self, model: &Model) -> Result<Engine> {
        self.load_with(model, Options::default())
    }

    /// [`Device::load`] with options.
    ///
    /// # Errors
    /// Those of [`Device::load`].
    pub fn load_with(&self, model: &Model, options: Options) -> Result<Engine> {
        Engine::new(self.clone(), model, options)
    }
}

impl Engine {
    fn new(device: Device, model: &Model, options: Options) -> Result<Self> {
        options.precision.check()?;
        let backend = match &device.0 {
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => {
                let engine = GpuEngine::new(context.clone(), model, options.clone())?;
                AnyBackend::Gpu(Arc::new(engine))
            }
            #[cfg(not(feature = "gpu"))]
            Kind::Gpu(context) => match **context {},
            Kind::Cpu(processor) => {
                let path = Cpu::new(model, options.precision, processor)?;
                AnyBackend::Cpu(Arc::new(Host::new(model.clone(), path)))
            }
            Kind::Reference => {
                AnyBackend::Reference(Arc::new(Host::new(model.clone(), Reference(model.clone()))))
            }
        };
        let progress = Arc::default();
        Ok(Self(Arc::new(Inner { model: model.clone(), device, options, backend, progress })))
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// The engine's options.
    pub fn options(&self) -> Options {
        self.0.options.clone()
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// The completed part of the runs in progress, 0 to 1, for a progress bar on another thread: by submission on a GPU, by
    /// thread on the CPU, 0 on the reference. For several runs, steps of sessions and ticks of pools it is the part of their
    /// total work. So it falls where one begins, or where one that was further than the others ends. It is 0 where none is in
    /// progress. A run that fails, or whose future is dropped, no longer counts.
    pub fn progress(&self) -> f64 {
        self.0.progress.fraction()
    }

    /// An output of the right size for [`Engine::run_into`].
    ///
    /// # Errors
    /// [`crate::Error::Overflow`] where a product of sizes does not fit, [`crate::Error::Memory`].
    pub fn output(&self, run_shape: impl Into<RunShape>) -> Result<Output> {
        Output::zeros(&OutputShape::new(&self.0.model, run_shape)?)
    }

    /// Checks that `batch` fits the model and, on a GPU, the device.
    pub(super) fn check_batch(&self, batch: &Batch<'_>) -> Result<()> {
        batch.check(&self.0.model)?;
        on!(AnyBackend, &self.0.backend, backend => backend.check(batch.run_shape()))
    }

    /// An output for `batch`, after checking that the batch fits the model and, on a GPU, the device.
    fn output_of(&self, batch: &Batch<'_>) -> Result<Output> {
        self.check_batch(batch)?;
        self.output(batch.run_shape())
    }

    /// Runs a batch, of x or of the first layer's `w_ih x` ([`Batch::projected`]): y of every step, the final states, and
    /// the readout.
    ///
    /// # Errors
    /// A batch that does not fit the model, [`crate::Error::TooLarge`] where it does not fit the device,
    /// [`crate::Error::Lost`] or [`crate::Error::Device`] where the device fails.
    pub fn run(&self, batch: &Batch<'_>) -> Result<Output> {
        let mut output = self.output_of(batch)?;
        self.run_into(batch, &mut output)?;
        Ok(output)
    }

    /// [`Engine::run`] into `output`, which [`Engine::output`] made or an earlier run returned. After a shape's first run this
    /// allocates nothing of the size of the data (on the reference it does). After an error the numbers in `output` are invalid.
    ///
    /// # Errors
    /// Those of [`Engine::run`], and [`crate::Error::Length`] where `output` does not fit.
    pub fn run_into(&self, batch: &Batch<'_>, output: &mut Output) -> Result<()> {
        self.device().may_block()?;
        let wait = batch.interrupt_of().map_or(BLOCK, Wait::Interruptible);
        block_on(self.run_waiting(batch, output.borrow(), wait))
    }

    /// [`Engine::run`], without blocking: polling the future polls the device. On the CPU path and the
    /// reference the first poll computes.
    ///
    /// # Errors
    /// Those of [`Engine::run`].
    pub async fn run_async(&self, batch: &Batch<'_>) -> Result<Output> {
        let mut output = self.output_of(batch)?;
        self.run_into_async(batch, &mut output).await?;
        Ok(output)
    }

    /// [`Engine::run_into`], without blocking.
    ///
    /// # Errors
    /// Those of [`Engine::run_into`].
    pub async fn run_into_async(&self, batch: &Batch<'_>, output: &mut Output) -> Result<()> {
        self.run_waiting(batch, output.borrow(), Wait::Yield).await
    }

    pub(super) async fn run_waiting(
        &self,
        batch: &Batch<'_>,
        mut output: OutputMut<'_>,
        wait: Wait<'_>,
    ) -> Result<()> {
        let Inner { model, backend, options, progress, .. } = &*self.0;
        batch.check(model)?;
        output.check(&OutputShape::new(model, batch.run_shape())?)?;
        batch.check_range(self.activations())?;
        if options.fill_nan {
            output.fill(f32::NAN);
        }
        on!(AnyBackend, backend, backend => backend.run(batch, &mut output, wait, progress).await)
    }

    /// How the device stores x and y.
    pub(super) fn activations(&self) -> Storage {
        on!(AnyBackend, &self.0.backend, backend => backend.activations())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::options::CpuOptions;
    use crate::model::{Cell, Direction, Layer, Weights};
    use crate::sync::lock;

    /// A panic on the CPU path is an error of its run, on one thread and on several; the engine remains usable.
    #[test]
    fn an_engine_goes_on_after_a_panic() {
        let mut rng = crate::seed::Random::new();
        let mut values = |len: usize| (0..len).map(|_| rng.f32() - 0.5).collect::<Vec<f32>>();
        let (steps, input, hidden) = (200, 64, 256);
        let weights = Weights {
            w_ih: values(3 * hidden * input),
            w_hh: values(3 * hidden * hidden),
            ..Weights::default()
        };
        let layer = Layer::new(Cell::GRU, Direction::Forward, input, hidden, vec![weights]).unwrap();
        let (model, x) = (Model::new(vec![layer]).unwrap(), values(4 * steps * input));
        let batch = Batch::new(&x, [4, steps, input]).unwrap();
        for threads in [1, 3] {
            let device = Device::cpu_with(CpuOptions::default().threads(threads)).unwrap();
            let engine = device.load(&model).unwrap();
            let expected = engine.run(&batch).unwrap();
            let AnyBackend::Cpu(cpu) = &engine.0.backend else { unreachable!("a CPU") };
            let mut failed = 0;
            for thread in 0..threads {
                let plant = |threads: std::ops::Range<usize>| {
                    lock(&cpu.idle).last_mut().expect("of the run before").plant(threads, 7);
                };
                plant(thread..thread + 1);
                // A run need not use all threads, and a late thread may find no piece left.
                if let Err(error) = engine.run(&batch) {
                    let error = error.to_string();
                    assert!(error.contains("a planted fault") && error.contains("cpu"), "{error}");
                    failed += 1;
                }
                assert_eq!(engine.progress(), 0.0);
                plant(0..0);
                assert!(engine.run(&batch).unwrap() == expected, "thread {thread} of {threads}");
            }
            assert!(failed > 0, "none of {threads} threads failed");
        }
    }
}
