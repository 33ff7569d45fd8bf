//! What the matmul kernels share: `out = w x + bias` over the rows of a sequence array.
//!
//! A row m is a step and a batch row, `t = m / padded`, `b = m % padded`. Strides place both arrays, so a
//! batch-major `[B, T, I]`, a time-major `[T, B, H]` and the tiled `[T, ⌈B/R⌉, G·H]` of R rows that the step
//! kernels read are all served without a transposing copy.

use bytemuck::{Pod, Zeroable};

use super::{Access, Binding};

/// K and N of `w`: the sizes a matmul pipeline is specialised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// K, features read.
    pub k: u32,
    /// N, columns written.
    pub n: u32,
}

impl Sizes {
    pub(super) fn constants(self) -> [(&'static str, f64); 2] {
        [("K", f64::from(self.k)), ("N", f64::from(self.n))]
    }
}

/// `MatmulParams` of the shaders.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Params {
    /// M = steps · padded.
    pub rows: u32,
    /// B.
    pub batch: u32,
    /// B rounded up to a multiple of `tile`.
    pub padded: u32,
    /// Element of x at t = 0, b = 0.
    pub x_base: u32,
    /// Elements of x from a step to the next.
    pub x_step: u32,
    /// Elements of x from a batch row to the next.
    pub x_row: u32,
    /// Elements of out from a step to the next.
    pub out_step: u32,
    /// Elements of out from a tile of batch rows to the next.
    pub out_tile: u32,
    /// Batch rows that lie side by side in out.
    pub tile: u32,
    /// Elements of out from a column to the next.
    pub out_column: u32,
    /// Fills the struct to a multiple of 16 bytes.
    pub unused: [u32; 2],
}

impl Params {
    /// Elements needed of x, w, bias and out.
    pub(super) fn extents(&self, sizes: Sizes) -> [u64; 4] {
        let Sizes { k, n } = sizes;
        let last = |count: u32, stride: u32| u64::from(count - 1) * u64::from(stride);
        let steps = self.rows / self.padded;
        let x =
            u64::from(self.x_base) + last(steps, self.x_step) + last(self.batch, self.x_row) + u64::from(k);
        let out = last(steps, self.out_step)
            + last(self.padded / self.tile, self.out_tile)
            + last(n, self.out_column)
            + u64::from(self.tile);
        [x, u64::from(k) * u64::from(n), u64::from(n), out]
    }
}

pub(super) const BINDINGS: &[Binding] = &[
    Binding::new(0, "params", Access::Params(size_of::<Params>() as u32)),
    Binding::new(1, "x", Access::Read),
    Binding::new(2, "w", Access::Read),
    Binding::new(3, "bias", Access::Read),
    Binding::new(4, "out", Access::ReadWrite),
];
