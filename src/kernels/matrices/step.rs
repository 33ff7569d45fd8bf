//! `step_matrices.wgsl` and `step_half_matrices.wgsl`: a step, or a part of one, whose product is by cooperative matrices.

use super::product::{Left, Product, Stored};
use super::{FLAG, LINES, Matrices, PRECISION, REST, ROWS};
use crate::kernels::cell::{Functions, StepCell};
use crate::kernels::recurrence::{Arguments, Sizes};
use crate::kernels::shape::in_tiles;
use crate::kernels::source::{self, INTERLEAVE, wgsl};
use crate::kernels::{
    Access, Binding, Definition, Kernel, MOST_STORAGE_BUFFERS, Resources, Takes, Work, pipelining,
};

/// The shape of a step kernel of matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The matrices of the device.
    pub matrices: Matrices,
    /// Matrices, one below the other, that a subgroup has of each gate: each weight that it loads serves all of them.
    pub stack: u32,
}

/// A fused step, or a part of one, by cooperative matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepMatrices {
    /// The cell, or the part of one.
    pub cell: StepCell,
    /// Its activations and clips.
    pub functions: Functions,
    /// The sizes of its product.
    pub sizes: Sizes,
    /// Its shape.
    pub shape: Shape,
    /// Whether what it computes is kept in f16 as well, for the next step or the second half of this one. Where h changes
    /// between steps of a chunk it is not.
    pub keeps: bool,
    /// Whether a dispatch has several layers; set from the parameters of the dispatch.
    pub pipelined: bool,
}

const KEPT: [Binding; 2] =
    [Binding::new(14, "vector_f16", Access::Read), Binding::new(15, "next_f16", Access::ReadWrite)];

impl StepMatrices {
    /// Storage buffers of a kernel that keeps what it computes in f16, at most.
    pub const STORAGE_BUFFERS: u32 = MOST_STORAGE_BUFFERS + 2;

    /// Whether its sums fit the registers of threads.
    pub fn fits(&self) -> bool {
        self.product().fits()
    }

    fn product(&self) -> Product {
        let Shape { matrices, stack } = self.shape;
        let gates = self.cell.products();
        let across = self.shape.across(gates);
        let columns = gates * across;
        Product { matrices, k: self.sizes.k, stack, across, columns, stored: Stored::Row }
    }

    /// Units of a workgroup.
    fn units(&self) -> u32 {
        2 * self.shape.across(self.cell.products()) * self.shape.matrices.side
    }

    /// Where the rows of its product come from.
    fn left(&self) -> Left {
        match (self.keeps, self.is_of_h()) {
            (false, _) => Left::Converted,
            (true, true) => Left::Kept,
            (true, false) => Left::Loaded,
        }
    }

    /// Whether the vector of its product is h.
    pub fn is_of_h(&self) -> bool {
        self.cell.is_of_h()
    }

    /// Whether it is the first of two dispatches of a step, which computes the vector of the second.
    pub fn is_half(&self) -> bool {
        self.cell.is_half()
    }

    /// Numbers of the sums that are stored together.
    fn stored(&self) -> u32 {
        self.cell.products() * 2 * self.shape.matrices.side * self.units()
    }

    /// The shape, in words, of a vector of so many numbers in f16, for a tile of rows.
    pub fn kept(features: usize) -> [usize; 3] {
        [ROWS.count() as usize, features.div_ceil(8), 4]
    }
}

