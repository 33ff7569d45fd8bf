//! What the recurrent kernels share: recurrent product, gates and state update fused.
//!
//! In a step kernel thread = hidden units × tiles of batch rows × all gates, of one direction. States are tiled by R batch
//! rows, `[D, ⌈B/R⌉, P, R]`, and double-buffered for kernels of one step; `xw` is `[D, T, ⌈B/R⌉, G·H, R]` with the
//! biases added that no product encloses.

use bytemuck::{Pod, Zeroable};

use super::{Access, Binding, Rows, SPAN};
use crate::dtype::Precision;

/// What a step's product is over: the sizes its pipeline is specialised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Length of the vector: P, or H where a projection is computed.
    pub k: u32,
    /// Units of the arrays: H, or P where a projection is computed.
    pub hidden: u32,
    /// Units computed: all, or those of a slice of w.
    pub units: u32,
}

/// How a step kernel is cut up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Threads of a workgroup; a power of two, since two may share a word of y.
    pub width: u32,
    /// Units of a thread, `width` apart: each number of the vector that it loads serves all of them.
    pub units: u32,
    /// Tiles of rows of a thread: each weight that it loads serves all of them.
    pub tiles: u32,
    /// Whether sums keep to the order of blocks, which every other kernel has too; else each is one chain, which takes
    /// fewer registers.
    pub in_blocks: bool,
}

impl Shape {
    /// Loop iterations of a thread.
    pub(super) fn iterations(self, k: u32, rows: Rows, gates: u32) -> u64 {
        let Self { tiles, units, .. } = self;
        // Per span: itself, the loads, two blocks, the quads.
        let span = 1 + tiles * (1 + SPAN.div_ceil(self.width)) + 2 + SPAN / 4;
        // Once, each unit's columns; at the end, of each tile and unit: its input, its sums, its rows.
        let end = tiles * (1 + units * (1 + 2 * gates + rows.count()));
        u64::from(k.div_ceil(SPAN)) * u64::from(span) + u64::from(units + end)
    }
}

/// What the arrays of a kernel's bindings have to hold.
pub(super) struct Arrays {
    pub(super) bindings: &'static [Binding],
    /// Exchanges of a step, of a grouped kernel.
    pub(super) exchanges: u32,
    /// Those that are K long, as the vector of the product is.
    pub(super) vectors: &'static [&'static str],
    /// G.
    pub(super) gates: u32,
    pub(super) sizes: Sizes,
}

impl Sizes {
    /// All units at once.
    pub fn all(k: u32, hidden: u32) -> Self {
        Self { k, hidden, units: hidden }
    }
}

/// `StepParams` of the shaders.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Params {
    /// B.
    pub batch: u32,
    /// ⌈B/R⌉.
    pub tiles: u32,
    /// Steps before the chunk.
    pub first: u32,
    /// Steps of the chunk.
    pub steps: u32,
    /// T; no sequence is longer.
    pub times: u32,
    /// The first direction that is reverse.
    pub reverse: u32,
    /// Tiles of rows of xw from a direction to the next.
    pub xw_dir: u32,
    /// Elements of y from a step to the next.
    pub y_step: u32,
    /// Elements of y from a batch row to the next.
    pub y_row: u32,
    /// Elements of y from a direction to the next.
    pub y_dir: u32,
    /// Whether y repeats the last output of a forward direction past its end.
    pub repeats: u32,
    /// The first of the units that w has.
    pub first_unit: u32,
    /// The word of mail that counts the workgroups which have proven this chunk; of a grouped kernel alone, as are the
    /// next three.
    pub proof: u32,
    /// Workgroups of the dispatch.
    pub all: u32,
    /// The word of mail that the chunk's letters begin with.
    pub letters: u32,
    /// How often a thread looks for letters that are not there yet.
    pub patience: u32,
    /// Where layers are walked at once, one for each direction: steps that each is behind the one below.
    pub lag: u32,
    /// Of a grouped kernel: workgroups that have to have proven the chunk before, 0 of the first.
    pub before: u32,
    /// Fills the struct to a multiple of 16 bytes.
    pub unused: [u32; 2],
}

