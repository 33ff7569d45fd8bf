//! What the matmul kernels and `add_bias` share: `out = w x + bias` over the rows of a sequence array.
//!
//! A row m is a step and a place in the batch, `[⌈B/R⌉, T, R]`; each direction takes the steps in its own order.
//! Strides place both arrays. So none of these needs a transposing copy: a batch-major `[B, T, I]`, a time-major
//! `[T, B, H]`, and the tiled `[D, T, ⌈B/R⌉, G·H]` of R rows that the step kernels read.

use bytemuck::{Pod, Zeroable};

use super::source::wgsl;
use super::{Access, Binding, pipelining};
use crate::dtype::Precision;

/// K and N of `w`: the sizes a matmul pipeline is specialised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// K, features read.
    pub k: u32,
    /// N, columns of w: all columns, or those of a slice.
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
    /// Steps before step 0.
    pub first: u32,
    /// T; no sequence is longer.
    pub times: u32,
    /// The first direction that is reverse.
    pub reverse: u32,
    /// Elements of x from a step to the next.
    pub x_step: u32,
    /// Elements of x from a batch row to the next.
    pub x_row: u32,
    /// Elements of out from a direction to the next.
    pub out_dir: u32,
    /// Elements of out from a step to the next.
    pub out_step: u32,
    /// Elements of out from a tile of places to the next.
    pub out_tile: u32,
    /// Places that lie side by side in out.
    pub tile: u32,
    /// Elements of out from a column to the next.
    pub out_column: u32,
    /// Where in `order` the lengths lie.
    pub order: u32,
    /// Where in `order` the batch rows lie.
    pub order_rows: u32,
    /// Whether lengths fall from place to place, and rows that have ended need no output.
    pub skips: u32,
    /// The first of the columns that w holds.
    pub first_column: u32,
    /// Columns of out and of bias.
    pub columns: u32,
    /// Steps of the chunk: `rows / padded`.
    pub steps: u32,
    /// Pads the struct to a multiple of 16 bytes.
    pub unused: [u32; 1],
}

/// The parameters of a dispatch.
pub type Arguments = pipelining::Arguments<Params>;

impl Arguments {
    /// Words needed of x, bias, w, out and order, for D = `dirs`.
    pub(super) fn extents(&self, sizes: Sizes, precision: Precision, dirs: u32) -> [u64; 5] {
        let Sizes { k, n } = sizes;
        let params = &self.own;
        let to_last = |count: u32, stride: u32| u64::from(count - 1) * u64::from(stride);
        let [x_dir, out_first] = self.pipelining.map_or([0; 2], |of| [of.x_dir, of.out_first]);
        let steps = params.steps;
        let x = to_last(dirs, x_dir)
            + to_last(params.times, params.x_step)
            + to_last(params.batch, params.x_row)
            + u64::from(k);
        let out = u64::from(out_first)
            + to_last(dirs, params.out_dir)
            + to_last(steps, params.out_step)
            + to_last(params.padded / params.tile, params.out_tile)
            + to_last(params.columns, params.out_column)
            + u64::from(params.tile);
        let halved = |half: bool, numbers: u64| if half { numbers.div_ceil(2) } else { numbers };
        let bias = u64::from(dirs) * u64::from(params.columns);
        let w = u64::from(dirs)
            * u64::from(n)
            * halved(precision.weights.is_half(), u64::from(k.next_multiple_of(4)));
        let order = u64::from(params.order.max(params.order_rows)) + u64::from(params.batch);
        [halved(precision.activations.is_half(), x), bias, w, out, order]
    }

    /// Operations of one direction.
    pub(super) fn flops(&self, sizes: Sizes) -> u64 {
        2 * u64::from(self.own.rows) * u64::from(sizes.k) * u64::from(sizes.n)
    }
}

/// The files that precede a matmul's own.
pub(super) fn shared(pipelined: bool) -> [&'static str; 3] {
    let of_layers = match pipelined {
        true => wgsl!("shared/pipelined_matmul.wgsl"),
        false => wgsl!("shared/sequential_matmul.wgsl"),
    };
    [wgsl!("shared/matmul.wgsl"), pipelining::text(pipelined), of_layers]
}

pub(super) const BINDINGS: &[Binding] = &[
    Binding::new(0, "params", Access::Params(size_of::<Params>() as u32)),
    Binding::new(1, "x", Access::Read),
    Binding::new(2, "bias", Access::Read),
    Binding::new(3, "w", Access::Read),
    Binding::new(4, "out", Access::ReadWrite),
    Binding::new(5, "order", Access::Read),
];
