//! `matmul_tiled`: `out = w x + bias` for many rows. A workgroup owns 64 rows × 64 columns, a thread 8 × 8 of them.

use super::matmul::{self, Arguments, Sizes};
use super::source::{self, INTERLEAVE, wgsl};
use super::{Binding, Definition, Kernel, Resources, Rows, Takes, Work, pipelining};
use crate::dtype::Precision;

/// Rows, and columns, of a workgroup.
const TILE: u32 = 64;
const THREADS: u32 = 64;

/// `out = w x + bias` for many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MatmulTiled {
    /// K and N.
    pub sizes: Sizes,
    /// How w and x are stored.
    pub precision: Precision,
    /// How many values of k pass through workgroup memory at a time: [`Self::DEEP`] or [`Self::SHALLOW`].
    pub depth: u32,
    /// Whether a dispatch has several layers; set from the parameters of the dispatch.
    pub pipelined: bool,
}

impl MatmulTiled {
    /// So many that every thread loads.
    pub const DEEP: u32 = 16;
    /// Half as many, with half of the workgroup memory.
    pub const SHALLOW: u32 = 8;
}

impl Definition for MatmulTiled {
    fn name(&self) -> &'static str {
        "matmul_tiled"
    }

    fn variant(&self) -> String {
        String::new()
    }

    fn parts(&self) -> Vec<&'static str> {
        let Precision { weights, activations } = self.precision;
        let mut parts = vec![INTERLEAVE, source::half(self.precision)];
        parts.extend([source::weights(weights), source::x(activations)]);
        parts.extend(matmul::shared(self.pipelined));
        parts.push(wgsl!("matmul_tiled.wgsl"));
        parts
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.sizes.constants().to_vec();
        constants.push(("DEPTH", self.depth.into()));
        constants
    }

    fn bindings(&self) -> Vec<Binding> {
        pipelining::bindings(matmul::BINDINGS, self.pipelined)
    }

    fn threads(&self) -> u32 {
        THREADS
    }

    /// Two tiles of DEPTH × 17 vec4.
    fn workgroup_bytes(&self) -> u32 {
        2 * self.depth * 17 * 16
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        [self.sizes.n.div_ceil(TILE), rows.div_ceil(TILE), dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(TILE)
    }

    /// For each pass itself, its loads and its products; before them where rows begin, and at the end 8 rows of 2 × 4 stores.
    fn iterations_of_sizes(&self) -> Option<u64> {
        let loads = self.depth / 4;
        let pass = u64::from(1 + loads + self.depth);
        Some(u64::from(self.sizes.k.div_ceil(self.depth)) * pass + u64::from(loads) + 8 + 8 * 2 * 4)
    }

    fn work(&self) -> (Work, Work) {
        let (threads, k) = (u64::from(THREADS), u64::from(self.sizes.k));
        // Its sums are of four rows side by side, whatever the tile of the recurrence.
        let each = Work {
            load: 2 * 64 * k + 64 * 64,
            share: 16 * threads * k,
            barrier: 2 * threads * k.div_ceil(self.depth.into()),
            chain: k,
            bytes: self.precision.weights.bytes(64 * k) + self.precision.activations.bytes(64 * k),
            ..Work::sums(Rows::Four, 64 * threads * k)
        };
        (Work::default(), each)
    }

    fn resources(&self) -> Resources {
        let Precision { weights, activations } = self.precision;
        let matrix = weights.bytes(u64::from(self.sizes.k) * u64::from(self.sizes.n));
        // 64 sums, 8 numbers of each factor, and its part of a pass of 64 columns and 64 rows that are loaded together.
        let pass = u64::from(self.depth) * 64;
        let loaded = (weights.bytes(pass) + activations.bytes(pass)) as u32 / THREADS / 4;
        Resources::of(64 + 16 + loaded, matrix)
    }

    fn of_columns(self, n: u32) -> Self {
        Self { sizes: Sizes { n, ..self.sizes }, ..self }
    }
}

impl Takes<Arguments> for MatmulTiled {
    fn kernel(&self, arguments: &Arguments) -> Kernel {
        Self { pipelined: arguments.pipelining.is_some(), ..*self }.into()
    }

    fn extents(&self, arguments: &Arguments, dirs: u32) -> Vec<u64> {
        arguments.extents(self.sizes, self.precision, dirs).to_vec()
    }

    fn flops(&self, arguments: &Arguments) -> u64 {
        arguments.flops(self.sizes)
    }
}
