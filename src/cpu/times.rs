//! Times of the parts of the work, in nanoseconds on one thread: for choosing between splits, and between this processor and a
//! GPU.
//!
//! Fitted by instruction set to runs on one processor, an AMD EPYC of family 26 (`benches/studies/predictions` times such runs,
//! `benches/records/cpu-predictions.csv` has them). Other processors differ by their clock and width, and all numbers are scaled
//! alike: [`super::Processor::calibrate`] measures the factor.

use super::simd::InstructionSet;
use crate::model::Cell;

/// What depends on the instruction set. A vector has as many numbers as the set's registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// A multiply-add of a vector.
    pub(super) fma: f64,
    /// A vector of weights from the L1 and the L2 cache, once for all rows of a tile.
    pub(super) first: f64,
    pub(super) second: f64,
    /// The additional time of a vector of weights from the L3 cache, once for all rows.
    pub(super) third: f64,
    /// The gates of a vector of units: of a GRU, an LSTM and an RNN.
    gates: [f64; 3],
    /// A multiply-add of a vector with nothing else to do: the measure for comparing processors.
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "nothing is timed there"))]
    pub(super) alone: f64,
}

/// The part of the L3 cache's time that each further thread adds, since it reads from there too.
pub(super) const CONTENTION: f64 = 0.25;

/// A step of a track, however small, and a row of it.
pub(super) const STEP: f64 = 36.0;
pub(super) const ROW: f64 = 19.0;

/// A barrier of two threads, and the start of a run with two.
pub(super) const BARRIER: f64 = 400.0;
pub(super) const START: f64 = 10_000.0;

impl Times {
    pub(super) const fn of(set: InstructionSet) -> Self {
        match set {
            InstructionSet::Avx512 => Self {
                fma: 0.138,
                first: 0.171,
                second: 0.377,
                third: 0.192,
                gates: [20.3, 24.2, 12.8],
                alone: 0.119,
            },
            InstructionSet::Avx2 => Self {
                fma: 0.135,
                first: 0.137,
                second: 0.219,
                third: 0.08,
                gates: [16.7, 20.7, 10.4],
                alone: 0.119,
            },
            // Not measured: instructions for a vector like those of AVX2, with half as many bytes.
            InstructionSet::Neon => Self {
                fma: 0.135,
                first: 0.137,
                second: 0.137,
                third: 0.04,
                gates: [16.7, 20.7, 10.4],
                alone: 0.119,
            },
            // Those of WebAssembly are not measured: they have vectors of the same length.
            InstructionSet::Portable | InstructionSet::Simd128 | InstructionSet::RelaxedSimd => Self {
                fma: 0.251,
                first: 0.195,
                second: 0.231,
                third: 0.0,
                gates: [24.7, 30.1, 10.8],
                alone: 0.143,
            },
        }
    }

    /// The gates of a vector of units.
    pub(super) fn gates(&self, cell: Cell) -> f64 {
        let [gru, lstm, rnn] = self.gates;
        match cell {
            Cell::Gru { .. } => gru,
            Cell::Lstm { .. } => lstm,
            Cell::Rnn => rnn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Network, Processor};
    use crate::dims::Dims;
    use crate::dtype::Precision;
    use crate::model::{Direction, Layer, Model, Weights};

    /// Nanoseconds of ten steps on one thread.
    fn expected(set: InstructionSet, cell: Cell, batch: usize, units: usize) -> u128 {
        let values = |len: usize| vec![0.1; cell.gates() * units * len];
        let weights = Weights { w_ih: values(16), w_hh: values(units), ..Weights::default() };
        let layer = Layer::new(cell, Direction::Forward, 16, units, vec![weights]).unwrap();
        let processor = Processor::new(Some(1), Some(set)).unwrap();
        let network =
            Network::new(&Model::new(vec![layer]).unwrap(), Precision::default(), &processor).unwrap();
        network.expected(Dims { batch, steps: 10 }.into(), &processor).as_nanos()
    }

    /// The expected time grows with the work and with shorter vectors.
    #[test]
    #[cfg_attr(miri, ignore = "large networks of which nothing is run")]
    fn more_work_and_shorter_vectors_take_longer() {
        let cells = [Cell::Rnn, Cell::GRU, Cell::LSTM];
        let sets: Vec<_> = InstructionSet::available().collect();
        // Whole vectors of every set, from the L1 to the L3 cache.
        for units in [16, 64, 256, 640] {
            for batch in [1, 2, 4, 8, 16, 64, 256] {
                let of = |set, cell| expected(set, cell, batch, units);
                for &set in &sets {
                    let times = cells.map(|cell| of(set, cell));
                    assert!(times.is_sorted_by(|a, b| a < b), "{set}, B = {batch}, H = {units}: {times:?}");
                    for (cell, time) in cells.into_iter().zip(times) {
                        let of_more =
                            [expected(set, cell, 2 * batch, units), expected(set, cell, batch, 2 * units)];
                        assert!(
                            of_more.iter().all(|&more| more > time),
                            "{set}, {cell}, B = {batch}, H = {units}"
                        );
                    }
                }
                for cell in cells {
                    let times: Vec<_> = sets.iter().map(|&set| of(set, cell)).collect();
                    assert!(times.is_sorted(), "{sets:?}, {cell}, B = {batch}, H = {units}: {times:?}");
                }
            }
        }
    }
}
