//! `activate_rows`: the activation of a readout, `out = f(out)`.
//!
//! out: `[rows, O]`, rows of any order, in place. As many threads as a row has columns, up to a workgroup, compute a row, so a
//! row's bits depend on O alone. They exchange the largest number and the sum of exponentials through workgroup memory.

use bytemuck::{Pod, Zeroable};

use super::source::wgsl;
use super::{Access, Binding, Definition, Kernel, Takes, Work};
use crate::model::{Function, ReadoutActivation};

/// The most threads of a workgroup.
pub const MOST_THREADS: u32 = 64;

/// Workgroups in a row of a grid, so that the grid has few rows.
const SIDE: u32 = 256;

/// `ActivateParams` of the shader.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Params {
    /// Rows of out.
    pub rows: u32,
    /// Pads the struct to a multiple of 16 bytes.
    pub unused: [u32; 3],
}

/// The activation of a readout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActivateRows {
    /// The function.
    pub activation: ReadoutActivation,
    /// O, numbers of a row.
    pub columns: u32,
    /// Threads of a workgroup: a power of two, at most [`MOST_THREADS`].
    pub width: u32,
}

impl ActivateRows {
    /// Threads of a row.
    fn lanes(&self) -> u32 {
        self.columns.next_power_of_two().min(self.width)
    }

    /// Rows of a workgroup.
    fn rows(&self) -> u32 {
        self.width / self.lanes()
    }
}

impl Definition for ActivateRows {
    fn name(&self) -> &'static str {
        "activate_rows"
    }

    fn variant(&self) -> String {
        format!(" ({} of {}, {} × {} threads)", self.activation, self.columns, self.rows(), self.lanes())
    }

    fn parts(&self) -> Vec<&'static str> {
        vec![
            wgsl!("shared/rows1.wgsl"),
            wgsl!("shared/not_finite.wgsl"),
            wgsl!("shared/activation.wgsl"),
            wgsl!("shared/softmax.wgsl"),
            wgsl!("activate_rows.wgsl"),
        ]
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let (function, softmax) = match self.activation {
            // There is no kernel for a linear readout.
            ReadoutActivation::Linear | ReadoutActivation::Relu => (Function::Relu, 0.0),
            ReadoutActivation::Sigmoid => (Function::Sigmoid, 0.0),
            ReadoutActivation::Tanh => (Function::Tanh, 0.0),
            ReadoutActivation::Softmax => (Function::Relu, 1.0),
            ReadoutActivation::LogSoftmax => (Function::Relu, 2.0),
        };
        vec![
            ("WIDTH", f64::from(self.width)),
            ("SIDE", f64::from(SIDE)),
            ("COLUMNS", f64::from(self.columns)),
            ("LANES", f64::from(self.lanes())),
            ("FUNCTION", f64::from(function as u32)),
            ("SOFTMAX", softmax),
        ]
    }

    fn bindings(&self) -> Vec<Binding> {
        vec![
            Binding::new(0, "params", Access::Params(size_of::<Params>() as u32)),
            Binding::new(1, "out", Access::ReadWrite),
        ]
    }

    fn threads(&self) -> u32 {
        self.width
    }

    fn workgroup_bytes(&self) -> u32 {
        4 * MOST_THREADS
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        let groups = rows.div_ceil(self.rows());
        [groups.min(SIDE), groups.div_ceil(SIDE), dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(limit.min(SIDE)).saturating_mul(self.rows())
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        // Three loops over columns and two over halves, for softmax.
        let lanes = self.lanes();
        Some(3 * u64::from(self.columns.div_ceil(lanes)) + 2 * u64::from(lanes.ilog2()))
    }

    fn work(&self) -> (Work, Work) {
        // Each number is loaded three times and stored once, for softmax.
        let numbers = u64::from(self.rows()) * u64::from(self.columns);
        (Work::default(), Work { fma: 16 * numbers, load: 4 * numbers, ..Work::default() })
    }
}

impl Takes<Params> for ActivateRows {
    fn kernel(&self, _: &Params) -> Kernel {
        (*self).into()
    }

    fn extents(&self, params: &Params, _: u32) -> Vec<u64> {
        vec![u64::from(params.rows) * u64::from(self.columns)]
    }

    fn flops(&self, params: &Params) -> u64 {
        u64::from(params.rows) * u64::from(self.columns)
    }
}
