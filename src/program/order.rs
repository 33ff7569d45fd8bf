//! The batch row at each place. Rows are in the order of falling length, so that the places of a tile end together
//! and no work is done for tiles that have ended.

use crate::model::ReadoutSteps;

/// The order of a batch's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The batch row at each place, `[B]`.
    rows: Vec<u32>,
    /// The array on the device, `[2, padded]`: the length at each place, 0 past B, and the batch row at each place.
    /// With a readout, which is in the caller's order, `[4, padded]`: then also the steps that it reads of each batch
    /// row, and the row's own number.
    words: Vec<u32>,
    padded: usize,
    /// Whether a readout is on every step: it also reads y past a sequence's end.
    every: bool,
}

impl Order {
    /// An empty order for `batch` rows on `padded` places.
    pub fn new(batch: usize, padded: usize, readout: Option<ReadoutSteps>) -> Self {
        let every = readout == Some(ReadoutSteps::Every);
        Self { rows: vec![0; batch], words: vec![0; Self::arrays(readout) * padded], padded, every }
    }

    /// Arrays of one word for each place.
    pub(super) fn arrays(readout: Option<ReadoutSteps>) -> usize {
        if readout.is_some() { 4 } else { 2 }
    }

    /// Sets the length of each batch row, `[B]`, or `steps` for all.
    pub fn set(&mut self, lengths: Option<&[u32]>, steps: u32) {
        let padded = self.padded;
        let readout = self.words.len() > 2 * padded;
        let length = |row: u32| lengths.map_or(steps, |lengths| lengths[row as usize]);
        for (place, row) in self.rows.iter_mut().enumerate() {
            *row = place as u32;
        }
        if lengths.is_some() {
            // Stable, so that equal lengths keep the caller's order.
            self.rows.sort_by_key(|&row| std::cmp::Reverse(length(row)));
        }
        for (place, &row) in self.rows.iter().enumerate() {
            self.words[place] = length(row);
            self.words[padded + place] = row;
            if readout {
                self.words[2 * padded + place] = if self.every { steps } else { length(place as u32) };
                self.words[3 * padded + place] = place as u32;
            }
        }
    }

    /// The batch row at each place, `[B]`.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The array on the device.
    pub fn words(&self) -> &[u32] {
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_falling_length() {
        let mut order = Order::new(3, 4, Some(ReadoutSteps::Last));
        order.set(Some(&[2, 0, 5]), 7);
        assert_eq!(order.rows(), [2, 0, 1]);
        assert_eq!(order.words(), [5, 2, 0, 0, 2, 0, 1, 0, 2, 0, 5, 0, 0, 1, 2, 0]);
        order.set(None, 7);
        assert_eq!(order.rows(), [0, 1, 2]);
        assert_eq!(order.words()[..4], [7, 7, 7, 0]);
        let mut order = Order::new(3, 4, None);
        order.set(Some(&[2, 0, 5]), 7);
        assert_eq!(order.words(), [5, 2, 0, 0, 2, 0, 1, 0]);
        let mut order = Order::new(3, 4, Some(ReadoutSteps::Every));
        order.set(Some(&[2, 0, 5]), 7);
        assert_eq!(order.words()[8..12], [7, 7, 7, 0]);
    }
}
