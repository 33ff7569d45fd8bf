//! `step_matrices.wgsl` and `step_half_matrices.wgsl`: a step, or a part of one, whose product is by cooperative matrices.

use std::fmt::Write;

use super::{DEPTH, FLAG, Matrices, PITCH, PRECISION, ROWS};
use crate::kernels::cell::{Functions, StepCell};
use crate::kernels::recurrence::{Arguments, Sizes};
use crate::kernels::shape::in_tiles;
use crate::kernels::source::{self, INTERLEAVE, wgsl};
use crate::kernels::{Binding, Definition, Kernel, Resources, Takes, Work, pipelining};

/// The shape of a step kernel of matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The matrices of the device.
    pub matrices: Matrices,
    /// Matrices, one above the other, that a subgroup has of each gate: each weight that it loads serves all of them.
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
    /// Whether a dispatch has several layers; set from the parameters of the dispatch.
    pub pipelined: bool,
}

impl Definition for StepMatrices {
    fn name(&self) -> &'static str {
        self.cell.shader().name
    }

    fn variant(&self) -> String {
        let (rows, side) = (in_tiles(self.shape.tiles(), ROWS), self.shape.matrices.side);
        format!(" ({rows} × {} units, matrices of {side} × {side})", self.shape.units())
    }

    fn parts(&self) -> Vec<&'static str> {
        let cell = self.cell;
        let frames = [wgsl!(.."matrices/step_matrices.wgsl"), wgsl!(.."matrices/step_half_matrices.wgsl")];
        let mut parts = self.shape.matrices.head().to_vec();
        parts.push(INTERLEAVE);
        parts.extend(cell.around(ROWS, wgsl!(.."matrices/product_matrices.wgsl"), frames, self.pipelined));
        parts.extend([source::half(PRECISION), wgsl!(.."matrices/weights_f16.wgsl")]);
        parts.extend(cell.stores(PRECISION.activations));
        parts.extend(cell.shader().parts);
        parts
    }

    fn written(&self) -> String {
        self.shape.product(self.cell.products())
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.cell.constants(self.functions, self.sizes, self.threads())
    }

    fn bindings(&self) -> Vec<Binding> {
        pipelining::bindings(self.cell.bindings(), self.pipelined)
    }

    fn threads(&self) -> u32 {
        self.shape.matrices.threads()
    }

    fn workgroup_bytes(&self) -> u32 {
        self.shape.workgroup_bytes(self.cell.products())
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        let tiles = rows.div_ceil(ROWS.count()).div_ceil(self.shape.tiles());
        [self.sizes.units.div_ceil(self.shape.units()), tiles, dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(ROWS.count() * self.shape.tiles())
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        Some(self.shape.iterations(self.sizes.k, self.cell.products()))
    }

    fn work(&self) -> (Work, Work) {
        let (threads, k) = (u64::from(self.threads()), u64::from(self.sizes.k));
        let (gates, side) = (u64::from(self.cell.products()), u64::from(self.shape.matrices.side));
        let stack = u64::from(self.shape.stack);
        let (rows, units, subgroups) = (2 * side * stack, 2 * side, 4);
        let columns = gates * units;
        let each = Work {
            matrix: rows * columns * k,
            load: (rows + columns) * k + units * rows * (gates + 3),
            share: (rows + columns) * k + subgroups * (stack + gates) * side * k + 2 * rows * columns,
            barrier: 2 * threads * k.div_ceil(32),
            chain: k.div_ceil(side),
            bytes: PRECISION.weights.bytes(columns * k),
            ..Work::default()
        };
        (Work::default(), each)
    }

    fn resources(&self) -> Resources {
        let matrix = u64::from(self.cell.products()) * u64::from(self.sizes.k) * u64::from(self.sizes.units);
        Resources::of(64, PRECISION.weights.bytes(matrix))
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
        arguments.extents(self.cell.bindings(), &arrays, dirs)
    }

    fn flops(&self, arguments: &Arguments) -> u64 {
        self.cell.flops(self.sizes, &arguments.own)
    }
}

