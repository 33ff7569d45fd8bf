//! The readout: its packed constants, and its activation.

use super::activation::{apply, clamp, exp};
use super::direction::rounded;
use super::panel::{Lines, Panel};
#[cfg(feature = "gpu")]
use super::simd::{Level, at_level};
use super::simd::{MOST_LANES, Simd, Work};
use crate::dtype::Precision;
use crate::error::Result;
use crate::model::{Activation, Constant, Model, Readout, ReadoutActivation, ReadoutSteps, pack};

#[derive(Debug)]
pub(super) struct Dense {
    pub(super) w: Panel,
    /// `[blocks, lanes]`.
    pub(super) b: Lines,
    pub(super) outputs: usize,
    pub(super) steps: ReadoutSteps,
    pub(super) activation: ReadoutActivation,
}

impl Dense {
    /// Packs `readout` of `model` for vectors of `lanes` numbers.
    pub(super) fn new(model: &Model, readout: &Readout, precision: Precision, lanes: usize) -> Result<Self> {
        let outputs = readout.outputs();
        let w = rounded(model, Constant::ReadoutW, precision.weights)?;
        let mut b = pack(model, Constant::ReadoutB);
        b.resize(outputs.next_multiple_of(lanes), 0.0);
        let w = Panel::new(&w, outputs, outputs, 0..1, lanes, precision.weights);
        Ok(Self { w, b: Lines::of(&b), outputs, steps: readout.steps(), activation: readout.activation() })
    }
}

/// `activation` of each row of O numbers in place, with the fastest instructions of this machine.
#[cfg(feature = "gpu")]
pub(crate) fn activate(activation: ReadoutActivation, rows: &mut [f32], outputs: usize) {
    at_level!(Level::best(), simd => rows.chunks_exact_mut(outputs).for_each(|row| simd.run(Row(activation, row))));
}

/// The activation of the outputs of one row and step, in place.
pub(super) struct Row<'a>(pub(super) ReadoutActivation, pub(super) &'a mut [f32]);

impl Work for Row<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        of_row(simd, self.0, self.1);
    }
}

/// Exponentials are summed in f64, one after the other, so no bit depends on the length of vectors. In modules of WebAssembly, whose size
/// counts, it is a call.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn of_row<S: Simd>(simd: S, activation: ReadoutActivation, row: &mut [f32]) {
    let own = match activation {
        ReadoutActivation::Linear => return,
        ReadoutActivation::Relu => Some(Activation::RELU),
        ReadoutActivation::Sigmoid => Some(Activation::SIGMOID),
        ReadoutActivation::Tanh => Some(Activation::TANH),
        ReadoutActivation::Softmax | ReadoutActivation::LogSoftmax => None,
    };
    // `max` drops a NaN, which comes back in the difference.
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let is_log = activation == ReadoutActivation::LogSoftmax;
    let mut sum = 0.0;
    for part in row.chunks_mut(S::LANES) {
        let mut lanes = [0.0; MOST_LANES];
        lanes[..part.len()].copy_from_slice(part);
        let x = simd.read(&lanes);
        let (difference, lowest) = (simd.sub(x, simd.splat(most)), simd.splat(-87.0));
        let (kept, y) = match own {
            Some(own) => (None, apply(simd, own, x)),
            None => {
                let [e] = exp(simd, [clamp(simd, difference, 87.0)]);
                let e = simd.if_less(difference, lowest, simd.splat(0.0), e);
                (is_log.then_some(difference), e)
            }
        };
        simd.write(y, &mut lanes);
        sum += lanes[..part.len()].iter().map(|e| f64::from(*e)).sum::<f64>();
        if let Some(difference) = kept {
            simd.write(difference, &mut lanes);
        }
        part.copy_from_slice(&lanes[..part.len()]);
    }
    match activation {
        ReadoutActivation::Softmax => row.iter_mut().for_each(|e| *e /= sum as f32),
        ReadoutActivation::LogSoftmax => {
            // The sum is 1 or more, since the largest has e⁰.
            let log = ((sum - 1.0) as f32).ln_1p();
            row.iter_mut().for_each(|difference| *difference -= log);
        }
        _ => {}
    }
}
