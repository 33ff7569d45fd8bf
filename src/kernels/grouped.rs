//! `grouped.wgsl`: a whole chunk of steps in one dispatch, with the units of a tile of batch rows dealt to several
//! workgroups, which hand each other h after every step.
//!
//! It is for layers whose weights are too many for one workgroup to keep. Nothing promises that the workgroups run side by side, so a
//! chunk may end unproven, and whoever dispatches it must be ready to take it again by another kernel: see
//! `shaders/shared/mail.wgsl`.

use super::resident::Shape;
use super::{Rows, unrolled::Product};

/// Words of mail before the proofs: whether a thread gave up, and how many workgroups have begun.
pub const HEAD_WORDS: usize = 2;

/// What is broken on purpose, to see the way out work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// A workgroup of each tile writes nothing more in one chunk.
    Dies {
        /// Which, in the order of its units.
        group: u32,
        /// In which chunk of the run, layer by layer; of layers at once, in which of their dispatches.
        chunk: u32,
        /// From which step of the chunk on.
        step: u32,
    },
    /// Every letter is late, by up to so many looks at memory, and no workgroup takes a step before all have begun.
    Late {
        /// How many.
        looks: u32,
    },
    /// Nothing, but each chunk is dispatched so many times, and finds the letters of the time before: so they can be tried where
    /// workgroups run one after the other.
    Again {
        /// How many.
        times: u32,
    },
    /// Both: each chunk is dispatched so many times, until one in which a workgroup of each tile writes nothing.
    AgainUntil {
        /// How many.
        times: u32,
        /// Which chunk, as of [`Fault::Dies`].
        chunk: u32,
    },
}

impl Fault {
    pub(super) fn constants(self) -> [(&'static str, f64); 4] {
        const NEVER: u32 = u32::MAX;
        let [group, chunk, step, delay] = match self {
            Self::None | Self::Again { .. } => [NEVER, NEVER, NEVER, 0],
            Self::Dies { group, chunk, step } => [group, chunk, step, 0],
            Self::AgainUntil { chunk, .. } => [0, chunk, 0, 0],
            Self::Late { looks } => [NEVER, NEVER, NEVER, looks],
        };
        let values = [group, chunk, step, delay].map(f64::from);
        [("DEAD_GROUP", values[0]), ("DEAD_CHUNK", values[1]), ("DEAD_FROM", values[2]), ("DELAY", values[3])]
    }

    /// How often each chunk is dispatched.
    pub(crate) fn times(self) -> usize {
        if let Self::Again { times } | Self::AgainUntil { times, .. } = self {
            times.max(1) as usize
        } else {
            1
        }
    }

    fn looks(self) -> u64 {
        if let Self::Late { looks } = self { looks.into() } else { 0 }
    }
}

/// Workgroups that have the units of a tile between them.
pub fn groups(hidden: u32, shape: Shape) -> u32 {
    hidden.div_ceil(shape.units.max(1))
}

/// Bytes of workgroup memory: those of a resident kernel, and two words of the mail.
pub(super) fn workgroup_bytes(hidden: u32, shape: Shape, rows: Rows, products: &[Product]) -> u32 {
    shape.workgroup_bytes(hidden, rows, products) + 8
}

/// Loop iterations of a thread beside those of its steps and its patience.
pub(super) fn iterations(hidden: u32, shape: Shape, products: usize) -> u64 {
    shape.iterations(hidden, products)
}

/// Loop iterations of a thread in one step, those left out that it looks for letters again.
pub(super) fn step_iterations(
    hidden: u32,
    shape: Shape,
    rows: Rows,
    gates: u32,
    products: usize,
    fault: Fault,
) -> u64 {
    // A letter of each row; each unit's place, letters and way into the vector; and what a late one waits.
    let exchange = u64::from(rows.count() + 9 * hidden.div_ceil(shape.threads())) + fault.looks();
    shape.step_iterations(rows, gates, products) + products as u64 * exchange
}