impl Shape {
    /// Units of a workgroup.
    fn units(self) -> u32 {
        2 * self.matrices.side
    }

    /// Tiles of rows of a workgroup.
    pub fn tiles(self) -> u32 {
        self.rows() / ROWS.count()
    }

    fn rows(self) -> u32 {
        2 * self.matrices.side * self.stack
    }

    /// Bytes of workgroup memory: a flag, both operands, the sums.
    fn workgroup_bytes(self, gates: u32) -> u32 {
        let columns = gates * self.units();
        FLAG + 2 * PITCH * (self.rows() + columns) + 4 * self.rows() * columns
    }

    /// Loop iterations of a thread.
    fn iterations(self, k: u32, gates: u32) -> u64 {
        let share = |numbers: u32| numbers.div_ceil(self.matrices.threads().max(1));
        let rows = ROWS.count();
        let pass = 1
            + share(self.tiles() * DEPTH) * (1 + rows)
            + share(gates * self.units() * DEPTH / 4)
            + DEPTH / self.matrices.side;
        // Of each unit and tile its input and its sums, h through workgroup memory; y, with that of the neighbour.
        let sums = gates * (1 + rows);
        let end = share(self.units() * self.tiles()) * (2 + gates + 3 * sums + 2 * rows);
        u64::from(k.div_ceil(DEPTH)) * u64::from(pass) + u64::from(end)
    }

    /// `multiply_all` of `matrices/product_matrices.wgsl`: each matrix in a variable of its own, as sums are in
    /// `kernels::unrolled`.
    fn product(self, gates: u32) -> String {
        let mut text = format!("// Written out for its sizes.\n\nconst STACK: u32 = {}u;\n\n", self.stack);
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, gates);
        text
    }

    fn write(self, text: &mut String, gates: u32) -> std::fmt::Result {
        let all = || (0..gates).flat_map(|g| (0..self.stack).map(move |i| (g, i)));
        writeln!(text, "fn multiply_all(lane: u32, subgroup: u32, dir: u32, tile: u32, own: u32) {{")?;
        writeln!(text, "    let right = subgroup % 2u * SIDE;")?;
        writeln!(text, "    let down = subgroup / 2u % 2u * STACK * SIDE;")?;
        all().try_for_each(|(g, i)| writeln!(text, "    var c{g}_{i} = MatrixC();"))?;
        writeln!(text, "    for (var start = 0u; start < K; start += DEPTH) {{")?;
        writeln!(text, "        workgroupBarrier();")?;
        writeln!(text, "        bring(lane, dir, tile, own, start);")?;
        writeln!(text, "        workgroupBarrier();")?;
        writeln!(text, "        for (var k = 0u; k < DEPTH; k += SIDE) {{")?;
        for i in 0..self.stack {
            let at = format!("(down + {i}u * SIDE) * PITCH + k");
            writeln!(text, "            let a{i} = coopLoadT<MatrixA>(&vectors[{at}], PITCH);")?;
        }
        for g in 0..gates {
            let at = format!("({g}u * WIDE + right) * PITCH + k");
            writeln!(text, "            let b{g} = coopLoad<MatrixB>(&columns[{at}], PITCH);")?;
        }
        all().try_for_each(|(g, i)| {
            writeln!(text, "            c{g}_{i} = coopMultiplyAdd(a{i}, b{g}, c{g}_{i});")
        })?;
        writeln!(text, "        }}\n    }}")?;
        all().try_for_each(|(g, i)| {
            let at = format!("({g}u * HIGH + down + {i}u * SIDE) * WIDE + right");
            writeln!(text, "    coopStoreT(c{g}_{i}, &sums[{at}], WIDE);")
        })?;
        writeln!(text, "    workgroupBarrier();\n}}")
    }
}
