//! `matmul_matrices`: `out = w x + bias` for many rows of f16, by cooperative matrices.

use super::{DEPTH, FLAG, Matrices, PITCH, PRECISION};
use crate::kernels::matmul::{self, Arguments, Sizes};
use crate::kernels::source::{self, INTERLEAVE, wgsl};
use crate::kernels::{Binding, Definition, Kernel, Resources, Takes, Work, pipelining};

/// `out = w x + bias` for many rows, by cooperative matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MatmulMatrices {
    /// K and N.
    pub sizes: Sizes,
    /// The matrices of the device.
    pub matrices: Matrices,
    /// Whether a dispatch has several layers; set from the parameters of the dispatch.
    pub pipelined: bool,
}

impl MatmulMatrices {
    /// Rows, and columns, of a workgroup.
    fn tile(&self) -> u32 {
        4 * self.matrices.side
    }
}

impl Definition for MatmulMatrices {
    fn name(&self) -> &'static str {
        "matmul_matrices"
    }

    fn variant(&self) -> String {
        format!(" ({0} × {0})", self.matrices.side)
    }

    fn parts(&self) -> Vec<&'static str> {
        let mut parts = self.matrices.head().to_vec();
        parts.extend([INTERLEAVE, source::half(PRECISION)]);
        parts.extend([wgsl!(.."matrices/weights_f16.wgsl"), wgsl!(.."matrices/x_f16.wgsl")]);
        parts.extend(matmul::shared(self.pipelined));
        parts.push(wgsl!(.."matrices/matmul_matrices.wgsl"));
        parts
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let width = ("WIDTH", f64::from(self.threads()));
        self.sizes.constants().into_iter().chain([width]).collect()
    }

    fn bindings(&self) -> Vec<Binding> {
        pipelining::bindings(matmul::BINDINGS, self.pipelined)
    }

    fn threads(&self) -> u32 {
        self.matrices.threads()
    }

    /// A flag, the starts of rows, two operands, the sums.
    fn workgroup_bytes(&self) -> u32 {
        let tile = self.tile();
        FLAG + 4 * tile + 2 * (2 * tile * PITCH) + 4 * tile * tile
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        [self.sizes.n.div_ceil(self.tile()), rows.div_ceil(self.tile()), dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.tile())
    }

    /// For each pass the pass itself, a thread's shares of both operands, and its products; at the end its stores.
    fn iterations_of_sizes(&self) -> Option<u64> {
        let tile = self.tile();
        // A workgroup has at least the threads of four subgroups.
        let share = |numbers: u32| numbers.div_ceil(self.threads().max(1));
        let pass = 1 + share(tile * DEPTH) + share(tile * DEPTH / 4) + DEPTH / self.matrices.side;
        let end = share(tile) + share(tile * tile);
        Some(u64::from(self.sizes.k.div_ceil(DEPTH)) * u64::from(pass) + u64::from(end))
    }

    fn work(&self) -> (Work, Work) {
        let (k, side) = (u64::from(self.sizes.k), u64::from(self.matrices.side));
        let (tile, subgroups, threads) = (4 * side, 4, u64::from(self.threads()));
        let each = Work {
            matrix: tile * tile * k,
            load: 2 * tile * k + tile * tile,
            // Into workgroup memory, and from it four matrices high or wide for each subgroup.
            share: 2 * tile * k + subgroups * 4 * side * k + 2 * tile * tile,
            barrier: 2 * threads * k.div_ceil(32),
            chain: k.div_ceil(side),
            bytes: PRECISION.weights.bytes(2 * tile * k),
            ..Work::default()
        };
        (Work::default(), each)
    }

    fn resources(&self) -> Resources {
        let matrix = PRECISION.weights.bytes(u64::from(self.sizes.k) * u64::from(self.sizes.n));
        // Four by one matrix of sums in each subgroup at least, spread over its threads.
        Resources::of(104, matrix)
    }

    fn of_columns(self, n: u32) -> Self {
        Self { sizes: Sizes { n, ..self.sizes }, ..self }
    }
}

impl Takes<Arguments> for MatmulMatrices {
    fn kernel(&self, arguments: &Arguments) -> Kernel {
        Self { pipelined: arguments.pipelining.is_some(), ..*self }.into()
    }

    fn extents(&self, arguments: &Arguments, dirs: u32) -> Vec<u64> {
        arguments.extents(self.sizes, PRECISION, dirs).to_vec()
    }

    fn flops(&self, arguments: &Arguments) -> u64 {
        arguments.flops(self.sizes)
    }
}
