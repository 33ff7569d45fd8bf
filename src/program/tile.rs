//! Conversions between the caller's layout and the kernels'. States are `[B, H]` and `[⌈B/R⌉, H, R]` with the batch
//! rows in sorted order; sequences may be of 16-bit numbers.

use crate::dtype::Storage;
use crate::kernels::Rows;

/// `order`: the batch row at each place; `from`: `[B, H]`; `to`: `[⌈B/R⌉, H, R]`, places past B zero.
pub fn tile(rows: Rows, order: &[u32], from: &[f32], to: &mut [f32]) {
    let count = rows.count() as usize;
    let hidden = from.len() / order.len();
    to.fill(0.0);
    for (place, &b) in order.iter().enumerate() {
        let tile = &mut to[place / count * hidden * count..];
        for (unit, &value) in from[b as usize * hidden..][..hidden].iter().enumerate() {
            tile[unit * count + place % count] = value;
        }
    }
}

/// `order`: the batch row at each place; `from`: `[⌈B/R⌉, H, R]`; `to`: `[B, H]`.
pub fn untile(rows: Rows, order: &[u32], from: &[f32], to: &mut [f32]) {
    let count = rows.count() as usize;
    let hidden = to.len() / order.len();
    for (place, &b) in order.iter().enumerate() {
        let tile = &from[place / count * hidden * count..];
        for (unit, value) in to[b as usize * hidden..][..hidden].iter_mut().enumerate() {
            *value = tile[unit * count + place % count];
        }
    }
}

/// `from`: rows of `features`; `to`: the same as words of `storage`, each row padded to whole words.
pub fn pack_sequence(storage: Storage, features: usize, from: &[f32], to: &mut Vec<u32>) {
    to.clear();
    for row in from.chunks_exact(features) {
        let second = |pair: &[f32]| pair.get(1).copied().unwrap_or(0.0);
        to.extend(row.chunks(2).map(|pair| storage.pack(pair[0], second(pair))));
    }
}

/// The inverse of [`pack_sequence`].
pub fn unpack_sequence(storage: Storage, features: usize, from: &[u32], to: &mut [f32]) {
    let words = storage.words(features);
    for (from, to) in from.chunks_exact(words).zip(to.chunks_exact_mut(features)) {
        for (word, pair) in from.iter().zip(to.chunks_mut(2)) {
            pair.copy_from_slice(&storage.unpack(*word)[..pair.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for rows in [Rows::One, Rows::Four] {
            let (batch, hidden) = (6usize, 3);
            let from: Vec<f32> = (0..batch * hidden).map(|v| v as f32 + 1.0).collect();
            let tiles = batch.div_ceil(rows.count() as usize);
            let mut tiled = vec![f32::NAN; tiles * hidden * rows.count() as usize];
            let order = [3, 5, 0, 1, 4, 2];
            tile(rows, &order, &from, &mut tiled);
            assert!(tiled.iter().all(|v| !v.is_nan()));
            let mut back = vec![f32::NAN; batch * hidden];
            untile(rows, &order, &tiled, &mut back);
            assert_eq!(back, from);
        }
        let mut tiled = [9.0; 8];
        tile(Rows::Four, &[1, 0], &[1.0, 2.0, 3.0, 4.0], &mut tiled);
        assert_eq!(tiled, [3.0, 1.0, 0.0, 0.0, 4.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn sequences_of_halves_round_trip() {
        let from = [1.0, -2.0, 0.5, 3.0, 4.0, -0.25];
        let (mut words, mut back) = (Vec::new(), [0.0; 6]);
        pack_sequence(Storage::F16, 3, &from, &mut words);
        assert_eq!(words.len(), 4);
        unpack_sequence(Storage::F16, 3, &words, &mut back);
        assert_eq!(back, from);
    }
}
