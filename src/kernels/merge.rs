//! `merge`: y of a layer that makes one of both directions, `out = forward + reverse` or as [`Merge`] says.
//!
//! both: `[2, words]`, what each direction has written, in the order of out; out: `[words]`, of activations as they are stored. A
//! thread owns a word. What stands past a sequence's end is merged like everything else.

use bytemuck::{Pod, Zeroable};

use super::{Access, Binding, Shader};
use crate::model::Merge;

pub(super) const SHADER: Shader = Shader {
    name: "merge",
    parts: &[include_str!("../../shaders/merge.wgsl")],
    bindings: &[
        Binding::new(0, "params", Access::Params(size_of::<Params>() as u32)),
        Binding::new(1, "both", Access::Read),
        Binding::new(2, "out", Access::ReadWrite),
    ],
};

/// Workgroups in a row of a grid, so that its rows are few.
const SIDE: u32 = 256;

/// `MergeParams` of the shader.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Params {
    /// Words of out.
    pub words: u32,
    /// Fills the struct to a multiple of 16 bytes.
    pub unused: [u32; 3],
}

impl Params {
    /// Words needed of both and of out.
    pub(super) fn extents(&self) -> [u64; 2] {
        [2 * u64::from(self.words), u64::from(self.words)]
    }
}

/// The pipeline constants.
pub(super) fn constants(merge: Merge, width: u32) -> [(&'static str, f64); 3] {
    let mode = match merge {
        // Nothing is merged there.
        Merge::Concat | Merge::Sum => 0.0,
        Merge::Mul => 1.0,
        Merge::Average => 2.0,
    };
    [("WIDTH", f64::from(width)), ("SIDE", f64::from(SIDE)), ("MODE", mode)]
}

/// Workgroups for so many words.
pub(super) fn grid(words: u32, width: u32) -> [u32; 2] {
    let groups = words.div_ceil(width);
    [groups.min(SIDE), groups.div_ceil(SIDE)]
}

/// The most words within `limit` workgroups a dimension.
pub(super) fn most_words(limit: u32, width: u32) -> u32 {
    limit.saturating_mul(limit.min(SIDE)).saturating_mul(width)
}
