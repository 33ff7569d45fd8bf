//! A network on a device, and whole recordings.

use std::fmt;
use std::sync::Arc;

use wgru::{Batch, Device, Engine, Output};

use crate::blocks::{Bin, Blocks, NO_BIN, Shared, Transforms};
use crate::cores::{Core1, Core2};
use crate::error::{Result, check_samples};
#[cfg(not(target_arch = "wasm32"))]
use crate::pool::Pool;
use crate::stream::Stream;
use crate::{BINS, BLOCK, HOP, LATENCY};

/// Hops of a recording that are computed together.
const CHUNK: usize = 1024;

/// DTLN on a device. Clones share the weights.
#[derive(Clone)]
pub struct Dtln {
    pub(crate) cores: [Engine; 2],
    pub(crate) shared: Arc<Shared>,
}

impl fmt::Debug for Dtln {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dtln").field("cores", &self.cores).finish_non_exhaustive()
    }
}

impl Dtln {
    /// Reads the two ONNX files of the cores and loads them on a device.
    ///
    /// The graphs are followed from their outputs to their inputs; whatever computes something else than DTLN is refused. Sizes of
    /// LSTMs and encoder are free, a block has 512 samples.
    ///
    /// # Errors
    /// [`Error::Core`](crate::Error::Core) for a file that is not that core, with the node where it differs;
    /// [`Error::Engine`](crate::Error::Engine) for weights that are refused, and where the device fails.
    pub fn from_onnx(core_1: &[u8], core_2: &[u8], device: &Device) -> Result<Self> {
        let (first, second) = (Core1::read(core_1)?, Core2::read(core_2)?);
        let shared = Arc::new(Shared::new(&second));
        Ok(Self { cores: [device.load(&first.model)?, device.load(&second.model)?], shared })
    }

    /// The device.
    pub fn device(&self) -> &Device {
        self.cores[0].device()
    }

    /// Opens a stream: 128 samples at a time, as in a call.
    ///
    /// # Errors
    /// Those of [`Engine::session`].
    pub fn stream(&self) -> Result<Stream> {
        Stream::new(self)
    }

    /// Opens a pool with room for so many streams: a tick computes a hop of each.
    ///
    /// # Errors
    /// Those of [`Engine::pool`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn pool(&self, streams: usize) -> Result<Pool> {
        Pool::new(self, streams)
    }

    /// A recording without its noise, as many samples, not delayed. The LSTMs run over 8 seconds at once, with the bits of a
    /// [`Stream`] on the same device.
    ///
    /// # Errors
    /// [`Error::Sample`](crate::Error::Sample); [`Error::Engine`](crate::Error::Engine) where the device fails, and for a GPU in a
    /// browser, where no thread may wait: [`Dtln::denoise_async`].
    pub fn denoise(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let mut recording = Recording::new(self, samples)?;
        while let Some(magnitudes) = recording.analyse() {
            let masks = self.cores[0].run(&recording.states[0].batch(&magnitudes)?)?;
            let normed = recording.encode(masks);
            let masks = self.cores[1].run(&recording.states[1].batch(&normed)?)?;
            recording.decode(masks);
        }
        Ok(recording.denoised())
    }

    /// [`Dtln::denoise`], without blocking.
    ///
    /// # Errors
    /// [`Error::Sample`](crate::Error::Sample); [`Error::Engine`](crate::Error::Engine) where the device fails.
    pub async fn denoise_async(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let mut recording = Recording::new(self, samples)?;
        while let Some(magnitudes) = recording.analyse() {
            let masks = self.cores[0].run_async(&recording.states[0].batch(&magnitudes)?).await?;
            let normed = recording.encode(masks);
            let masks = self.cores[1].run_async(&recording.states[1].batch(&normed)?).await?;
            recording.decode(masks);
        }
        Ok(recording.denoised())
    }
}

/// The final states of a core's LSTMs after the hops so far; zero before them.
#[derive(Default)]
struct States {
    features: usize,
    h: Vec<f32>,
    c: Vec<f32>,
}

