//! A matrix packed for [`super::product`], and arrays that begin on a cache line.
//!
//! `[N/lanes][k][gate][lanes]`: what a block of neighbouring units needs lies in the order in which it is read, once
//! for all of its gates, so that a product walks straight through memory.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use crate::dtype::Storage;
use crate::error::{Error, Result};

/// A cache line. Loads of a whole vector that cross one take twice as long.
#[derive(Debug, Clone, Copy, Zeroable, Pod)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Numbers that begin on a cache line.
#[derive(Debug, Default, Clone)]
pub(super) struct Lines {
    lines: Vec<Line>,
}

impl Lines {
    pub(super) fn of(values: &[f32]) -> Self {
        let mut lines = Self { lines: vec![Line::zeroed(); values.len().div_ceil(16)] };
        lines.floats_mut()[..values.len()].copy_from_slice(values);
        lines
    }

    /// Makes room for `len` numbers; what there was is gone where there was less.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub(super) fn make_room(&mut self, len: usize) -> Result<()> {
        let needed = len.div_ceil(16);
        if needed > self.lines.len() {
            self.lines = Vec::new();
            let bytes = needed.saturating_mul(size_of::<Line>());
            let no_memory = |_| Error::Memory { name: "arrays of a run".into(), bytes };
            self.lines.try_reserve_exact(needed).map_err(no_memory)?;
            self.lines.resize(needed, Line::zeroed());
        }
        Ok(())
    }

    pub(super) fn floats(&self) -> &[f32] {
        bytemuck::cast_slice(&self.lines)
    }

    pub(super) fn floats_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }

    fn halves(&self) -> &[u16] {
        bytemuck::cast_slice(&self.lines)
    }
}

/// A matrix for products of vectors of `depth` numbers with `gates` columns for each of `units` units.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) depth: usize,
    pub(super) gates: usize,
    /// Blocks of as many units as a vector has lanes.
    pub(super) blocks: usize,
    lanes: usize,
    storage: Storage,
    lines: Lines,
}

/// The numbers of a panel, as they are stored.
#[derive(Clone, Copy)]
pub(super) enum Stored<'a> {
    F32(&'a [f32]),
    F16(&'a [u16]),
    Bf16(&'a [u16]),
}

impl Panel {
    /// Packs the gates `of` of `w`, `[depth, pitch]` with `units` columns a gate, rounded to their
    /// storage type already.
    pub(super) fn new(
        w: &[f32],
        pitch: usize,
        units: usize,
        of: Range<usize>,
        lanes: usize,
        storage: Storage,
    ) -> Self {
        let (depth, first, gates) = (w.len() / pitch, of.start, of.len());
        let blocks = units.div_ceil(lanes);
        let mut values = vec![0.0f32; blocks * depth * gates * lanes];
        for (at, values) in values.chunks_exact_mut(lanes).enumerate() {
            let (gate, k, block) = (at % gates, at / gates % depth, at / gates / depth);
            let unit = block * lanes;
            let count = lanes.min(units - unit);
            let from = k * pitch + (first + gate) * units + unit;
            values[..count].copy_from_slice(&w[from..from + count]);
        }
        let lines = if storage.is_half() {
            let mut lines = Lines { lines: vec![Line::zeroed(); values.len().div_ceil(32)] };
            let halves: &mut [u16] = bytemuck::cast_slice_mut(&mut lines.lines);
            halves.iter_mut().zip(&values).for_each(|(half, &value)| *half = storage.word(value));
            lines
        } else {
            Lines::of(&values)
        };
        Self { depth, gates, blocks, lanes, storage, lines }
    }

    /// Numbers from a block to the next.
    pub(super) fn pitch(&self) -> usize {
        self.depth * self.gates * self.lanes
    }

    pub(super) fn stored(&self) -> Stored<'_> {
        match self.storage {
            Storage::F32 => Stored::F32(self.lines.floats()),
            Storage::F16 => Stored::F16(self.lines.halves()),
            Storage::Bf16 => Stored::Bf16(self.lines.halves()),
        }
    }

    pub(super) fn is_half(&self) -> bool {
        self.storage.is_half()
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.lines.lines.len() * size_of::<Line>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_what_the_matrix_has() {
        // Two gates of five units, three numbers deep, in blocks of four.
        let w: Vec<f32> = (0..30).map(|i| i as f32).collect();
        let panel = Panel::new(&w, 10, 5, 0..2, 4, Storage::F32);
        assert_eq!((panel.depth, panel.blocks, panel.pitch()), (3, 2, 24));
        let Stored::F32(values) = panel.stored() else { panic!("not f32") };
        assert_eq!(values[..12], [0., 1., 2., 3., 5., 6., 7., 8., 10., 11., 12., 13.]);
        assert_eq!(values[24..32], [4., 0., 0., 0., 9., 0., 0., 0.]);
        assert_eq!(values.as_ptr() as usize % 64, 0);
        let second = Panel::new(&w, 10, 5, 1..2, 4, Storage::Bf16);
        let Stored::Bf16(values) = second.stored() else { panic!("not bf16") };
        assert_eq!(values[..4], [5., 6., 7., 8.].map(|v| Storage::Bf16.word(v)));
    }
}
