//! `matmul_matrices`: `out = w x + bias` for many rows of f16, by cooperative matrices.

use super::product::{Left, Product, Stored};
use super::{FLAG, LINES, Matrices, PRECISION, REST};
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
    /// Matrices of a subgroup, one below the other: 2, 4 or 8. Up to four lie side by side.
    pub stack: u32,
    /// Whether K and the beginnings of rows are multiples of eight; set from the parameters of the dispatch.
    pub in_octets: bool,
    /// Whether a dispatch has several layers; set from the parameters of the dispatch.
    pub pipelined: bool,
}

/// The values of `stack`.
pub const STACKS: [u32; 3] = [2, 4, 8];

impl MatmulMatrices {
    /// Whether its sums fit the registers of threads.
    pub fn fits(&self) -> bool {
        self.product().fits()
    }

    fn product(&self) -> Product {
        let Self { sizes: Sizes { k, .. }, matrices, stack, .. } = *self;
        let columns = stack.min(4);
        Product { matrices, k, stack, across: columns, columns, stored: Stored::Two }
    }

    /// Numbers of the sums that are stored together.
    fn stored(&self) -> u32 {
        4 * 2 * self.matrices.side * self.matrices.side
    }
}

impl Definition for MatmulMatrices {
    fn name(&self) -> &'static str {
        "matmul_matrices"
    }

    fn variant(&self) -> String {
        let (product, side) = (self.product(), self.matrices.side);
        format!(" ({} rows × {} columns, matrices of {side} × {side})", product.high(), product.wide())
    }

    fn parts(&self) -> Vec<&'static str> {
        let mut parts = self.matrices.head().to_vec();
        parts.extend([INTERLEAVE, source::half(PRECISION)]);
        parts.push(match self.in_octets {
            true => wgsl!(.."matrices/x_octets.wgsl"),
            false => wgsl!(.."matrices/x_f16.wgsl"),
        });
        parts.extend(LINES);
        parts.push(REST);
        parts.extend(matmul::shared(self.pipelined));
        parts.push(wgsl!(.."matrices/matmul_matrices.wgsl"));
        parts
    }

    fn written(&self) -> String {
        self.product().text(Left::Loaded)
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

    /// A flag, the starts of rows, two operands, the sums that are stored together.
    fn workgroup_bytes(&self) -> u32 {
        let product = self.product();
        FLAG + 4 * product.high() + product.bytes() + 4 * self.stored()
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        let product = self.product();
        [self.sizes.n.div_ceil(product.wide()), rows.div_ceil(product.high()), dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.product().high())
    }

    /// For each pass the pass itself; at the start the starts of rows, at the end its stores.
    fn iterations_of_sizes(&self) -> Option<u64> {
        let product = self.product();
        // A workgroup has at least the threads of four subgroups.
        let share = |numbers: u32| numbers.div_ceil(self.threads().max(1));
        let parts = product.stack * product.columns / 2;
        Some(product.iterations() + u64::from(share(product.high()) + parts * share(self.stored())))
    }

    fn work(&self) -> (Work, Work) {
        let product = self.product();
        let (sums, k) = (u64::from(product.high() * product.wide()), u64::from(self.sizes.k));
        let work = product.work();
        let each = Work {
            load: work.load + sums,
            share: work.share + 2 * sums,
            bytes: PRECISION.weights.bytes(u64::from(product.high() + product.wide()) * k),
            ..work
        };
        (Work::default(), each)
    }

    fn resources(&self) -> Resources {
        let matrix = PRECISION.weights.bytes(u64::from(self.sizes.k) * u64::from(self.sizes.n));
        Resources::of(self.product().registers(), matrix)
    }

    fn of_columns(self, n: u32) -> Self {
        Self { sizes: Sizes { n, ..self.sizes }, ..self }
    }
}

impl Takes<Arguments> for MatmulMatrices {
    fn kernel(&self, arguments: &Arguments) -> Kernel {
        let params = &arguments.own;
        let x_dir = arguments.pipelining.map_or(0, |of| of.x_dir);
        let in_octets = [self.sizes.k, params.x_step, params.x_row, x_dir].iter().all(|of| of % 8 == 0);
        Self { in_octets, pipelined: arguments.pipelining.is_some(), ..*self }.into()
    }

    fn extents(&self, arguments: &Arguments, dirs: u32) -> Vec<u64> {
        arguments.extents(self.sizes, PRECISION, dirs).to_vec()
    }

    fn flops(&self, arguments: &Arguments) -> u64 {
        arguments.flops(self.sizes)
    }
}
