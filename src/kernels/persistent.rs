//! `persistent.wgsl`: a whole chunk of steps in one dispatch, with the weights in registers, or streamed from memory in
//! every step, or those of the first blocks of k in registers and the rest streamed.
//!
//! One workgroup has every unit of some batch rows, so nothing but y leaves it from step to step. A thread has
//! `gates · k` weights; where a unit has more than a thread should hold, SPLIT threads share its k by whole blocks of the
//! reduction order and pass their sums on through workgroup memory. Where a unit has few, several tiles of rows
//! share a workgroup. A multi-workgroup kernel distributes the units to several, in this same shape.

pub use super::shape::{Keep, ROOM, Shape};

use super::cell::{Functions, WholeCell};
use super::recurrence::Arguments;
use super::resets::{self, BEGUN, INITIAL, INITIAL_KEPT, RESETS, ResetOrder};
use super::source::wgsl;
use super::{Binding, Definition, Kernel, Resources, Rows, Takes, Work, pipelining, shape, unrolled};
use crate::dtype::Precision;

/// All steps of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Persistent {
    /// Which.
    pub cell: WholeCell,
    /// Its activations and clips.
    pub functions: Functions,
    /// H.
    pub hidden: u32,
    /// How w and y are stored.
    pub precision: Precision,
    /// Rows of a thread.
    pub rows: Rows,
    /// Its shape.
    pub shape: Shape,
    /// Whether a dispatch has several layers; set from its parameters.
    pub pipelined: bool,
    /// The order of the resets, of a kernel that resets states within sequences.
    pub resets: Option<ResetOrder>,
}

/// A step in the frame, before which states begin anew. Without indentation, which the text in WebAssembly does not have.
const STEP: &str = "h = after_step(dir, tile, at, t, h);\n";
const BEGINNING: &str = "h = begun_anew(dir, tile, at, t, h);\n";

impl Persistent {
    /// Loop iterations of a thread: once, and in each step.
    fn chunk_iterations(&self) -> (u64, u64) {
        let products = self.cell.products().len();
        let resets = if self.resets.is_some() { 2 * u64::from(self.rows.count()) } else { 0 };
        let each = self.shape.step_iterations(self.rows, self.cell.gates(), products) + resets;
        (self.shape.iterations(self.hidden, products), each)
    }

    /// Steps that it may take within `most` loop iterations of a thread, at least one.
    pub fn most_steps(&self, most: u64) -> u64 {
        let (once, each) = self.chunk_iterations();
        (most.saturating_sub(once) / each).max(1)
    }
}

impl Definition for Persistent {
    fn name(&self) -> &'static str {
        self.cell.shader().name
    }

    fn variant(&self) -> String {
        let Shape { tiles, units, .. } = self.shape;
        let tiles = shape::in_tiles(tiles, self.rows);
        let resets = if self.resets.is_some() { ", resets" } else { "" };
        format!(" ({tiles} × {units} units{}{}{resets})", self.shape.shared(), self.shape.kept())
    }

    fn parts(&self) -> Vec<&'static str> {
        let frame = [wgsl!("persistent.wgsl"), wgsl!("shared/chunk.wgsl")];
        let c = wgsl!("shared/c_in_place.wgsl");
        let mut parts = self.cell.around(self.rows, &frame, c, self.precision, self.pipelined);
        if self.resets.is_some() {
            let kept = match self.cell {
                WholeCell::Lstm { .. } => wgsl!("resets/persistent_c.wgsl"),
                _ => wgsl!("resets/persistent_no_c.wgsl"),
            };
            parts.extend([BEGUN, INITIAL_KEPT, wgsl!("resets/persistent.wgsl"), kept]);
        }
        parts
    }

    fn source(&self) -> String {
        let text = self.parts().concat() + &self.written();
        match self.resets {
            None => text,
            Some(_) => text.replace(STEP, &format!("{BEGINNING}{STEP}")),
        }
    }

    fn written(&self) -> String {
        unrolled::text(self.cell.products(), self.hidden, self.rows, self.shape)
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.cell.constants(self.functions, self.hidden, self.threads());
        constants.extend(self.resets.map(ResetOrder::constant));
        constants
    }

    fn bindings(&self) -> Vec<Binding> {
        let mut bindings = pipelining::bindings(self.cell.bindings(), self.pipelined);
        bindings.extend(self.resets.iter().flat_map(|_| [RESETS, INITIAL]));
        bindings
    }

    fn threads(&self) -> u32 {
        self.shape.threads()
    }

    fn workgroup_bytes(&self) -> u32 {
        self.shape.workgroup_bytes(self.hidden, self.rows, self.cell.products())
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        [rows.div_ceil(self.rows.count()).div_ceil(self.shape.tiles), 1, dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.rows.count() * self.shape.tiles)
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        None
    }

    fn work(&self) -> (Work, Work) {
        let (cell, weights) = (self.cell, self.precision.weights);
        let work = self.shape.work(self.hidden, self.rows, cell.gates(), cell.product_count(), weights);
        let (once, mut each) = work;
        if self.resets.is_some() {
            // Of each row its length, its number and its word; two barriers.
            let threads = u64::from(self.threads());
            each.load += 3 * threads * u64::from(self.rows.count());
            each.barrier += 2 * threads;
        }
        (once, each)
    }

    fn resources(&self) -> Resources {
        self.shape.resources(self.hidden, self.rows, self.cell.gates(), self.precision.weights)
    }
}

impl Takes<Arguments> for Persistent {
    fn kernel(&self, arguments: &Arguments) -> Kernel {
        Self { pipelined: arguments.pipelining.is_some(), ..*self }.into()
    }

    fn extents(&self, arguments: &Arguments, dirs: u32) -> Vec<u64> {
        let arrays = self.cell.arrays(self.hidden, self.precision, self.rows);
        let mut extents = arguments.extents(self.cell.bindings(), &arrays, dirs);
        if self.resets.is_some() {
            let kept = 1 + u64::from(matches!(self.cell, WholeCell::Lstm { .. }));
            extents.extend([
                resets::words(&arguments.own),
                kept * arguments.extent_of("h_state", &arrays, dirs),
            ]);
        }
        extents
    }

    fn flops(&self, arguments: &Arguments) -> u64 {
        self.cell.flops(self.hidden, &arguments.own)
    }

    fn iterations(&self, arguments: &Arguments) -> u64 {
        let (once, each) = self.chunk_iterations();
        once + u64::from(arguments.own.steps) * each
    }
}
