//! One file for each kernel: its parameters, its bindings, its text and its dispatch shape; `kernels!`, below, lists
//! them. This module knows shapes, not models.
//!
//! A shader module is the concatenation of files and of text written out for its sizes; sizes are pipeline constants.
//! `tests/sources/shaders.rs` checks each Rust side against its shader by reflection.

mod cell;
mod definition;
pub mod exchange;
mod gru_after;
mod gru_before;
#[macro_use]
mod list;
pub mod activate_rows;
mod add_bias;
mod lstm;
pub mod matmul;
mod matmul_rows;
mod matmul_tiled;
pub mod matrices;
pub mod merge;
pub mod order_rows;
pub mod persistent;
pub mod pipelining;
mod product;
pub mod recurrence;
mod resets;
mod rnn;
mod shape;
mod source;
pub mod step;
pub mod streams;
mod unrolled;
mod work;

pub use activate_rows::ActivateRows;
pub use add_bias::AddBias;
pub use cell::{Functions, StepCell, WholeCell};
pub use definition::{Definition, Parameters, Takes};
pub use exchange::MultiWorkgroup;
pub use matmul_rows::MatmulRows;
pub use matmul_tiled::MatmulTiled;
pub use matrices::{MatmulMatrices, StepMatrices};
pub use merge::MergeDirections;
pub use order_rows::OrderRows;
pub use persistent::Persistent;
pub use resets::{ResetOrder, ResetStates};
pub use step::Step;
pub use streams::MoveStates;
pub use work::{Resources, Work};

use std::fmt;
use std::ops::Deref;

kernels! {
    MultiWorkgroup, ActivateRows, MergeDirections, MoveStates, OrderRows, ResetStates;
    /// A kernel that computes `out = w x + bias`: xw, or the readout's output.
    Projection of matmul::Arguments: MatmulTiled, MatmulRows, MatmulMatrices, AddBias;
    /// A kernel that computes a step, or a part of one, or all steps of a chunk by independent workgroups.
    Recurrent of recurrence::Arguments: Step, StepMatrices, Persistent;
}

/// The tile of batch rows of a thread of a row-tiled kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rows {
    /// One row: nothing is wasted at B = 1.
    One,
    /// Four rows in a vec4: each weight that is loaded serves four rows.
    Four,
}

impl Rows {
    /// The number of rows.
    pub fn count(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Four => 4,
        }
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "1 row",
            Self::Four => "4 rows",
        })
    }
}

/// How a kernel reaches a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Parameters of the dispatch, of so many bytes.
    Params(u32),
    /// The step's entry in the index table, of so many bytes, by dynamic offset.
    StepIndex(u32),
    /// A storage buffer, read.
    Read,
    /// A storage buffer, read and written.
    ReadWrite,
}

impl Access {
    /// Whether it is a storage buffer.
    pub fn is_storage(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }
}

/// One binding of group 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Its number.
    pub index: u32,
    /// Its name in the shader.
    pub name: &'static str,
    /// How it is reached.
    pub access: Access,
}

impl Binding {
    const fn new(index: u32, name: &'static str, access: Access) -> Self {
        Self { index, name, access }
    }
}

/// A recurrent shader: the files that are its own, and the bindings that its text declares.
struct Shader {
    name: &'static str,
    parts: &'static [&'static str],
    bindings: &'static [Binding],
}

/// Storage buffers of the kernel that binds the most, without kernels that only some devices can run.
pub const MOST_STORAGE_BUFFERS: u32 = 8;

/// k of one block of the reduction order, in every recurrent kernel but those of cooperative matrices.
pub const BLOCK: u32 = 32;

/// k that pass through workgroup memory at a time, in kernels that read a vector from a buffer.
const SPAN: u32 = 64;
