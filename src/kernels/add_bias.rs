//! `add_bias`: `xw = x + bias` for an x that is `w_ih x` already; replaces the matmul of the first layer.
//!
//! x is `[B, T, D·N]` by strides, each direction's N columns one after the other. A thread owns one column of a tile of
//! rows.

use super::matmul::{self, Arguments, Sizes};
use super::source::{self, INTERLEAVE, wgsl};
use super::{Access, Binding, Definition, Kernel, Rows, Takes, Work, shape};
use crate::dtype::{Precision, Storage};

/// `out = x + bias`, for an x that is `w x` already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddBias {
    /// N, columns of a direction.
    pub n: u32,
    /// How x is stored.
    pub activations: Storage,
    /// Rows of a thread.
    pub rows: Rows,
    /// Threads of a workgroup.
    pub width: u32,
}

impl AddBias {
    fn precision(&self) -> Precision {
        Precision { activations: self.activations, ..Precision::default() }
    }
}

impl Definition for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn variant(&self) -> String {
        format!(" ({} × {} threads)", self.rows, self.width)
    }

    fn parts(&self) -> Vec<&'static str> {
        let mut parts = vec![INTERLEAVE, source::rows(self.rows), source::half(self.precision())];
        parts.push(source::x(self.activations));
        // Only the first layer's x may be projected already; its dispatch is for that layer alone.
        parts.extend(matmul::shared(false));
        parts.push(wgsl!("add_bias.wgsl"));
        parts
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("N", f64::from(self.n)), ("WIDTH", f64::from(self.width))]
    }

    fn bindings(&self) -> Vec<Binding> {
        vec![
            Binding::new(0, "params", Access::Params(size_of::<matmul::Params>() as u32)),
            Binding::new(1, "x", Access::Read),
            Binding::new(2, "bias", Access::Read),
            Binding::new(4, "out", Access::ReadWrite),
            Binding::new(5, "order", Access::Read),
        ]
    }

    fn threads(&self) -> u32 {
        self.width
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        shape::grid([self.n, self.width], self.rows, [rows, dirs])
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.rows.count())
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        Some(u64::from(self.rows.count()))
    }

    fn work(&self) -> (Work, Work) {
        // Of each number x and bias are loaded and the result is stored; of each row its place.
        let rows = u64::from(self.rows.count());
        let numbers = u64::from(self.width) * rows;
        (Work::default(), Work { fma: numbers, load: 3 * numbers + 3 * rows, ..Work::default() })
    }
}

impl Takes<Arguments> for AddBias {
    fn kernel(&self, _: &Arguments) -> Kernel {
        (*self).into()
    }

    fn extents(&self, arguments: &Arguments, dirs: u32) -> Vec<u64> {
        let sizes = Sizes { k: dirs * self.n, n: self.n };
        let [x, bias, _, out, order] = arguments.extents(sizes, self.precision(), dirs);
        vec![x, bias, out, order]
    }

    fn flops(&self, arguments: &Arguments) -> u64 {
        u64::from(arguments.own.rows) * u64::from(self.n)
    }
}
