//! An engine: a model made ready on a device, and the sequence run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::device::{Device, Kind};
use super::exchange::{Exchange, Resume, Resumes};
use super::gpu::{GpuEngine, Home};
use crate::cpu;
use crate::dtype::{Precision, Storage};
use crate::error::Result;
use crate::io::{Batch, Form, Output, OutputShape};
use crate::model::Model;
use crate::plan::{Only, Strategy, Table};
use crate::progress::{Progress, SharedTally, Tally};
use crate::reference;
use crate::sync::{Wait, lock};

/// How an engine is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Fills every array that a run must write, on the device and in the caller's output, with NaN before the
    /// run, so that an element which a kernel forgets is seen. Costs an upload per run.
    pub poison: bool,
    /// How the device stores weights and activations. States, sums and readout are f32 whatever it says; f16 and
    /// bf16 together are refused. The reference takes no notice of it: it is the truth that rounding is held
    /// against.
    pub precision: Precision,
    /// What the planner of a GPU chooses from; what it predicts to be fastest where nothing is asked for. Results are
    /// the same bits either way.
    pub only: Only,
    /// Whether kernels may sum in an order of their own: see [`Options::reproducible`].
    pub any_order: bool,
    /// Bytes that the arrays of all runs of an engine together may take on a GPU beside the model's weights, with those that are
    /// kept for the next run of their shape; 1 GiB where `None`. A batch that takes more by itself is run in pieces
    /// ([`Engine::pieces`]), with the same result. Sessions, pools and, where it is not `None`, staged batches may take as much each:
    /// more is refused. A run that is resumed ([`Engine::resumes`]) takes its bytes twice.
    ///
    /// Runs that do not fit beside each other wait, in the order in which they came, until those before them have ended a piece.
    /// None holds memory while it waits for more, so they never wait in a circle. What waits in an `_async` call is the future: it
    /// blocks no thread. A future that has begun a run has to be polled to its end or dropped, like one that holds a lock, for
    /// those behind it wait for that. A blocking run that would wait for a future of its own thread is
    /// [`Error::TooLarge`](crate::Error::TooLarge) instead.
    pub memory: Option<u64>,
    /// What the planner predicts with, as `wgru tune` measures it; the device's own where `None`.
    pub speed: Option<Table>,
    /// Whether the workgroups of one dispatch may exchange values.
    pub exchange: Exchange,
}

impl Options {
    /// Sets how steps are computed wherever a layer and the device allow it.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.only.strategy = Some(strategy);
        self
    }

    /// Whether a GPU gives the same bits for a sequence however it is run: at once, in chunks, step by step in a session,
    /// in another batch, by another plan. That is the default. Without it, large layers that are computed step by step
    /// may take a few per cent less time, and cooperative matrices may be made use of
    /// ([`DeviceOptions::matrices`](crate::DeviceOptions::matrices)).
    pub fn reproducible(mut self, reproducible: bool) -> Self {
        self.any_order = !reproducible;
        self
    }

    /// Sets [`Options::memory`].
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
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

    /// Sets how weights are stored: [`Storage::F16`] and [`Storage::Bf16`] take half the memory.
    pub fn weights(mut self, storage: Storage) -> Self {
        self.precision.weights = storage;
        self
    }

    /// Sets how x, the sequences between layers and y are stored; numbers are rounded on their way in.
    pub fn activations(mut self, storage: Storage) -> Self {
        self.precision.activations = storage;
        self
    }

    /// Sets [`Options::poison`].
    pub fn poison(mut self, poison: bool) -> Self {
        self.poison = poison;
        self
    }
}

/// A model made ready on a device. Cheap to clone; clones share everything.
///
/// What a shape needs (kernels, buffers) is made at its first run and kept for the next.
#[derive(Debug, Clone)]
pub struct Engine(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) model: Model,
    pub(super) device: Device,
    pub(super) options: Options,
    pub(super) backend: Backend,
    pub(super) progress: Arc<Progress>,
    /// Engines of single directions of single layers, for rows that are run in pieces.
    pub(super) parts: Mutex<HashMap<(usize, usize), Engine>>,
}

#[derive(Debug)]
pub(super) enum Backend {
    Gpu(Box<GpuEngine>),
    Cpu(CpuEngine),
    Reference,
}

