//! `take_states` and `put_states`: the states of a batch's rows, from and to the slots of streams or the caller's arrays.
//!
//! streams: a row's states lie at slot · stride + offset, one offset for each array and direction; arrays: `[D, ⌈B/R⌉, features, R]`,
//! each a layer's h or c. The slots of a pool are `[capacity, stride]`, the states of a stream side by side, so where they lie
//! does not depend on who else is there. Of the caller's `[L·D, B, features]` batch row b has slot b, the stride being `features`.

use bytemuck::{Pod, Zeroable};

use super::{Access, Binding, Rows, Shader};

/// State arrays of one dispatch.
pub const ARRAYS: usize = 4;

/// Which way states go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the slots to the batch.
    Take,
    /// From the batch to the slots.
    Put,
}

macro_rules! shader {
    ($name:literal, $streams:ident, $arrays:ident) => {
        Shader {
            name: $name,
            parts: &[
                include_str!("../../shaders/shared/streams.wgsl"),
                include_str!(concat!("../../shaders/", $name, ".wgsl")),
            ],
            bindings: &[
                Binding::new(0, "params", Access::Params(size_of::<Params>() as u32)),
                Binding::new(1, "order", Access::Read),
                Binding::new(2, "slots", Access::Read),
                Binding::new(3, "streams", Access::$streams),
                Binding::new(4, "array0", Access::$arrays),
                Binding::new(5, "array1", Access::$arrays),
                Binding::new(6, "array2", Access::$arrays),
                Binding::new(7, "array3", Access::$arrays),
            ],
        }
    };
}

const TAKE: Shader = shader!("take_states", Read, ReadWrite);
const PUT: Shader = shader!("put_states", ReadWrite, Read);

impl Way {
    pub(super) fn shader(self) -> &'static Shader {
        match self {
            Self::Take => &TAKE,
            Self::Put => &PUT,
        }
    }
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
    /// Slots that there are.
    pub capacity: u32,
    /// Numbers of a slot.
    pub stride: u32,
    /// Units of each array, 0 where there is none.
    pub features: [u32; ARRAYS],
    /// Where in a slot each array's units of the first direction lie.
    pub offsets: [u32; ARRAYS],
    /// D.
    pub dirs: u32,
    /// From where the units of a direction lie to those of the next.
    pub dir_stride: u32,
    /// Fills the struct to a multiple of 16 bytes.
    pub unused: u32,
}

impl Params {
    /// Words needed of order, slots, streams and the arrays.
    pub(super) fn extents(&self, rows: Rows) -> [u64; 3 + ARRAYS] {
        let batch = u64::from(self.batch);
        let places = batch.next_multiple_of(u64::from(rows.count()));
        let [order, slots] = [self.order_rows, self.first].map(|first| u64::from(first) + batch);
        let [dirs, capacity, stride] = [self.dirs, self.capacity, self.stride].map(u64::from);
        let last = u64::from(self.dir_stride) * dirs.saturating_sub(1) + stride * capacity.saturating_sub(1);
        let mut extents = [order, slots, capacity * stride, 0, 0, 0, 0];
        for (array, (features, offset)) in self.features.iter().zip(self.offsets).enumerate() {
            let features = u64::from(*features);
            extents[3 + array] = dirs * places * features;
            if features > 0 {
                extents[2] = extents[2].max(last + u64::from(offset) + features);
            }
        }
        extents
    }
}
