//! `merge`: y of a layer that merges both directions, `out = forward + reverse` or as [`Merge`] says.
//!
//! both: `[2, words]`, the output of each direction, in the layout of out; out: `[words]`, of activations as they are
//! stored. A thread owns a word. Values past a sequence's end are merged like all others.

use bytemuck::{Pod, Zeroable};

use super::source::wgsl;
use super::{Access, Binding, Definition, Kernel, Takes, Work};
use crate::dtype::Storage;
use crate::model::Merge;

/// Workgroups in a row of a grid, so that the grid has few rows.
const SIDE: u32 = 256;

/// `MergeParams` of the shader.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Params {
    /// Words of out.
    pub words: u32,
    /// Pads the struct to a multiple of 16 bytes.
    pub unused: [u32; 3],
}

/// The merge of a layer's two directions into one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MergeDirections {
    /// The operation.
    pub merge: Merge,
    /// The storage of both directions and of the result.
    pub activations: Storage,
    /// Threads of a workgroup.
    pub width: u32,
}

impl Definition for MergeDirections {
    fn name(&self) -> &'static str {
        "merge"
    }

    fn variant(&self) -> String {
        format!(" ({}, {} threads)", self.merge, self.width)
    }

    fn parts(&self) -> Vec<&'static str> {
        let [half, of_storage] = match self.activations {
            Storage::F32 => ["", wgsl!("shared/merge_f32.wgsl")],
            Storage::F16 => [wgsl!("shared/half_f16_nearest.wgsl"), wgsl!("shared/merge_packed.wgsl")],
            Storage::Bf16 => [wgsl!("shared/half_bf16.wgsl"), wgsl!("shared/merge_packed.wgsl")],
        };
        vec![half, of_storage, wgsl!("merge.wgsl")]
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mode = match self.merge {
            // There is no merge kernel for concatenation.
            Merge::Concat | Merge::Sum => 0.0,
            Merge::Mul => 1.0,
            Merge::Average => 2.0,
        };
        vec![("WIDTH", f64::from(self.width)), ("SIDE", f64::from(SIDE)), ("MODE", mode)]
    }

    fn bindings(&self) -> Vec<Binding> {
        vec![
            Binding::new(0, "params", Access::Params(size_of::<Params>() as u32)),
            Binding::new(1, "both", Access::Read),
            Binding::new(2, "out", Access::ReadWrite),
        ]
    }

    fn threads(&self) -> u32 {
        self.width
    }

    fn grid(&self, words: u32, dirs: u32) -> [u32; 3] {
        let groups = words.div_ceil(self.width);
        [groups.min(SIDE), groups.div_ceil(SIDE), dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(limit.min(SIDE)).saturating_mul(self.width)
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        Some(0)
    }

    fn work(&self) -> (Work, Work) {
        // Of each word both directions are loaded, and one is stored.
        let threads = u64::from(self.width);
        (Work::default(), Work { fma: threads, load: 3 * threads, ..Work::default() })
    }
}

impl Takes<Params> for MergeDirections {
    fn kernel(&self, _: &Params) -> Kernel {
        (*self).into()
    }

    fn extents(&self, params: &Params, _: u32) -> Vec<u64> {
        vec![2 * u64::from(params.words), u64::from(params.words)]
    }

    fn flops(&self, params: &Params) -> u64 {
        u64::from(params.words)
    }
}
