//! `gather_states` and `scatter_states`: the states of a batch's rows, from and to the slots of streams or the caller's arrays.
//!
//! streams: a row's states lie at slot · stride + offset, with one offset for each array and direction. arrays:
//! `[D, ⌈B/R⌉, features, R]`, each a layer's h or c. The slots of a pool are `[capacity, stride]`, the states of a stream
//! side by side, so their place does not depend on other streams. In the caller's `[L·D, B, features]` batch row b
//! has slot b, and the stride is `features`.

use bytemuck::{Pod, Zeroable};

use super::source::{self, wgsl};
use super::{Access, Binding, Definition, Kernel, Rows, Takes, Work, shape};

/// State arrays of one dispatch.
pub const ARRAYS: usize = 4;

/// The direction of the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the slots to the batch.
    Take,
    /// From the batch to the slots.
    Put,
}

/// `StreamParams` of the shaders.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Params {
    /// B.
    pub batch: u32,
    /// Where in `order` the batch rows lie.
    pub order_rows: u32,
    /// Where in `slots` the slot of batch row 0 lies.
    pub first: u32,
    /// The number of slots.
    pub capacity: u32,
    /// Numbers of a slot.
    pub stride: u32,
    /// Units of each array, 0 where an array is not used.
    pub features: [u32; ARRAYS],
    /// Where in a slot each array's units of the first direction lie.
    pub offsets: [u32; ARRAYS],
    /// D.
    pub dirs: u32,
    /// Numbers from the units of a direction to those of the next.
    pub dir_stride: u32,
    /// Pads the struct to a multiple of 16 bytes.
    pub unused: u32,
}

/// States of streams, from their slots to a batch or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MoveStates {
    /// The direction of the copy.
    pub way: Way,
    /// Rows of a thread.
    pub rows: Rows,
    /// Units of the array that has the most.
    pub features: u32,
    /// Threads of a workgroup.
    pub width: u32,
}

impl Definition for MoveStates {
    fn name(&self) -> &'static str {
        match self.way {
            Way::Take => "gather_states",
            Way::Put => "scatter_states",
        }
    }

    fn variant(&self) -> String {
        format!(" ({} × {} threads)", self.rows, self.width)
    }

    fn parts(&self) -> Vec<&'static str> {
        let own = match self.way {
            Way::Take => wgsl!("gather_states.wgsl"),
            Way::Put => wgsl!("scatter_states.wgsl"),
        };
        vec![source::rows(self.rows), wgsl!("shared/streams.wgsl"), own]
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("WIDTH", f64::from(self.width))]
    }

    fn bindings(&self) -> Vec<Binding> {
        let (streams, arrays) = match self.way {
            Way::Take => (Access::Read, Access::ReadWrite),
            Way::Put => (Access::ReadWrite, Access::Read),
        };
        vec![
            Binding::new(0, "params", Access::Params(size_of::<Params>() as u32)),
            Binding::new(1, "order", Access::Read),
            Binding::new(2, "slots", Access::Read),
            Binding::new(3, "streams", streams),
            Binding::new(4, "array0", arrays),
            Binding::new(5, "array1", arrays),
            Binding::new(6, "array2", arrays),
            Binding::new(7, "array3", arrays),
        ]
    }

    fn threads(&self) -> u32 {
        self.width
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        shape::grid([self.features, self.width], self.rows, [rows, dirs])
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.rows.count())
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        Some(u64::from(self.rows.count()))
    }

    fn work(&self) -> (Work, Work) {
        // Each number is loaded and stored; of each row its place.
        (Work::default(), Work::of_loads(4, self.width, self.rows))
    }
}

impl Takes<Params> for MoveStates {
    fn kernel(&self, _: &Params) -> Kernel {
        (*self).into()
    }

    /// Words needed of order, slots, streams and the arrays.
    fn extents(&self, params: &Params, _: u32) -> Vec<u64> {
        let batch = u64::from(params.batch);
        let places = batch.next_multiple_of(u64::from(self.rows.count()));
        let [order, slots] = [params.order_rows, params.first].map(|first| u64::from(first) + batch);
        let [dirs, capacity, stride] = [params.dirs, params.capacity, params.stride].map(u64::from);
        let last =
            u64::from(params.dir_stride) * dirs.saturating_sub(1) + stride * capacity.saturating_sub(1);
        let mut extents = vec![order, slots, capacity * stride];
        for (features, offset) in params.features.iter().zip(params.offsets) {
            let features = u64::from(*features);
            extents.push(dirs * places * features);
            if features > 0 {
                extents[2] = extents[2].max(last + u64::from(offset) + features);
            }
        }
        extents
    }

    fn flops(&self, _: &Params) -> u64 {
        0
    }
}
