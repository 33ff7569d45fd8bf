//! The consensus network of medaka: two bidirectional GRU layers, then a dense layer and softmax over five symbols at every column.
//!
//! ```text
//! features [N, T, 10]   counts of each base, of each strand, divided by the column's depth
//! scores   [N, T, 5]    probabilities of a gap, A, C, G and T
//! ```

use std::error::Error;

use safetensors::{Dtype, SafeTensors};
use wgru::import::PyTorch;
use wgru::{Batch, Engine, ReadoutActivation, ReadoutSteps};

/// The symbols in the order of the outputs; the first is a gap.
pub const SYMBOLS: [u8; 5] = *b"*ACGT";

/// Reads the network from a file with PyTorch's names. `activation` is softmax, or linear for the numbers before it.
pub fn importer(activation: ReadoutActivation) -> PyTorch {
    PyTorch::new().prefix("gru.").readout("linear", ReadoutSteps::Every).readout_activation(activation)
}

/// Windows of a pileup.
pub struct Windows {
    /// `[N, T, I]`.
    pub features: Vec<f32>,
    /// N, T and I.
    pub shape: [usize; 3],
}

impl Windows {
    /// From a safetensors file with the tensor `features`, `[N, T, I]` in f32.
    ///
    /// # Errors
    /// A file of another format, or with another tensor.
    pub fn parse(bytes: &[u8]) -> Result<Self, Box<dyn Error>> {
        let file = SafeTensors::deserialize(bytes)?;
        let features = file.tensor("features")?;
        let &[windows, columns, input] = features.shape() else {
            return Err(format!("features: expected [N, T, I], got {:?}", features.shape()).into());
        };
        if features.dtype() != Dtype::F32 {
            return Err(format!("features: expected F32, got {:?}", features.dtype()).into());
        }
        let numbers = features.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok(Self { features: numbers.collect(), shape: [windows, columns, input] })
    }
}

/// The scores of every column, `[N, T, 5]`, in batches of at most `batch` windows.
///
/// # Errors
/// Those of a run, and a model without a readout of five outputs at every step.
pub fn scores(engine: &Engine, windows: &Windows, batch: usize) -> Result<Vec<f32>, Box<dyn Error>> {
    let [_, columns, input] = windows.shape;
    let mut scores = Vec::new();
    for features in windows.features.chunks(batch * columns * input) {
        let rows = features.len() / (columns * input);
        let output = engine.run(&Batch::new(features, [rows, columns, input])?)?;
        let out = output.out.ok_or("the model has no readout")?;
        if out.len() != rows * columns * SYMBOLS.len() {
            return Err(format!("expected {} scores of each column", SYMBOLS.len()).into());
        }
        scores.extend(out);
    }
    Ok(scores)
}

/// The most probable symbol of each column of `probabilities`, `[T, 5]`.
pub fn symbols(probabilities: &[f32]) -> impl Iterator<Item = (usize, f32)> {
    let best = |column: &[f32]| {
        let all = column.iter().copied().enumerate();
        all.fold((0, f32::NEG_INFINITY), |best, one| if one.1 > best.1 { one } else { best })
    };
    probabilities.chunks_exact(SYMBOLS.len()).map(best)
}

/// The consensus of a window: its bases without gaps, and their qualities −10 log₁₀(1 − p) up to 60, as characters from `!` on.
pub fn consensus(probabilities: &[f32]) -> [String; 2] {
    let kept = || symbols(probabilities).filter(|(symbol, _)| *symbol != 0);
    let quality = |p: f32| (-10.0 * (1.0 - p).max(1e-6).log10()).round() as u8;
    let bases = kept().map(|(symbol, _)| char::from(SYMBOLS[symbol])).collect();
    [bases, kept().map(|(_, p)| char::from(b'!' + quality(p))).collect()]
}
