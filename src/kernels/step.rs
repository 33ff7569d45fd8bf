//! `step.wgsl` and `step_half.wgsl`: a step, or a part of one, with the recurrent product, the gates and the state update fused.
//!
//! Thread = hidden units × tiles of batch rows × all gates, of one direction.

mod shape;
mod text;

pub use shape::Shape;

use super::cell::{Functions, StepCell};
use super::recurrence::{Arguments, Sizes};
use super::shape::in_tiles;
use super::source::{INTERLEAVE, wgsl};
use super::{Binding, Definition, Kernel, Rows, SPAN, Takes, Work, pipelining, source};
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
        let Shape { width, units, tiles, .. } = self.shape;
        let of_units = if units == 1 { String::new() } else { format!(" of {units} units") };
        format!(" ({} × {width} threads{of_units})", in_tiles(tiles, self.rows))
    }

    fn parts(&self) -> Vec<&'static str> {
        let Self { cell, precision, rows, pipelined, .. } = *self;
        let frames = [wgsl!("step.wgsl"), wgsl!("step_half.wgsl")];
        let mut parts = vec![INTERLEAVE];
        parts.extend(cell.around(rows, wgsl!("shared/product.wgsl"), frames, pipelined));
        parts.extend([source::half(precision), source::weights(precision.weights)]);
        parts.extend(cell.stores(precision.activations));
        parts.extend(cell.shader().parts);
        parts
    }

    fn written(&self) -> String {
        text::product(self.cell.products(), self.shape)
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
        SPAN * self.rows.count() * self.shape.tiles * 4
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        let Shape { width, units, tiles, .. } = self.shape;
        let tiles = rows.div_ceil(self.rows.count()).div_ceil(tiles);
        [self.sizes.units.div_ceil(width * units), tiles, dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.rows.count() * self.shape.tiles)
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        Some(self.shape.iterations(self.sizes.k, self.rows, self.cell.gates()))
    }

    fn work(&self) -> (Work, Work) {
        let (threads, k) = (u64::from(self.threads()), u64::from(self.sizes.k));
        let (gates, units) = (u64::from(self.cell.products()), u64::from(self.shape.units));
        let count = u64::from(self.rows.count() * self.shape.tiles);
        let each = Work {
            load: threads * k * gates * units + k * count + threads * units * count * (gates + 3),
            share: threads * k * count,
            barrier: 2 * threads * k.div_ceil(64),
            chain: k,
            ..Work::sums(self.rows, threads * k * gates * units * count)
        };
        (Work::default(), each)
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
