//! A plan lowered to dispatches on named buffers: still data, checked against limits and hazards before
//! anything touches a device. Nothing here speaks wgpu.

mod check;
mod lower;
mod tile;

pub use check::check;
pub use lower::lower;
pub use tile::{tile, untile};

use crate::dims::Dims;
use crate::kernels::{Kernel, Params, Rows};
use crate::model::Constant;

/// Index of a buffer in [`Program::buffers`].
pub type BufferId = usize;

/// What a buffer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `x`, `[B, T, I]`, written by the caller.
    Input,
    /// A constant of the model, the same for every program.
    Constant(Constant),
    /// A state that lives from run to run of a session, `[D, ⌈B/R⌉, H, R]`.
    State,
    /// Steps of each row, `[⌈B/R⌉, R]` of u32, written by the caller; 0 past B.
    Lengths,
    /// Written before it is read, in every run.
    Scratch,
    /// Read by the caller after the run.
    Output,
}

/// A named buffer of f32, or of u32 for lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// Its name, for labels and errors.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its size, in f32.
    pub elements: usize,
}

impl Buffer {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.elements as u64 * 4
    }
}

/// One dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// The kernel.
    pub kernel: Kernel,
    /// Its parameters.
    pub params: Params,
    /// The buffer of each storage binding, in binding order.
    pub buffers: Vec<BufferId>,
    /// Workgroups.
    pub grid: [u32; 3],
}

/// One operation, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A single dispatch.
    Once(Dispatch),
    /// `count` steps. Step i dispatches `phases[(first + i) % 2]` in order with step index i: even steps
    /// read the first of each pair of state buffers and write the second, odd ones the other way round.
    Steps {
        /// The time of the first step.
        first: usize,
        /// The number of steps.
        count: u32,
        /// The dispatches of an even and of an odd step.
        phases: [Vec<Dispatch>; 2],
    },
}

/// Where a layer keeps its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateBuffers {
    /// h, double-buffered: before an even step it is in the first, before an odd one in the second.
    pub h: [BufferId; 2],
    /// c, in place.
    pub c: Option<BufferId>,
}

/// A whole run, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// B and T.
    pub dims: Dims,
    /// H of every layer.
    pub hidden: usize,
    /// D of every layer.
    pub dirs: usize,
    /// Batch rows side by side in the state buffers.
    pub rows: Rows,
    /// Every buffer.
    pub buffers: Vec<Buffer>,
    /// Every operation, in order.
    pub ops: Vec<Op>,
    /// The states of each layer.
    pub states: Vec<StateBuffers>,
    /// `x`, `[B, T, I]`.
    pub x: BufferId,
    /// Steps of each row.
    pub lengths: BufferId,
    /// `y`, `[B, T, D·H]`.
    pub y: BufferId,
    /// `out`, `[B, T, O]` or `[B, O]`.
    pub out: Option<BufferId>,
}

impl Program {
    /// Every distinct dispatch.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        self.ops.iter().flat_map(|op| {
            let (once, steps) = match op {
                Op::Once(dispatch) => (Some(dispatch), None),
                Op::Steps { phases, .. } => (None, Some(phases.iter().flatten())),
            };
            once.into_iter().chain(steps.into_iter().flatten())
        })
    }

    /// Dispatches of a whole run.
    pub fn dispatch_count(&self) -> u64 {
        let of = |op: &Op| match op {
            Op::Once(_) => 1,
            // An even and an odd step have the same dispatches, on each other's buffers.
            Op::Steps { count, phases, .. } => u64::from(*count) * phases[0].len() as u64,
        };
        self.ops.iter().map(of).sum()
    }

    /// Elements of one state array, `[D, ⌈B/R⌉, H, R]`.
    pub fn state_elements(&self) -> usize {
        self.states.first().map_or(0, |state| self.buffers[state.h[0]].elements)
    }

    /// The arrays that hold every layer's h in `phase` (0 or 1), then every layer's c.
    pub fn state_arrays(&self, phase: usize) -> impl Iterator<Item = BufferId> {
        let h = self.states.iter().map(move |state| state.h[phase]);
        h.chain(self.states.iter().filter_map(|state| state.c))
    }

    /// The arrays a caller reads after every run: y, then the readout.
    pub fn output_arrays(&self) -> impl Iterator<Item = BufferId> {
        [Some(self.y), self.out].into_iter().flatten()
    }

    /// Bytes of all buffers that the program needs beside the model's constants.
    pub fn working_bytes(&self) -> u64 {
        let constant = |buffer: &&Buffer| matches!(buffer.role, Role::Constant(_));
        self.buffers.iter().filter(|b| !constant(b)).map(Buffer::bytes).sum()
    }
}
