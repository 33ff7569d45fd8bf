//! `matmul_rows`: `out = w x + bias` for the few rows of a session step. A thread owns one column of a tile of rows.

use super::matmul::{self, Arguments, Sizes};
use super::source::{self, INTERLEAVE, wgsl};
use super::{Binding, Definition, Kernel, Resources, Rows, SPAN, Takes, Work, pipelining, shape};
use crate::dtype::Precision;

/// `out = w x + bias` for few rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MatmulRows {
    /// K and N.
    pub sizes: Sizes,
    /// How w and x are stored.
    pub precision: Precision,
    /// Rows of a thread.
    pub rows: Rows,
    /// Threads of a workgroup.
    pub width: u32,
    /// Whether a dispatch has several layers; set from the parameters of the dispatch.
    pub pipelined: bool,
}

impl Definition for MatmulRows {
    fn name(&self) -> &'static str {
        "matmul_rows"
    }

    fn variant(&self) -> String {
        format!(" ({} × {} threads)", self.rows, self.width)
    }

    fn parts(&self) -> Vec<&'static str> {
        let Precision { weights, activations } = self.precision;
        let mut parts = vec![INTERLEAVE, source::rows(self.rows), source::half(self.precision)];
        parts.extend([source::weights(weights), source::x(activations)]);
        parts.extend(matmul::shared(self.pipelined));
        parts.push(wgsl!("matmul_rows.wgsl"));
        parts
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let width = ("WIDTH", f64::from(self.width));
        self.sizes.constants().into_iter().chain([width]).collect()
    }

    fn bindings(&self) -> Vec<Binding> {
        pipelining::bindings(matmul::BINDINGS, self.pipelined)
    }

    fn threads(&self) -> u32 {
        self.width
    }

    fn workgroup_bytes(&self) -> u32 {
        SPAN * self.rows.count() * 4
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        shape::grid([self.sizes.n, self.width], self.rows, [rows, dirs])
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.rows.count())
    }

    /// For each span the pass itself, the loads of rows, the quads; at the end a store per row.
    fn iterations_of_sizes(&self) -> Option<u64> {
        let rows = self.rows.count();
        let span = 1 + SPAN.div_ceil(self.width) * (1 + rows) + SPAN / 4;
        Some(u64::from(self.sizes.k.div_ceil(SPAN)) * u64::from(span) + u64::from(rows))
    }

    fn work(&self) -> (Work, Work) {
        let (threads, k) = (u64::from(self.width), u64::from(self.sizes.k));
        let count = u64::from(self.rows.count());
        let each = Work {
            load: threads * k + k * count,
            share: threads * k * count,
            barrier: 2 * threads * k.div_ceil(64),
            chain: k,
            bytes: self.precision.weights.bytes(threads * k),
            ..Work::sums(self.rows, threads * k * count)
        };
        (Work::default(), each)
    }

    fn resources(&self) -> Resources {
        let weights = self.precision.weights;
        let matrix = weights.bytes(u64::from(self.sizes.k) * u64::from(self.sizes.n));
        Resources::of(2 * self.rows.count() + 4, matrix)
    }

    fn of_columns(self, n: u32) -> Self {
        Self { sizes: Sizes { n, ..self.sizes }, ..self }
    }
}

impl Takes<Arguments> for MatmulRows {
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
