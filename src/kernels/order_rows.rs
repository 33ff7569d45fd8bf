//! `order_rows`: which batch row stands in which place, of lengths that lie on the device.
//!
//! lengths: `[B]`, those above T taken for T; order: the array of [`crate::program::Order`], `[2, padded]` or for a readout
//! `[4, padded]`. A thread owns a place and counts the rows that stand before the row of its number: longer ones, and equal
//! ones before it. So it writes what a stable sort by falling length gives.

use bytemuck::{Pod, Zeroable};

use super::{Access, Binding, Shader};

pub(super) const SHADER: Shader = Shader {
    name: "order_rows",
    parts: &[include_str!("../../shaders/order_rows.wgsl")],
    bindings: &[
        Binding::new(0, "params", Access::Params(size_of::<Params>() as u32)),
        Binding::new(1, "lengths", Access::Read),
        Binding::new(2, "order", Access::ReadWrite),
    ],
};

/// Threads of a workgroup.
pub const WIDTH: u32 = 64;

/// What a readout takes of a row's length.
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

impl Params {
    /// Words needed of lengths and of order.
    pub(super) fn extents(&self) -> [u64; 2] {
        let arrays = if self.readout == NO_READOUT { 2 } else { 4 };
        [u64::from(self.batch), arrays * u64::from(self.padded)]
    }
}