/// A packed network and scratch memory that runs take in turn.
#[derive(Debug)]
pub(super) struct CpuEngine {
    pub(super) network: cpu::Network,
    pub(super) processor: Arc<cpu::Processor>,
    pub(super) idle: Mutex<Vec<cpu::Scratch>>,
}

impl Device {
    /// Makes `model` ready on this device.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] and [`crate::Error::Device`] where the weights do not fit.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load(&self, model: &Model) -> Result<Engine> {
        pollster::block_on(self.load_async(model))
    }

    /// [`Device::load`], without blocking.
    ///
    /// # Errors
    /// As [`Device::load`].
    pub async fn load_async(&self, model: &Model) -> Result<Engine> {
        self.load_with_async(model, Options::default()).await
    }

    /// [`Device::load`] with options.
    ///
    /// # Errors
    /// As [`Device::load`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load_with(&self, model: &Model, options: Options) -> Result<Engine> {
        pollster::block_on(self.load_with_async(model, options))
    }

    /// [`Device::load_with`], without blocking.
    ///
    /// # Errors
    /// As [`Device::load`].
    pub async fn load_with_async(&self, model: &Model, options: Options) -> Result<Engine> {
        Engine::new(self.clone(), model, options, None).await
    }
}

impl Engine {
    /// An engine, or one of a part of another's model, which is its `home`.
    pub(super) async fn new(
        device: Device,
        model: &Model,
        options: Options,
        home: Option<Home>,
    ) -> Result<Self> {
        options.precision.check()?;
        let backend = match &device.0 {
            Kind::Gpu(context) => {
                Backend::Gpu(Box::new(GpuEngine::new(context.clone(), model, options.clone(), home).await?))
            }
            Kind::Cpu(processor) => {
                let network = cpu::Network::new(model, options.precision, processor)?;
                Backend::Cpu(CpuEngine { network, processor: processor.clone(), idle: Mutex::default() })
            }
            Kind::Reference => Backend::Reference,
        };
        let (progress, parts) = (Arc::default(), Mutex::default());
        Ok(Self(Arc::new(Inner { model: model.clone(), device, options, backend, progress, parts })))
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// How the engine was made.
    pub fn options(&self) -> Options {
        self.0.options.clone()
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// The part of the runs under way that is done, 0 to 1, for a progress bar on another thread: by
    /// submission on a GPU, by thread on the CPU, 0 on the reference. Of several runs, steps of sessions and ticks of pools it is
    /// that of their work together, so it falls where one begins, or one that was further than the others ends. It is 0 where
    /// none is under way. A run that fails, or whose future is dropped, is not under way any more.
    pub fn progress(&self) -> f64 {
        self.0.progress.fraction()
    }

    /// For a run in so many pieces that begins now.
    pub(super) fn tally(&self, pieces: usize) -> SharedTally {
        Arc::new(Tally::new(self.0.progress.clone(), pieces))
    }

    /// The runs of this engine that workgroups began together and that were finished step by step, since some
    /// workgroup did not come through.
    pub fn resumes(&self) -> Resumes {
        match &self.0.backend {
            Backend::Gpu(engine) => {
                let mut all = engine.resumes();
                for (&(layer, _), part) in lock(&self.0.parts).iter() {
                    let Resumes { count, last } = part.resumes();
                    all.count += count;
                    all.last = all.last.or(last.map(|last| Resume { layer, ..last }));
                }
                all
            }
            Backend::Cpu(_) | Backend::Reference => Resumes::default(),
        }
    }

    /// An output of the right size for [`Engine::run_into`].
    ///
    /// # Errors
    /// [`crate::Error::Overflow`] where a product of sizes does not fit, [`crate::Error::Memory`].
    pub fn output(&self, form: impl Into<Form>) -> Result<Output> {
        Output::zeros(&OutputShape::new(&self.0.model, form)?)
    }

    /// An output for `batch`, once the batch and, on a GPU, the device are known to bear it.
    pub(super) fn output_of(&self, batch: &Batch<'_>) -> Result<Output> {
        batch.check(&self.0.model)?;
        self.cut(batch.form())?;
        self.output(batch.form())
    }

    /// Runs a batch, of x or of the first layer's `w_ih x` ([`Batch::projected`]): y of every step, the final states, and
    /// the readout.
    ///
    /// # Errors
    /// A batch that does not fit the model, [`crate::Error::TooLarge`] where it does not fit the device,
    /// [`crate::Error::Device`] where the device fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run(&self, batch: &Batch<'_>) -> Result<Output> {
        let mut output = self.output_of(batch)?;
        self.run_into(batch, &mut output)?;
        Ok(output)
    }

    /// [`Engine::run`] into `output`, which [`Engine::output`] made or an earlier run returned. After a shape's
    /// first run this allocates nothing of the size of the data (on the reference it does). After an error `output` holds numbers of
    /// no meaning.
    ///
    /// # Errors
    /// As [`Engine::run`], and [`crate::Error::Length`] where `output` does not fit.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_into(&self, batch: &Batch<'_>, output: &mut Output) -> Result<()> {
        pollster::block_on(self.run_waiting(batch, output, Wait::Block))
    }