impl Definition for StepMatrices {
    fn name(&self) -> &'static str {
        self.cell.shader().name
    }

    fn variant(&self) -> String {
        let (rows, side) = (in_tiles(self.shape.tiles(), ROWS), self.shape.matrices.side);
        let kept = if self.keeps { ", h kept" } else { "" };
        format!(" ({rows} × {} units, matrices of {side} × {side}{kept})", self.units())
    }

    fn parts(&self) -> Vec<&'static str> {
        let cell = self.cell;
        let frames = [wgsl!(.."matrices/step_matrices.wgsl"), wgsl!(.."matrices/step_half_matrices.wgsl")];
        let mut parts = self.shape.matrices.head().to_vec();
        parts.push(INTERLEAVE);
        parts.extend(cell.around(ROWS, wgsl!(.."matrices/step_lines.wgsl"), frames, self.pipelined));
        parts.extend(LINES);
        if self.left() != Left::Loaded {
            parts.extend([cell.vector().0, wgsl!(.."matrices/convert.wgsl")]);
        }
        if self.keeps {
            parts.extend([REST, wgsl!(.."matrices/kept.wgsl")]);
        }
        parts.push(match self.keeps {
            true => wgsl!(.."matrices/keep.wgsl"),
            false => wgsl!(.."matrices/keep_none.wgsl"),
        });
        parts.push(source::half(PRECISION));
        parts.extend(cell.stores(PRECISION.activations));
        parts.extend(cell.shader().parts);
        parts
    }

    fn written(&self) -> String {
        self.product().text(self.left())
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.cell.constants(self.functions, self.sizes, self.threads())
    }

    fn bindings(&self) -> Vec<Binding> {
        let mut bindings = pipelining::bindings(self.cell.bindings(), self.pipelined);
        if self.left() == Left::Loaded {
            bindings.retain(|binding| binding.name != self.cell.vector().1);
        }
        bindings.extend(if self.keeps { KEPT.to_vec() } else { Vec::new() });
        bindings
    }

    fn threads(&self) -> u32 {
        self.shape.matrices.threads()
    }

    fn workgroup_bytes(&self) -> u32 {
        FLAG + self.product().bytes() + 4 * self.stored()
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        let tiles = rows.div_ceil(ROWS.count()).div_ceil(self.shape.tiles());
        [self.sizes.units.div_ceil(self.units()), tiles, dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(ROWS.count() * self.shape.tiles())
    }

    /// Of each unit and tile its input and its sums, h through workgroup memory; y, with that of the neighbour.
    fn iterations_of_sizes(&self) -> Option<u64> {
        let (gates, rows) = (self.cell.products(), ROWS.count());
        let sums = gates * (1 + rows);
        let tiles = 2 * self.shape.matrices.side / rows;
        let share = (self.units() * tiles).div_ceil(self.threads().max(1));
        let end = self.shape.stack * (1 + share * (2 + gates + 3 * sums + 3 * rows));
        Some(self.product().iterations() + u64::from(end))
    }

    fn work(&self) -> (Work, Work) {
        let product = self.product();
        let (rows, units, columns) = (product.high(), self.units(), product.wide());
        let (gates, work) = (self.cell.products(), product.work());
        let each = Work {
            load: work.load + u64::from(units * rows * (gates + 3)),
            share: work.share + u64::from(2 * rows * columns),
            bytes: PRECISION.weights.bytes(u64::from(columns) * u64::from(self.sizes.k)),
            ..work
        };
        (Work::default(), each)
    }

    fn resources(&self) -> Resources {
        let matrix = u64::from(self.cell.products()) * u64::from(self.sizes.k) * u64::from(self.sizes.units);
        Resources::of(self.product().registers(), PRECISION.weights.bytes(matrix))
    }

    fn is_of_projection(&self) -> bool {
        self.cell == StepCell::Project
    }

    fn of_columns(self, count: u32) -> Self {
        Self { sizes: Sizes { units: count, ..self.sizes }, ..self }
    }
}

impl Takes<Arguments> for StepMatrices {
    fn kernel(&self, arguments: &Arguments) -> Kernel {
        Self { pipelined: arguments.pipelining.is_some(), ..*self }.into()
    }

    fn extents(&self, arguments: &Arguments, dirs: u32) -> Vec<u64> {
        let arrays = self.cell.arrays(self.sizes, PRECISION, ROWS);
        let loaded = |binding: &&Binding| self.left() == Left::Loaded && binding.name == self.cell.vector().1;
        let bindings: Vec<Binding> =
            self.cell.bindings().iter().filter(|binding| !loaded(binding)).copied().collect();
        let mut extents = arguments.extents(&bindings, &arrays, dirs);
        // As long as the vector of its product, or as its units.
        let kept = |numbers: u32| {
            let rows = u64::from(dirs) * u64::from(arguments.own.tiles) * u64::from(ROWS.count());
            rows * 4 * u64::from(numbers.div_ceil(8))
        };
        if self.keeps {
            extents.extend([self.sizes.k, self.sizes.hidden].map(kept));
        }
        extents
    }

    fn flops(&self, arguments: &Arguments) -> u64 {
        self.cell.flops(self.sizes, &arguments.own)
    }
}

impl Shape {
    /// Matrices side by side that a subgroup has of each of so many gates: large kernels have up to four in all.
    fn across(self, gates: u32) -> u32 {
        if self.stack < 4 { 1 } else { (4 / gates).max(1) }
    }

    /// Tiles of rows of a workgroup.
    pub fn tiles(self) -> u32 {
        2 * self.matrices.side * self.stack / ROWS.count()
    }
}
