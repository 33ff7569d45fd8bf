//! A model's constants as words of the device, in the storage type of a run.

use super::slice::QUAD;
use crate::dtype::{Precision, Storage};
use crate::error::Result;
use crate::model::{Constant, Layer, Model, pack};

/// The words of a constant. Matrices are stored as `precision.weights`, `[D, ⌈K/4⌉, N]` of four k each, which are 0
/// past K; everything else is in f32. Where 16-bit sequences pad each direction's features, the matrix that reads
/// them has rows of 0 in those places.
///
/// # Errors
/// [`crate::Error::Mismatch`] for a weight beyond the range of f16.
pub fn constant_words(model: &Model, constant: Constant, precision: Precision) -> Result<Vec<u32>> {
    let values = pack(model, constant);
    let layers = model.layers();
    let (first, last) = (&layers[0], layers.len() - 1);
    let dirs = first.direction().count();
    // With the layer whose y the matrix reads, if any.
    let (sets, k, read) = match constant {
        Constant::WIh(0) => (dirs, first.input(), None),
        Constant::WIh(layer) => (dirs, layers[layer - 1].output(), Some(&layers[layer - 1])),
        Constant::WHh(_) => (dirs, first.state_size(), None),
        Constant::WHr(_) => (dirs, first.hidden(), None),
        Constant::ReadoutW => (1, layers[last].output(), Some(&layers[last])),
        Constant::Bias(_) | Constant::BHn(_) | Constant::Peepholes(_) | Constant::ReadoutB => {
            return Ok(values.into_iter().map(f32::to_bits).collect());
        }
    };
    precision.weights.check_range(&constant.to_string(), &values)?;
    let n = values.len() / (sets * k);
    let mut words = Vec::new();
    for matrix in values.chunks_exact(k * n) {
        words.extend(match read {
            Some(read) => matrix_words(&spread(matrix, n, read, precision), n, precision.weights),
            None => matrix_words(matrix, n, precision.weights),
        });
    }
    Ok(words)
}

/// `matrix`, `[D·P, N]`, with rows of 0 between the directions where their features are padded.
fn spread(matrix: &[f32], n: usize, layer: &Layer, precision: Precision) -> Vec<f32> {
    let (state, padded) = (layer.state_size(), precision.activations.padded(layer.state_size()));
    let mut spread = Vec::with_capacity(matrix.len() + n);
    for (index, rows) in matrix.chunks_exact(state * n).enumerate() {
        spread.resize(index * padded * n, 0.0);
        spread.extend_from_slice(rows);
    }
    spread
}

/// `matrix`, `[K, N]`, as words.
fn matrix_words(matrix: &[f32], n: usize, storage: Storage) -> Vec<u32> {
    let mut words = Vec::with_capacity(storage.words((matrix.len() / n).next_multiple_of(QUAD) * n));
    for rows in matrix.chunks(QUAD * n) {
        for column in 0..n {
            let four: [f32; QUAD] = std::array::from_fn(|k| rows.get(k * n + column).copied().unwrap_or(0.0));
            if storage.is_half() {
                words.extend(four.chunks_exact(2).map(|pair| storage.pack(pair[0], pair[1])));
            } else {
                words.extend(four.map(f32::to_bits));
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cell, Direction, Weights};

    fn stack(value: f32) -> Model {
        let layer = |input: usize| {
            let ramp = |len: usize| (1..=len).map(|i| i as f32 * value).collect();
            let weights = Weights { w_ih: ramp(input), w_hh: ramp(1), ..Weights::default() };
            Layer::new(Cell::Rnn, Direction::Bidirectional, input, 1, vec![weights; 2]).unwrap()
        };
        Model::new(vec![layer(3), layer(2)]).unwrap()
    }

    #[test]
    fn four_k_lie_together_and_padding_reads_zero() {
        let model = stack(1.0);
        let bf16 = Storage::Bf16;
        let precision = Precision { weights: bf16, activations: bf16 };
        let words = |constant| constant_words(&model, constant, precision).unwrap();
        let [one, two, three] = [bf16.pack(1.0, 2.0), bf16.pack(3.0, 0.0), bf16.pack(1.0, 0.0)];
        assert_eq!(words(Constant::WIh(0)), [one, two, one, two]);
        // Each direction's single feature lies in a word of its own: features 0, none, 1.
        assert_eq!(words(Constant::WIh(1)), [three, bf16.pack(2.0, 0.0), three, bf16.pack(2.0, 0.0)]);
        let whole = constant_words(&model, Constant::WIh(0), Precision::default()).unwrap();
        assert_eq!(whole[..4], [1.0f32, 2.0, 3.0, 0.0].map(f32::to_bits));
        assert_eq!(words(Constant::Bias(0)), [0, 0]);
    }

    #[test]
    fn what_f16_cannot_hold_is_named() {
        let f16 = Precision { weights: Storage::F16, ..Precision::default() };
        let error = constant_words(&stack(7e4), Constant::WHh(0), f16).unwrap_err();
        assert!(error.to_string().contains("70000"), "{error}");
        assert!(constant_words(&stack(7e4), Constant::WHh(0), Precision::default()).is_ok());
    }
}
