//! What lies between the LSTMs: the spectrum of a block, the encoder and layer norm, the decoder and overlap-add.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::cores::{Core2, Norm};
use crate::dense::{Dense, sigmoid};
use crate::{BINS, BLOCK, HOP};

/// A bin of a spectrum.
pub(crate) type Bin = Complex<f32>;
pub(crate) const NO_BIN: Bin = Complex { re: 0.0, im: 0.0 };

/// The constants that every stream shares.
pub(crate) struct Shared {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    encoder: Dense,
    norm: Norm,
    decoder: Dense,
}

impl Shared {
    pub(crate) fn new(core: &Core2) -> Self {
        let mut planner = RealFftPlanner::new();
        Self {
            forward: planner.plan_fft_forward(BLOCK),
            inverse: planner.plan_fft_inverse(BLOCK),
            encoder: Dense::new(&core.encoder, BLOCK),
            norm: core.norm.clone(),
            decoder: Dense::new(&core.decoder, core.model.input()),
        }
    }

    /// F, the features of the encoder.
    pub(crate) fn features(&self) -> usize {
        self.encoder.outputs()
    }

    /// Encodes R blocks, `[R, 512]`; `features` and `normed`: `[R, F]`.
    pub(crate) fn encode(&self, blocks: &[f32], features: &mut [f32], normed: &mut [f32]) {
        self.encoder.apply(blocks, features);
        let rows = features.chunks_exact(self.features()).zip(normed.chunks_exact_mut(self.features()));
        for (features, normed) in rows {
            self.norm.apply(features, normed);
        }
    }

    /// Masks R rows of features and decodes them. `masks`, before the sigmoid, and `features`: `[R, F]`; `blocks`: `[R, 512]`.
    pub(crate) fn decode(&self, masks: &[f32], features: &mut [f32], blocks: &mut [f32]) {
        for (feature, &mask) in features.iter_mut().zip(masks) {
            *feature *= sigmoid(mask);
        }
        self.decoder.apply(features, blocks);
    }
}

/// The transforms, with the memory they need.
pub(crate) struct Transforms {
    shared: Arc<Shared>,
    block: [f32; BLOCK],
    scratch: Vec<Bin>,
}

impl Transforms {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let scratch = shared.forward.get_scratch_len().max(shared.inverse.get_scratch_len());
        Self { shared: shared.clone(), block: [0.0; BLOCK], scratch: vec![NO_BIN; scratch] }
    }

    /// The spectrum X of the last block and |X|: `[257]`.
    pub(crate) fn analyse(&mut self, blocks: &Blocks, spectrum: &mut [Bin], magnitudes: &mut [f32]) {
        self.block = blocks.input;
        // Only a slice of another length is an error.
        let _ = self.shared.forward.process_with_scratch(&mut self.block, spectrum, &mut self.scratch);
        for (magnitude, bin) in magnitudes.iter_mut().zip(spectrum) {
            *magnitude = (bin.re * bin.re + bin.im * bin.im).sqrt();
        }
    }

    /// Masks a spectrum and gives its block, `[512]`. `mask`, before the sigmoid: `[257]`.
    pub(crate) fn mask(&mut self, mask: &[f32], spectrum: &mut [Bin], block: &mut [f32]) {
        for (bin, &mask) in spectrum.iter_mut().zip(mask) {
            // The inverse divides by the length.
            *bin *= sigmoid(mask) / BLOCK as f32;
        }
        // The spectrum of real samples is real at both ends; realfft returns an error otherwise.
        spectrum[0].im = 0.0;
        spectrum[BINS - 1].im = 0.0;
        let _ = self.shared.inverse.process_with_scratch(spectrum, block, &mut self.scratch);
    }
}

/// The samples that one stream keeps from hop to hop.
#[derive(Clone)]
pub(crate) struct Blocks {
    /// The last samples in.
    input: [f32; BLOCK],
    /// The sums of the blocks that overlap.
    output: [f32; BLOCK],
}

impl Blocks {
    pub(crate) const EMPTY: Self = Self { input: [0.0; BLOCK], output: [0.0; BLOCK] };

    /// Takes a hop in.
    pub(crate) fn take(&mut self, hop: &[f32; HOP]) {
        self.input.copy_within(HOP.., 0);
        self.input[BLOCK - HOP..].copy_from_slice(hop);
    }

    /// Adds a decoded block, `[512]`; gives the samples that are complete.
    pub(crate) fn add(&mut self, block: &[f32], hop: &mut [f32; HOP]) {
        self.output.copy_within(HOP.., 0);
        self.output[BLOCK - HOP..].fill(0.0);
        for (sum, sample) in self.output.iter_mut().zip(block) {
            *sum += sample;
        }
        hop.copy_from_slice(&self.output[..HOP]);
    }
}

impl Norm {
    /// `γ ⊙ (f − mean) / √(variance + ε) + β`.
    fn apply(&self, features: &[f32], normed: &mut [f32]) {
        let count = features.len() as f32;
        let mean = features.iter().sum::<f32>() / count;
        let variance = features.iter().map(|f| (f - mean) * (f - mean)).sum::<f32>() / count;
        let deviation = (variance + self.epsilon).sqrt();
        let constants = self.gamma.iter().zip(&self.beta);
        for ((normed, feature), (gamma, beta)) in normed.iter_mut().zip(features).zip(constants) {
            *normed = gamma * ((feature - mean) / deviation) + beta;
        }
    }
}
