//! States between the caller's layout, `[B, H]`, and the kernels', `[⌈B/R⌉, H, R]`.

use crate::kernels::Rows;

/// `from`: `[B, H]`; `to`: `[⌈B/R⌉, H, R]`, rows past B zero.
pub fn tile(rows: Rows, hidden: usize, from: &[f32], to: &mut [f32]) {
    let count = rows.count() as usize;
    to.fill(0.0);
    for (b, row) in from.chunks_exact(hidden).enumerate() {
        let tile = &mut to[b / count * hidden * count..];
        for (unit, &value) in row.iter().enumerate() {
            tile[unit * count + b % count] = value;
        }
    }
}

/// `from`: `[⌈B/R⌉, H, R]`; `to`: `[B, H]`.
pub fn untile(rows: Rows, hidden: usize, from: &[f32], to: &mut [f32]) {
    let count = rows.count() as usize;
    for (b, row) in to.chunks_exact_mut(hidden).enumerate() {
        let tile = &from[b / count * hidden * count..];
        for (unit, value) in row.iter_mut().enumerate() {
            *value = tile[unit * count + b % count];
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
            tile(rows, hidden, &from, &mut tiled);
            assert!(tiled.iter().all(|v| !v.is_nan()));
            let mut back = vec![f32::NAN; batch * hidden];
            untile(rows, hidden, &tiled, &mut back);
            assert_eq!(back, from);
        }
        let mut tiled = [9.0; 8];
        tile(Rows::Four, 2, &[1.0, 2.0, 3.0, 4.0], &mut tiled);
        assert_eq!(tiled, [1.0, 3.0, 0.0, 0.0, 2.0, 4.0, 0.0, 0.0]);
    }
}