    /// [`Engine::run`], without blocking: the future polls the device when it is polled. On the CPU paths
    /// it computes when first polled.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn run_async(&self, batch: &Batch<'_>) -> Result<Output> {
        let mut output = self.output_of(batch)?;
        self.run_into_async(batch, &mut output).await?;
        Ok(output)
    }

    /// [`Engine::run_into`], without blocking.
    ///
    /// # Errors
    /// As [`Engine::run_into`].
    pub async fn run_into_async(&self, batch: &Batch<'_>, output: &mut Output) -> Result<()> {
        self.run_waiting(batch, output, Wait::Yield).await
    }

    pub(super) async fn run_waiting(&self, batch: &Batch<'_>, output: &mut Output, wait: Wait) -> Result<()> {
        let Inner { model, backend, options, progress, .. } = &*self.0;
        batch.check(model)?;
        output.check(&OutputShape::new(model, batch.form())?)?;
        self.check_range(|storage| batch.check_range(storage))?;
        if options.poison {
            output.fill(f32::NAN);
        }
        match backend {
            Backend::Gpu(_) => self.run_on_gpu(batch, output, wait).await,
            Backend::Cpu(engine) => {
                let mut scratch = lock(&engine.idle).pop().unwrap_or_default();
                let targets = cpu::Targets {
                    h: &mut output.h_n,
                    c: output.c_n.as_deref_mut().unwrap_or_default(),
                    y: &mut output.y,
                    out: output.out.as_deref_mut().unwrap_or_default(),
                };
                batch.initial_states(targets.h, targets.c);
                let given = cpu::Given::of(batch);
                let result = engine.network.run(&engine.processor, given, &mut scratch, targets, progress);
                lock(&engine.idle).push(scratch);
                result
            }
            Backend::Reference => {
                let truth = reference::run(model, batch)?;
                narrow(&truth.y, &mut output.y);
                narrow(&truth.h_n, &mut output.h_n);
                if let (Some(c_n), Some(c)) = (&mut output.c_n, &truth.c_n) {
                    narrow(c, c_n);
                }
                if let (Some(to), Some(out)) = (&mut output.out, &truth.out) {
                    narrow(out, to);
                }
                Ok(())
            }
        }
    }

    /// Holds x against what the device stores it in; the reference stores it as it is.
    pub(super) fn check_range(&self, check: impl FnOnce(Storage) -> Result<()>) -> Result<()> {
        match self.0.backend {
            Backend::Reference => Ok(()),
            Backend::Gpu(_) | Backend::Cpu(_) => check(self.0.options.precision.activations),
        }
    }
}

/// Rounds to f32.
pub(super) fn narrow(from: &[f64], to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::device::CpuOptions;
    use crate::model::{Cell, Direction, Layer, Weights};

    /// A panic on the CPU path is an error of its run, on one thread and on several; the engine goes on.
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
            let Backend::Cpu(cpu) = &engine.0.backend else { unreachable!("a CPU") };
            let mut failed = 0;
            for thread in 0..threads {
                let plant = |threads: std::ops::Range<usize>| {
                    lock(&cpu.idle).last_mut().expect("of the run before").plant(threads, 7);
                };
                plant(thread..thread + 1);
                // A run need not take as many threads as there are, and a thread may find nothing left.
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
