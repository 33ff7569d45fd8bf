//! `order_rows`: the batch row at each place, from lengths on the device.
//!
//! lengths: `[B]`, those above T count as T; order: the array of [`crate::program::Order`], `[2, padded]` or for a
//! readout `[4, padded]`. A thread owns a place and the row of the same number. It counts the rows that precede its
//! row: longer ones, and equal ones of a smaller number. So it writes what a stable sort by falling length gives.

use bytemuck::{Pod, Zeroable};

use super::source::wgsl;
use super::{Access, Binding, Definition, Kernel, Takes, Work};

/// Threads of a workgroup.
pub const WIDTH: u32 = 64;

/// Rows that a thread compares in an iteration.
const SPAN: u32 = 8;

/// What a readout reads of a row's length: there is no readout.
pub const NO_READOUT: u32 = 0;
/// See [`NO_READOUT`]: its length, for a readout of the last step.
pub const READOUT_LAST: u32 = 1;
/// See [`NO_READOUT`]: T, for one of every step.
pub const READOUT_EVERY: u32 = 2;

/// `OrderParams` of the shader.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Params {
    /// B.
    pub batch: u32,
    /// B rounded up to whole tiles of rows: the places.
    pub padded: u32,
    /// T.
    pub steps: u32,
    /// [`NO_READOUT`], [`READOUT_LAST`] or [`READOUT_EVERY`].
    pub readout: u32,
}

/// The batch row at each place, from lengths on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrderRows {
    /// Threads of a workgroup.
    pub width: u32,
}

impl Definition for OrderRows {
    fn name(&self) -> &'static str {
        "order_rows"
    }

    fn variant(&self) -> String {
        format!(" ({} threads)", self.width)
    }

    fn parts(&self) -> Vec<&'static str> {
        vec![wgsl!("order_rows.wgsl")]
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("WIDTH", f64::from(self.width))]
    }

    fn bindings(&self) -> Vec<Binding> {
        vec![
            Binding::new(0, "params", Access::Params(size_of::<Params>() as u32)),
            Binding::new(1, "lengths", Access::Read),
            Binding::new(2, "order", Access::ReadWrite),
        ]
    }

    fn threads(&self) -> u32 {
        self.width
    }

    fn grid(&self, places: u32, dirs: u32) -> [u32; 3] {
        [places.div_ceil(self.width), 1, dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.width)
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        None
    }

    fn work(&self) -> (Work, Work) {
        // Not part of a plan's cost: it runs before the plan's dispatches, where lengths are on the device.
        (Work::default(), Work { load: u64::from(self.width), ..Work::default() })
    }
}

impl Takes<Params> for OrderRows {
    fn kernel(&self, _: &Params) -> Kernel {
        (*self).into()
    }

    fn extents(&self, params: &Params, _: u32) -> Vec<u64> {
        let arrays = if params.readout == NO_READOUT { 2 } else { 4 };
        vec![u64::from(params.batch), arrays * u64::from(params.padded)]
    }

    fn flops(&self, params: &Params) -> u64 {
        u64::from(params.batch) * u64::from(params.batch)
    }

    fn iterations(&self, params: &Params) -> u64 {
        u64::from(params.batch.div_ceil(SPAN))
    }
}
