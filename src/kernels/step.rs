//! `step.wgsl` and `step_half.wgsl`: a step, or a part of one, with the recurrent product, the gates and the state update fused.
//!
//! Thread = hidden units × tiles of batch rows × all gates, of one direction.

mod shape;
mod text;

pub use shape::{Ahead, Shape};

use super::cell::{Functions, StepCell};
use super::recurrence::{Arguments, Sizes};
use super::shape::in_tiles;
use super::source::{INTERLEAVE, wgsl};
use super::{Binding, Definition, Kernel, Resources, Rows, Takes, Work, pipelining, source};
use crate::dtype::Precision;

/// A fused step, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// The cell, or the part of one.
    pub cell: StepCell,
    /// Its activations and clips.
    pub functions: Functions,
    /// The sizes of its product.
    pub sizes: Sizes,
    /// How w and y are stored.
    pub precision: Precision,
    /// Rows of a thread.
    pub rows: Rows,
    /// Its shape.
    pub shape: Shape,
    /// Whether a dispatch has several layers; set from the parameters of the dispatch.
    pub pipelined: bool,
}

impl Definition for Step {
    fn name(&self) -> &'static str {
        self.cell.shader().name
    }

    fn variant(&self) -> String {
        let Shape { width, units, tiles, split, .. } = self.shape;
        let tiles = in_tiles(tiles, self.rows);
        match (split, units) {
            (1, 1) => format!(" ({tiles} × {width} threads)"),
            (1, _) => format!(" ({tiles} × {width} threads of {units} units)"),
            _ => format!(" ({tiles} × {} units × {split} threads)", self.shape.own()),
        }
    }

    fn parts(&self) -> Vec<&'static str> {
        let Self { cell, precision, rows, pipelined, .. } = *self;
        let frames = [wgsl!("step.wgsl"), wgsl!("step_half.wgsl")];
        let mut parts = vec![INTERLEAVE];
        parts.extend(cell.around(rows, wgsl!("shared/product.wgsl"), frames, pipelined));
        parts.push(cell.vector().0);
        parts.extend([source::half(precision), source::weights(precision.weights)]);
        parts.extend(cell.stores(precision.activations));
        parts.extend(cell.shader().parts);
        parts
    }

    fn written(&self) -> String {
        let packed = self.precision.weights.is_half();
        text::product(self.cell.products(), self.sizes.k, self.shape, packed)
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.cell.constants(self.functions, self.sizes, self.threads())
    }

    fn bindings(&self) -> Vec<Binding> {
        pipelining::bindings(self.cell.bindings(), self.pipelined)
    }

    fn threads(&self) -> u32 {
        self.shape.width
    }

    fn workgroup_bytes(&self) -> u32 {
        self.shape.workgroup_bytes(self.cell.products(), self.rows)
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        let Shape { units, tiles, .. } = self.shape;
        let tiles = rows.div_ceil(self.rows.count()).div_ceil(tiles);
        [self.sizes.units.div_ceil(self.shape.own() * units), tiles, dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.rows.count() * self.shape.tiles)
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        Some(self.shape.iterations(self.sizes.k, self.rows, self.cell.gates()))
    }

    fn work(&self) -> (Work, Work) {
        let each = self.shape.work(self.sizes.k, self.rows, self.cell.products());
        let columns = u64::from(self.shape.own() * self.shape.units * self.cell.products());
        let bytes = self.precision.weights.bytes(u64::from(self.sizes.k) * columns);
        (Work::default(), Work { bytes, ..each })
    }

    fn resources(&self) -> Resources {
        let (gates, weights) = (self.cell.products(), self.precision.weights);
        let matrix = u64::from(self.sizes.k) * u64::from(gates) * u64::from(self.sizes.units);
        Resources::of(self.shape.registers(gates, self.rows, weights.is_half()), weights.bytes(matrix))
    }

    fn is_of_projection(&self) -> bool {
        self.cell == StepCell::Project
    }

    fn of_columns(self, count: u32) -> Self {
        Self { sizes: Sizes { units: count, ..self.sizes }, ..self }
    }
}

impl Takes<Arguments> for Step {
    fn kernel(&self, arguments: &Arguments) -> Kernel {
        Self { pipelined: arguments.pipelining.is_some(), ..*self }.into()
    }

    fn extents(&self, arguments: &Arguments, dirs: u32) -> Vec<u64> {
        let arrays = self.cell.arrays(self.sizes, self.precision, self.rows);
        arguments.extents(self.cell.bindings(), &arrays, dirs)
    }

    fn flops(&self, arguments: &Arguments) -> u64 {
        self.cell.flops(self.sizes, &arguments.own)
    }
}