impl States {
    /// A sequence that begins with them. `x`: `[1, T, I]`.
    fn batch<'a>(&'a self, x: &'a [f32]) -> Result<Batch<'a>> {
        let batch = Batch::new(x, [1, x.len() / self.features, self.features])?;
        Ok(if self.h.is_empty() { batch } else { batch.h0(&self.h).c0(&self.c) })
    }

    /// Keeps the final states of a run; the masks before the sigmoid, `[T, O]`.
    fn keep(&mut self, output: Output) -> Vec<f32> {
        self.h = output.h_n;
        self.c = output.c_n.unwrap_or_default();
        output.out.unwrap_or_default()
    }
}

/// A recording while it is computed, chunk by chunk.
struct Recording<'a> {
    samples: &'a [f32],
    blocks: Blocks,
    transforms: Transforms,
    shared: Arc<Shared>,
    size: usize,
    states: [States; 2],
    /// Hops so far, and those of all: the last block needs zeros after the end.
    done: usize,
    all: usize,
    /// Of the hops of a chunk: `[T, 257]`, `[T, F]` and `[T, 512]`.
    spectra: Vec<Bin>,
    features: Vec<f32>,
    block_rows: Vec<f32>,
    out: Vec<f32>,
}

impl<'a> Recording<'a> {
    fn new(dtln: &Dtln, samples: &'a [f32]) -> Result<Self> {
        check_samples(samples)?;
        let size = dtln.shared.features();
        let all = if samples.is_empty() { 0 } else { (samples.len() + LATENCY).div_ceil(HOP) };
        Ok(Self {
            samples,
            blocks: Blocks::EMPTY,
            transforms: Transforms::new(&dtln.shared),
            shared: dtln.shared.clone(),
            size,
            states: [BINS, size].map(|features| States { features, ..States::default() }),
            done: 0,
            all,
            spectra: Vec::new(),
            features: Vec::new(),
            block_rows: Vec::new(),
            out: Vec::with_capacity(all * HOP),
        })
    }

    /// The magnitudes of the next hops, `[T, 257]`; `None` after the last.
    fn analyse(&mut self) -> Option<Vec<f32>> {
        let hops = CHUNK.min(self.all - self.done);
        let mut magnitudes = vec![0.0; hops * BINS];
        self.spectra.clear();
        self.spectra.resize(hops * BINS, NO_BIN);
        let both = self.spectra.chunks_exact_mut(BINS).zip(magnitudes.chunks_exact_mut(BINS));
        for (hop, (spectrum, magnitudes)) in (self.done..).zip(both) {
            let mut samples = [0.0; HOP];
            let rest = self.samples.get(hop * HOP..).unwrap_or_default();
            let count = rest.len().min(HOP);
            samples[..count].copy_from_slice(&rest[..count]);
            self.blocks.take(&samples);
            self.transforms.analyse(&self.blocks, spectrum, magnitudes);
        }
        self.done += hops;
        (hops > 0).then_some(magnitudes)
    }

    /// The features of those hops after the layer norm, `[T, F]`.
    fn encode(&mut self, masks: Output) -> Vec<f32> {
        let masks = self.states[0].keep(masks);
        let hops = masks.len() / BINS;
        let mut normed = vec![0.0; hops * self.size];
        self.features.resize(normed.len(), 0.0);
        self.block_rows.resize(hops * BLOCK, 0.0);
        let spectra = masks.chunks_exact(BINS).zip(self.spectra.chunks_exact_mut(BINS));
        for ((mask, spectrum), block) in spectra.zip(self.block_rows.chunks_exact_mut(BLOCK)) {
            self.transforms.mask(mask, spectrum, block);
        }
        self.shared.encode(&self.block_rows, &mut self.features, &mut normed);
        normed
    }

    fn decode(&mut self, masks: Output) {
        let masks = self.states[1].keep(masks);
        self.shared.decode(&masks, &mut self.features, &mut self.block_rows);
        for block in self.block_rows.chunks_exact(BLOCK) {
            let mut hop = [0.0; HOP];
            self.blocks.add(block, &mut hop);
            self.out.extend(hop);
        }
    }

    fn denoised(mut self) -> Vec<f32> {
        self.out.drain(..LATENCY.min(self.out.len()));
        self.out.truncate(self.samples.len());
        self.out
    }
}