/// `StepIndex` of the shaders: one entry of the table that a dynamic offset chooses from.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Index {
    /// Step within the chunk.
    pub t: u32,
    /// Fills the struct to a multiple of 16 bytes.
    pub unused: [u32; 3],
}

impl Params {
    /// Words needed of each of the storage bindings of `arrays`, in order, for D = `dirs`.
    pub(super) fn extents(&self, arrays: Arrays, precision: Precision, rows: Rows, dirs: u32) -> Vec<u64> {
        let Arrays { bindings, exchanges, vectors, gates, sizes } = arrays;
        let (k, hidden, gates) = (u64::from(sizes.k), u64::from(sizes.hidden), u64::from(gates));
        let (dirs64, rows) = (u64::from(dirs), u64::from(rows.count()));
        let tiled = |features: u64| u64::from(self.tiles) * features * rows;
        let halved = |half: bool, numbers: u64| if half { numbers.div_ceil(2) } else { numbers };
        let extent_of = |name: &str| match name {
            "xw" => {
                (dirs64 - 1) * u64::from(self.xw_dir) * rows + u64::from(self.steps) * gates * tiled(hidden)
            }
            "w" => {
                dirs64
                    * halved(precision.weights.is_half(), k.next_multiple_of(4))
                    * gates
                    * u64::from(sizes.units)
            }
            "b_hn" => dirs64 * hidden,
            "peepholes" => dirs64 * 3 * hidden,
            "order" => 2 * u64::from(self.tiles) * rows,
            "y" => {
                // Layers that are walked at once store nothing beyond T.
                let beyond = if self.lag > 0 { 0 } else { u64::from(self.first) + u64::from(self.steps) };
                let last = (u64::from(self.times).max(beyond) - 1) * u64::from(self.y_step)
                    + u64::from(self.batch - 1) * u64::from(self.y_row)
                    + (dirs64 - 1) * u64::from(self.y_dir);
                halved(precision.activations.is_half(), last + hidden)
            }
            "mail" => {
                let letters = u64::from(self.steps) * u64::from(exchanges) * tiled(hidden);
                u64::from(self.letters) + dirs64 * letters
            }
            name if vectors.contains(&name) => dirs64 * tiled(k),
            _ => dirs64 * tiled(hidden),
        };
        bindings.iter().filter(|b| b.access.is_storage()).map(|b| extent_of(b.name)).collect()
    }
}

/// The bindings every step kernel begins with.
pub(super) const PARAMS: Binding = Binding::new(0, "params", Access::Params(size_of::<Params>() as u32));
pub(super) const INDEX: Binding = Binding::new(1, "index", Access::StepIndex(size_of::<Index>() as u32));
pub(super) const XW: Binding = Binding::new(2, "xw", Access::Read);
/// `w_hh`, or `w_hr` where a projection is computed.
pub(super) const W: Binding = Binding::new(3, "w", Access::Read);
/// The binding of every kernel that stores a new h.
pub(super) const Y: Binding = Binding::new(4, "y", Access::ReadWrite);

/// Which batch row stands in which place of a tile, and how many steps it has.
pub(super) const ORDER: Binding = Binding::new(8, "order", Access::Read);
/// h before the step; the vector of its product but where r ⊙ h or a projection stands in.
pub(super) const H_PREV: Binding = Binding::new(6, "h_prev", Access::Read);
/// h before and after a chunk.
pub(super) const H: Binding = Binding::new(6, "h_state", Access::ReadWrite);
/// h after the step.
pub(super) const H_NEXT: Binding = Binding::new(7, "h_next", Access::ReadWrite);
/// Where workgroups write to each other.
pub(super) const MAIL: Binding = Binding::new(11, "mail", Access::ReadWrite);
