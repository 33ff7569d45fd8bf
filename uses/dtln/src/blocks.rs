//! What lies between the LSTMs of one stream: the spectrum of a block, the encoder and layer norm, the decoder and overlap-add.

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
}

/// The samples that one stream keeps from hop to hop.
pub(crate) struct Blocks {
    shared: Arc<Shared>,
    /// The last samples in.
    input: [f32; BLOCK],
    /// The sums of the blocks that overlap.
    output: [f32; BLOCK],
    /// A block that the transforms and the encoder use.
    block: [f32; BLOCK],
    scratch: Vec<Bin>,
}

impl Blocks {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let scratch = shared.forward.get_scratch_len().max(shared.inverse.get_scratch_len());
        let zeros = [0.0; BLOCK];
        Self { shared, input: zeros, output: zeros, block: zeros, scratch: vec![NO_BIN; scratch] }
    }

    pub(crate) fn reset(&mut self) {
        self.input.fill(0.0);
        self.output.fill(0.0);
    }

    /// Takes a hop in. `spectrum` and `magnitudes`, X and |X|: `[257]`.
    pub(crate) fn analyse(&mut self, hop: &[f32], spectrum: &mut [Bin], magnitudes: &mut [f32]) {
        self.input.copy_within(HOP.., 0);
        self.input[BLOCK - HOP..].copy_from_slice(hop);
        self.block = self.input;
        // Only a slice of another length is an error.
        let _ = self.shared.forward.process_with_scratch(&mut self.block, spectrum, &mut self.scratch);
        for (magnitude, bin) in magnitudes.iter_mut().zip(spectrum) {
            *magnitude = (bin.re * bin.re + bin.im * bin.im).sqrt();
        }
    }

    /// Masks the spectrum and encodes its block. `mask`, before the sigmoid: `[257]`; `features` and `normed`: `[F]`.
    pub(crate) fn encode(
        &mut self,
        mask: &[f32],
        spectrum: &mut [Bin],
        features: &mut [f32],
        normed: &mut [f32],
    ) {
        for (bin, &mask) in spectrum.iter_mut().zip(mask) {
            // The inverse divides by the length.
            *bin *= sigmoid(mask) / BLOCK as f32;
        }
        // The spectrum of real samples is real at both ends; realfft returns an error otherwise.
        spectrum[0].im = 0.0;
        spectrum[BINS - 1].im = 0.0;
        let _ = self.shared.inverse.process_with_scratch(spectrum, &mut self.block, &mut self.scratch);
        self.shared.encoder.apply(&self.block, features);
        self.shared.norm.apply(features, normed);
    }

    /// Masks the features, decodes them and adds the block. `mask`, before the sigmoid: `[F]`; `hop`: the samples that are complete.
    pub(crate) fn decode(&mut self, mask: &[f32], features: &mut [f32], hop: &mut [f32]) {
        for (feature, &mask) in features.iter_mut().zip(mask) {
            *feature *= sigmoid(mask);
        }
        self.shared.decoder.apply(features, &mut self.block);
        self.output.copy_within(HOP.., 0);
        self.output[BLOCK - HOP..].fill(0.0);
        for (sum, sample) in self.output.iter_mut().zip(&self.block) {
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
