//! A stream: one hop at a time.

use std::fmt;
use std::sync::Arc;

use wgru::{Session, StepOutput};

use crate::blocks::{Bin, Blocks, NO_BIN, Shared, Transforms};
use crate::dtln::Dtln;
use crate::error::{Error, Result, check_samples};
use crate::{BINS, BLOCK, HOP};

/// One voice, 128 samples at a time. The states of the LSTMs are in the stream's sessions.
///
/// On the CPU path with one thread (`cpu:1`) [`Stream::process`] and [`Stream::push`] allocate nothing and take no lock, from the
/// second hop on.
pub struct Stream {
    blocks: Blocks,
    transforms: Transforms,
    shared: Arc<Shared>,
    cores: [(Session, StepOutput); 2],
    spectrum: [Bin; BINS],
    magnitudes: [f32; BINS],
    features: Vec<f32>,
    normed: Vec<f32>,
    /// Samples of [`Stream::push`] since the last hop, and the outputs of that hop.
    waiting: [f32; HOP],
    ready: [f32; HOP],
    count: usize,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Stream {
    pub(crate) fn new(dtln: &Dtln) -> Result<Self> {
        let open = |core: usize| -> Result<_> {
            let session = dtln.cores[core].session(1)?;
            let output = session.output()?;
            Ok((session, output))
        };
        let zeros = vec![0.0; dtln.shared.features()];
        Ok(Self {
            blocks: Blocks::EMPTY,
            transforms: Transforms::new(&dtln.shared),
            shared: dtln.shared.clone(),
            cores: [open(0)?, open(1)?],
            spectrum: [NO_BIN; BINS],
            magnitudes: [0.0; BINS],
            features: zeros.clone(),
            normed: zeros,
            waiting: [0.0; HOP],
            ready: [0.0; HOP],
            count: 0,
        })
    }

    /// The next 128 samples in; out come those of [`crate::LATENCY`] samples ago, without their noise.
    ///
    /// # Errors
    /// [`Error::Sample`], and then the stream is as before. [`Error::Engine`] where the device fails; then [`Stream::reset`] begins
    /// again. In a browser it runs on the CPU alone, because no thread may wait for a GPU.
    pub fn process(&mut self, hop_in: &[f32; HOP], hop_out: &mut [f32; HOP]) -> Result<()> {
        check_samples(hop_in)?;
        let [(first, mask_1), (second, mask_2)] = &mut self.cores;
        self.blocks.take(hop_in);
        self.transforms.analyse(&self.blocks, &mut self.spectrum, &mut self.magnitudes);
        first.step_into(&self.magnitudes, mask_1)?;
        let mut block = [0.0; BLOCK];
        self.transforms.mask(mask_1.out.as_deref().unwrap_or_default(), &mut self.spectrum, &mut block);
        self.shared.encode(&block, &mut self.features, &mut self.normed);
        second.step_into(&self.normed, mask_2)?;
        self.shared.decode(mask_2.out.as_deref().unwrap_or_default(), &mut self.features, &mut block);
        self.blocks.add(&block, hop_out);
        Ok(())
    }

    /// Any number of samples in, as many out: those of [`crate::PUSH_LATENCY`] samples ago. Samples wait until there are 128. Do not
    /// mix it with [`Stream::process`] on one stream.
    ///
    /// # Errors
    /// [`Error::Lengths`] where `out` is not as long as `samples`; otherwise as [`Stream::process`].
    pub fn push(&mut self, samples: &[f32], out: &mut [f32]) -> Result<()> {
        if samples.len() != out.len() {
            return Err(Error::Lengths { given: samples.len(), out: out.len() });
        }
        check_samples(samples)?;
        let (mut samples, mut out) = (samples, out);
        while !samples.is_empty() {
            let count = samples.len().min(HOP - self.count);
            let (now, later) = samples.split_at(count);
            let (room, rest) = out.split_at_mut(count);
            self.waiting[self.count..][..count].copy_from_slice(now);
            room.copy_from_slice(&self.ready[self.count..][..count]);
            (samples, out) = (later, rest);
            self.count += count;
            if self.count == HOP {
                self.count = 0;
                let (waiting, mut ready) = (self.waiting, [0.0; HOP]);
                self.process(&waiting, &mut ready)?;
                self.ready = ready;
            }
        }
        Ok(())
    }

    /// Begins again, as a new stream.
    pub fn reset(&mut self) {
        self.blocks = Blocks::EMPTY;
        for (session, _) in &mut self.cores {
            session.reset();
        }
        self.waiting.fill(0.0);
        self.ready.fill(0.0);
        self.count = 0;
    }
}
