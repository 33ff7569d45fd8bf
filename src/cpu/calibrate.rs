//! How fast this processor is relative to the one that predictions were fitted on. This is the only place where the library
//! measures time: only if the caller calls [`Device::calibrate`](crate::Device::calibrate), and within 20 ms.

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Processor;
use super::simd::{Simd, Work, at_level};
use super::times::Times;

/// Products and sums in registers alone: nothing that reads memory can be faster.
struct Sums {
    rounds: usize,
}

/// Sums under way at once: enough to hide the latency of each, few enough for the registers of every set.
const CHAINS: usize = 10;

/// Rounds of one measurement, some 40 µs, and the number of measurements. The fastest counts, since nothing interrupted it. After
/// the time limit no further measurement begins.
const ROUNDS: usize = 1 << 15;
const TRIES: usize = 40;
const LONG: Duration = Duration::from_millis(10);

impl Work for Sums {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let factor = simd.splat(black_box(0.5));
        let mut sums = [simd.splat(black_box(1.0)); CHAINS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.fma(*sum, factor, factor);
            }
        }
        let mut out = [0.0; 16];
        for sum in sums {
            simd.write(sum, &mut out);
            black_box(&mut out);
        }
    }
}

impl Processor {
    /// Measures, on one thread, the time of a multiply-add, as a multiple of its time on the processor that [`Times`] were fitted
    /// on. Predictions are scaled by it from then on.
    pub(crate) fn calibrate(&self) -> f64 {
        let time = || {
            let began = Instant::now();
            at_level!(self.level, simd => simd.run(Sums { rounds: ROUNDS }));
            began.elapsed().as_secs_f64()
        };
        let (began, mut fastest) = (Instant::now(), time());
        for _ in 1..TRIES {
            if began.elapsed() > LONG {
                break;
            }
            fastest = fastest.min(time());
        }
        let each = fastest * 1e9 / (ROUNDS * CHAINS) as f64;
        // No processor is so far from another; the clock may be wrong by that much.
        let slowness = (each / Times::of(self.level.set()).alone).clamp(0.05, 100.0);
        self.slowness.store(slowness.to_bits(), Ordering::Relaxed);
        slowness
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::InstructionSet;
    use super::*;
    use crate::cpu::Network;
    use crate::dims::Dims;
    use crate::dtype::Precision;
    use crate::model::{Cell, Direction, Layer, Model, Weights};

    /// Before calibration, the processor is taken for the one of the fit. Afterwards predictions are scaled.
    #[test]
    #[cfg_attr(miri, ignore = "an interpreter is no processor")]
    fn predictions_follow_the_calibration() {
        let weights =
            Weights { w_ih: vec![0.1; 3 * 64 * 8], w_hh: vec![0.1; 3 * 64 * 64], ..Weights::default() };
        let layer = Layer::new(Cell::GRU, Direction::Forward, 8, 64, vec![weights]).unwrap();
        let model = Model::new(vec![layer]).unwrap();
        for set in InstructionSet::available() {
            let processor = Processor::new(Some(1), Some(set)).unwrap();
            let network = Network::new(&model, Precision::default(), &processor).unwrap();
            let expected =
                || network.expected(Dims { batch: 16, steps: 1000 }.into(), &processor).as_secs_f64();
            let before = expected();
            let slowness = processor.calibrate();
            let off = expected() / (before * slowness) - 1.0;
            assert!(
                (0.05..=100.0).contains(&slowness) && off.abs() < 1e-6,
                "{set}: {slowness}, off by {off}"
            );
        }
    }
}
