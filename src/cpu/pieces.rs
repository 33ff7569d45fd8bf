//! Pieces of a run's rows, which threads take while it runs. A late thread finds fewer pieces, and no thread waits for one that
//! has not begun.

use super::Network;
use super::primitives::{AtomicUsize, Ordering};
use super::split::Split;
use crate::io::RunShape;

/// The number of pieces for each thread, and the fewest rows of a piece.
const MOST: usize = 8;
const FEWEST: usize = 24;

/// Rows of a tile of most cells: a piece that is not a whole number of tiles is slower.
const TILE: usize = 8;

/// Bytes of weights that stay in the L2 cache from piece to piece. Weights beyond that are loaded again for each piece.
const NEAR: usize = 1 << 20;

impl Split {
    /// Whether each thread has rows of its own, so that none waits for another. Such rows are cut into pieces.
    pub(super) fn has_own_rows(&self) -> bool {
        self.threads() == self.rows
    }

    /// Cuts the rows of several threads into pieces.
    pub(super) fn in_pieces(self, network: &Network, run_shape: RunShape) -> Self {
        if self.rows == 1 || !self.has_own_rows() {
            return self;
        }
        let weights: usize =
            network.layers.iter().flatten().map(|one| one.w_ih.bytes() + one.w_hh.bytes()).sum();
        if weights > NEAR {
            return self;
        }
        let places = run_shape.dims.batch.div_ceil(self.rows);
        let pieces = (places / FEWEST).clamp(1, MOST);
        let rows = places.div_ceil(pieces).next_multiple_of(TILE);
        Self { block: self.block.min(rows), ..self }
    }
}

/// The pieces of a run's rows, each for the thread that takes it first.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    rows: &'a [usize],
    /// The most rows of a piece.
    most: usize,
    taken: AtomicUsize,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(rows: &'a [usize], most: usize) -> Self {
        Self { rows, most, taken: AtomicUsize::new(0) }
    }

    /// The next piece that no thread has taken.
    pub(super) fn next(&self) -> Option<&'a [usize]> {
        // The rows of a piece were fixed before the threads began, so a relaxed counter is enough.
        self.rows.chunks(self.most).nth(self.taken.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Processor;
    use crate::dims::Dims;
    use crate::dtype::Precision;
    use crate::model::{Cell, Direction, Layer, Model, Weights};

    fn network(hidden: usize) -> Network {
        let values = |len: usize| vec![0.1; len];
        let weights =
            Weights { w_ih: values(3 * hidden * 8), w_hh: values(3 * hidden * hidden), ..Weights::default() };
        let layer = Layer::new(Cell::GRU, Direction::Forward, 8, hidden, vec![weights]).unwrap();
        let processor = Processor::new(Some(1), None).unwrap();
        Network::new(&Model::new(vec![layer]).unwrap(), Precision::default(), &processor).unwrap()
    }

    /// No thread has more rows than before by more than a piece, and weights outside the L2 cache are not read more often.
    #[test]
    #[cfg_attr(miri, ignore = "large networks of which nothing is run")]
    fn many_rows_are_cut_finely_and_few_or_expensive_ones_are_not() {
        let (near, far) = (network(16), network(512));
        let mut most = 0;
        for (batch, threads) in (1..600).flat_map(|batch| [2, 3, 8].map(|threads| (batch, threads))) {
            let run_shape = RunShape::from(Dims { batch, steps: 1 });
            for split in
                Split::all(&near, run_shape, threads).filter(|split| split.has_own_rows() && split.rows > 1)
            {
                let cut = split.in_pieces(&near, run_shape);
                let places = batch.div_ceil(split.rows);
                assert!(
                    cut.block == places || cut.block % TILE == 0 && cut.block < places,
                    "{cut:?} of {batch}"
                );
                assert!(places < 2 * FEWEST || cut.block < places, "{cut:?} of {batch}");
                most = most.max(batch.div_ceil(cut.block).div_ceil(split.rows));
            }
            for split in Split::all(&far, run_shape, threads) {
                assert_eq!(split.in_pieces(&far, run_shape), split);
            }
        }
        assert!(most > 3 && most <= MOST, "{most}");
    }
}
