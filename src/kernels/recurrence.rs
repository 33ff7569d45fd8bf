//! What the kernels that walk over steps share: parameters, bindings, and how far they reach.
//!
//! States are tiled by R batch rows, `[D, ⌈B/R⌉, P, R]`, and double-buffered for kernels of one step; `xw` is
//! `[D, T, ⌈B/R⌉, G·H, R]` with the biases added that no product encloses.

use bytemuck::{Pod, Zeroable};

use super::{Access, Binding, Rows, pipelining};
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

impl Sizes {
    /// All units at once.
    pub fn all(k: u32, hidden: u32) -> Self {
        Self { k, hidden, units: hidden }
    }
}

/// What the arrays of a kernel's bindings have to hold.
pub(super) struct Arrays {
    /// Those that are K long, as the vector of the product is.
    pub(super) vectors: &'static [&'static str],
    /// G.
    pub(super) gates: u32,
    pub(super) sizes: Sizes,
    pub(super) precision: Precision,
    pub(super) rows: Rows,
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
}

/// The parameters of a dispatch.
pub type Arguments = pipelining::Arguments<Params>;

/// `StepIndex` of the shaders: one entry of the table that a dynamic offset chooses from.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Index {
    /// Step within the chunk.
    pub t: u32,
    /// Fills the struct to a multiple of 16 bytes.
    pub unused: [u32; 3],
}

impl Arguments {
    /// Words needed of each of the storage bindings among `bindings`, in order, for D = `dirs`.
    pub(super) fn extents(&self, bindings: &[Binding], arrays: &Arrays, dirs: u32) -> Vec<u64> {
        let storage = bindings.iter().filter(|binding| binding.access.is_storage());
        storage.map(|binding| self.extent_of(binding.name, arrays, dirs)).collect()
    }

    /// Words needed of the array `name`.
    pub(super) fn extent_of(&self, name: &str, arrays: &Arrays, dirs: u32) -> u64 {
        let Arrays { vectors, gates, sizes, precision, rows } = *arrays;
        let params = &self.own;
        let (k, hidden, gates) = (u64::from(sizes.k), u64::from(sizes.hidden), u64::from(gates));
        let (dirs, rows) = (u64::from(dirs), u64::from(rows.count()));
        let tiled = |features: u64| u64::from(params.tiles) * features * rows;
        let halved = |half: bool, numbers: u64| if half { numbers.div_ceil(2) } else { numbers };
        match name {
            "xw" => {
                (dirs - 1) * u64::from(params.xw_dir) * rows + u64::from(params.steps) * gates * tiled(hidden)
            }
            "w" => {
                dirs * halved(precision.weights.is_half(), k.next_multiple_of(4))
                    * gates
                    * u64::from(sizes.units)
            }
            "b_hn" => dirs * hidden,
            "peepholes" => dirs * 3 * hidden,
            "order" => 2 * u64::from(params.tiles) * rows,
            "y" => {
                // Pipelined layers store nothing beyond T.
                let beyond = match self.pipelining {
                    Some(_) => 0,
                    None => u64::from(params.first) + u64::from(params.steps),
                };
                let last = (u64::from(params.times).max(beyond) - 1) * u64::from(params.y_step)
                    + u64::from(params.batch - 1) * u64::from(params.y_row)
                    + (dirs - 1) * u64::from(params.y_dir);
                halved(precision.activations.is_half(), last + hidden)
            }
            name if vectors.contains(&name) => dirs * tiled(k),
            _ => dirs * tiled(hidden),
        }
    }
}

/// The parameters of a kernel of many steps, which keeps them in variables.
pub(super) const GIVEN: Binding = Binding::new(0, "given", Access::Params(size_of::<Params>() as u32));
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
