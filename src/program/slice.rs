//! Matrices that exceed a binding, in slices of columns.
//!
//! A slice has the same columns of every gate and of every direction, in its own array. A kernel that reads it
//! computes only these columns.

use crate::dtype::Precision;
use crate::model::{Constant, Model};

/// Some columns of each gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The first.
    pub first: usize,
    /// How many.
    pub count: usize,
}

/// Consecutive k that lie together in a matrix on a device.
pub(super) const QUAD: usize = 4;

/// A matrix as it lies on a device: `[rows, gates, units]` of `words` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    /// Directions times quads down a column.
    pub rows: usize,
    /// Gates that a slice has a part of.
    pub gates: usize,
    /// Columns of a gate.
    pub units: usize,
    /// Words of a quad.
    pub words: usize,
}

impl Matrix {
    /// The matrix of a constant, `None` for other constants. A matrix of a matmul has one gate of all its columns.
    pub fn of(model: &Model, constant: Constant, precision: Precision) -> Option<Self> {
        let columns = |layer: usize| model.layers()[layer].cell().gates() * model.layers()[layer].hidden();
        let (first, last) = (&model.layers()[0], model.layers().len() - 1);
        let dirs = first.direction().count();
        let quads = |k: usize| k.div_ceil(QUAD);
        let of_y = |layer: usize| quads(crate::plan::output_columns(&model.layers()[layer], precision));
        let (rows, gates, units) = match constant {
            Constant::WIh(0) => (dirs * quads(first.input()), 1, columns(0)),
            Constant::WIh(layer) => (dirs * of_y(layer - 1), 1, columns(layer)),
            Constant::WHh(layer) => {
                let layer = &model.layers()[layer];
                (dirs * quads(layer.state_size()), layer.cell().gates(), layer.hidden())
            }
            Constant::WHr(layer) => {
                let layer = &model.layers()[layer];
                (dirs * quads(layer.hidden()), 1, layer.state_size())
            }
            Constant::ReadoutW => (of_y(last), 1, model.readout().map_or(0, |r| r.outputs())),
            Constant::Bias(_) | Constant::BHn(_) | Constant::Peepholes(_) | Constant::ReadoutB => {
                return None;
            }
        };
        Some(Self { rows, gates, units, words: precision.weights.words(QUAD) })
    }

    /// Slices of at most `most` words, and of two columns at least, since two may share a word of y.
    pub fn slices(self, most: usize) -> Vec<Slice> {
        let fitting = most / (self.rows * self.gates * self.words).max(1);
        let count = match fitting {
            _ if fitting >= self.units => self.units.max(1),
            // Whole workgroups, where enough columns fit.
            64.. => fitting / 64 * 64,
            _ => (fitting / 2 * 2).max(2),
        };
        let firsts = (0..self.units).step_by(count);
        firsts.map(|first| Slice { first, count: count.min(self.units - first) }).collect()
    }

    /// The words of `slice`, out of all.
    pub fn cut(self, words: &[u32], slice: Slice) -> Vec<u32> {
        let gates = words.chunks_exact(self.units * self.words);
        let range = slice.first * self.words..(slice.first + slice.count) * self.words;
        gates.flat_map(|gate| &gate[range.clone()]).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_every_column_once() {
        let matrix = Matrix { rows: 3, gates: 2, units: 130, words: 1 };
        assert_eq!(matrix.slices(780), [Slice { first: 0, count: 130 }]);
        let slices = matrix.slices(779);
        assert_eq!(slices, [Slice { first: 0, count: 128 }, Slice { first: 128, count: 2 }]);
        let words: Vec<u32> = (0..780).collect();
        let cut: Vec<Vec<u32>> = slices.iter().map(|&slice| matrix.cut(&words, slice)).collect();
        assert_eq!(cut[0].len(), 768);
        assert_eq!(cut[1], [128, 129, 258, 259, 388, 389, 518, 519, 648, 649, 778, 779]);
        assert_eq!(matrix.slices(1).len(), 65);
        let fours = Matrix { rows: 1, gates: 1, units: 3, words: 4 };
        assert_eq!(fours.cut(&words[..12], Slice { first: 2, count: 1 }), [8, 9, 10, 11]);
        assert_eq!(Matrix { units: 100, ..matrix }.slices(600).len(), 1);
    }
}
