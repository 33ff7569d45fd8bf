//! A matrix packed for [`super::product`], and arrays that begin on a cache line.
//!
//! The layout is `[N/lanes][k][gate][lanes]`: the weights of a block of neighbouring units, for all of its gates, lie in the
//! order in which a product reads them. Numbers in bf16 lie in pairs of k, `[N/lanes][k/2][gate][lanes][2]`: a shift or a mask
//! makes f32 of one or the other. Without pairs, neighbouring numbers would first have to be moved apart.

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

    /// Makes room for `len` numbers. Where the array grows, its contents are lost.
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

/// A matrix for products of vectors of `depth` numbers: `units` units with `gates` columns each.
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
    /// Packs the gates `of` of `w`, `[depth, pitch]` with `units` columns a gate, already rounded to their
    /// storage type.
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
        let mut panel = Self { depth, gates, blocks, lanes, storage, lines: Lines::default() };
        let mut values = vec![0.0f32; blocks * panel.pitch()];
        for at in 0..blocks * depth * gates {
            let (gate, k, block) = (at % gates, at / gates % depth, at / gates / depth);
            let unit = block * lanes;
            let from = k * pitch + (first + gate) * units + unit;
            let (to, step) = panel.place(k, gate);
            let to = &mut values[block * panel.pitch() + to..];
            let of_gate = &w[from..from + lanes.min(units - unit)];
            to.iter_mut().step_by(step).zip(of_gate).for_each(|(to, &value)| *to = value);
        }
        panel.lines = if storage.is_half() {
            let mut lines = Lines { lines: vec![Line::zeroed(); values.len().div_ceil(32)] };
            let halves: &mut [u16] = bytemuck::cast_slice_mut(&mut lines.lines);
            halves.iter_mut().zip(&values).for_each(|(half, &value)| *half = storage.word(value));
            lines
        } else {
            Lines::of(&values)
        };
        panel
    }

    /// Numbers from a block to the next.
    pub(super) fn pitch(&self) -> usize {
        let depth = if self.storage == Storage::Bf16 { self.depth.next_multiple_of(2) } else { self.depth };
        depth * self.gates * self.lanes
    }

    /// Where the lanes of a gate at k begin in a block, and the distance to the next lane.
    fn place(&self, k: usize, gate: usize) -> (usize, usize) {
        match self.storage {
            Storage::Bf16 => ((k / 2 * self.gates + gate) * 2 * self.lanes + k % 2, 2),
            _ => ((k * self.gates + gate) * self.lanes, 1),
        }
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

    /// Its size in bytes.
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
        assert_eq!(second.pitch(), 16);
        let Stored::Bf16(values) = second.stored() else { panic!("not bf16") };
        let expected = [5., 15., 6., 16., 7., 17., 8., 18., 25., 0., 26., 0.];
        assert_eq!(values[..12], expected.map(|v| Storage::Bf16.word(v)));
    }
}
