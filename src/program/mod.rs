//! A plan lowered to dispatches on named buffers: still data, checked against limits and hazards before a device is
//! used. Nothing here uses wgpu.

mod check;
mod constant;
mod ends;
mod exchange;
mod lower;
mod merge;
mod order;
mod pipelining;
mod readout;
mod resets;
mod slice;
mod streams;
mod tile;

pub use check::check;
pub use constant::constant_words;
pub use ends::{End, Ends, lower_recorded, lower_recorded_session, lower_recorded_streams};
pub use exchange::{Completion, Incomplete, Stopped};
pub use lower::lower;
pub use order::Order;
pub use resets::lower_session;
pub use slice::{Matrix, Slice};
pub use streams::{NO_SLOT, Slots, StreamBuffers, lower_streams, slot_words};
pub use tile::{pack_sequence, tile, unpack_sequence, untile};

use std::ops::Range;

use crate::dims::Dims;
use crate::dtype::Precision;
use crate::io::RunShape;
use crate::kernels::{Kernel, Parameters, Rows, Takes};
use crate::model::{Constant, ReadoutSteps};

/// Index of a buffer in [`Program::buffers`].
pub type BufferId = usize;

/// What a buffer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// x, written by the caller.
    Input,
    /// A constant of the model, from some column of each gate on; the same for every program.
    Constant(Constant, usize),
    /// Filled once, when the program is prepared, by [`Program::setup`].
    Stacked,
    /// A state that stays from run to run of a session, `[D, ⌈B/R⌉, P or H, R]`.
    State,
    /// Lengths and batch rows by place, see [`Order`]; written by the caller.
    Order,
    /// Where states are reset, in the caller's order: [`Program::resets`]; written by the caller.
    Resets,
    /// The slot of each row's stream, see [`Slots`]; written by the caller. With [`Ends`] row b has slot b.
    Slots,
    /// The states of streams in their slots, `[capacity, stride]`, the same for every program of a pool.
    Streams,
    /// Written before it is read, in every run.
    Scratch,
    /// Cleared in every run; workgroups write to each other here.
    Exchange,
    /// Read by the caller after the run.
    Output,
    /// An array of the caller's in the caller's layout, read or written at an end of the run, see [`Ends`].
    End,
}

/// A named buffer of words: f32, u32, or two 16-bit numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// Its name, for labels and errors.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its size, in words.
    pub words: usize,
}

impl Buffer {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.words as u64 * 4
    }
}

/// One dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// The kernel.
    pub kernel: Kernel,
    /// Its parameters: the bytes of each uniform buffer that it binds beside the step's index, in binding order.
    pub uniforms: Vec<Vec<u8>>,
    /// The buffer of each storage binding, in binding order.
    pub buffers: Vec<BufferId>,
    /// The words that each of them must have at least.
    pub extents: Vec<u64>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// Loop iterations of one thread, over all its loops.
    pub iterations: u64,
    /// Floating-point operations without activations.
    pub flops: u64,
}

impl Dispatch {
    /// A dispatch of `kernel` over `rows` rows and D = `dirs`, as its grid counts them.
    pub fn new<P: Parameters>(
        kernel: &dyn Takes<P>,
        params: &P,
        [rows, dirs]: [u32; 2],
        buffers: Vec<BufferId>,
    ) -> Self {
        Self {
            kernel: kernel.kernel(params),
            uniforms: params.uniforms(),
            buffers,
            extents: kernel.extents(params, dirs),
            grid: kernel.grid(rows, dirs),
            iterations: kernel.iterations(params),
            flops: kernel.flops(params) * u64::from(dirs),
        }
    }
}

/// One operation, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A single dispatch.
    Once(Dispatch),
    /// A dispatch whose workgroups exchange values, once for each round.
    Exchange {
        /// The dispatch.
        dispatch: Dispatch,
        /// The words of the exchange buffer to clear before each round.
        rounds: Vec<[Range<usize>; 2]>,
    },
    /// Copies from buffer to buffer.
    Copies(Vec<Copy>),
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

impl Op {
    /// Every distinct dispatch.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        let (once, steps) = match self {
            Self::Once(dispatch) | Self::Exchange { dispatch, .. } => (Some(dispatch), None),
            Self::Copies(_) => (None, None),
            Self::Steps { phases, .. } => (None, Some(phases.iter().flatten())),
        };
        once.into_iter().chain(steps.into_iter().flatten())
    }
}

/// A copy from one buffer to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// The source buffer, and its first word.
    pub from: (BufferId, usize),
    /// The destination, likewise.
    pub to: (BufferId, usize),
    /// How many words.
    pub words: usize,
}

impl Copy {
    /// The copy back.
    pub fn reversed(self) -> Self {
        Self { from: self.to, to: self.from, ..self }
    }
}

/// Where a layer keeps its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateBuffers {
    /// h, double-buffered: before an even step it is in the first, before an odd one in the second. Where whole
    /// chunks are dispatched, both are the same buffer, or they swap after every chunk that may fail.
    pub h: [BufferId; 2],
    /// c, in place in both, or swapped with such chunks.
    pub c: Option<[BufferId; 2]>,
    /// How often they swap in a run.
    pub changes: usize,
}

/// Arrays of pipelined layers: one array of each kind, one layer after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Together {
    /// Every layer's y.
    pub y: BufferId,
    /// Their states.
    pub states: StateBuffers,
    /// Steps by which each layer is behind the one below.
    pub lag: usize,
}

/// A whole run, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Sizes, layouts and the rule for padding.
    pub run_shape: RunShape,
    /// How weights and activations are stored.
    pub precision: Precision,
    /// P of every layer, features of h.
    pub state: usize,
    /// H of every layer, features of c.
    pub hidden: usize,
    /// D of every layer.
    pub dirs: usize,
    /// Batch rows side by side in the state buffers.
    pub rows: Rows,
    /// Every buffer.
    pub buffers: Vec<Buffer>,
    /// Copies out of constants that are made once, before the first run.
    pub setup: Vec<Copy>,
    /// Every operation, in order.
    pub ops: Vec<Op>,
    /// The states of each layer.
    pub states: Vec<StateBuffers>,
    /// The arrays that pipelined layers share.
    pub together: Option<Together>,
    /// x, each step's features padded as [`Precision::activations`] lie.
    pub x: BufferId,
    /// Where workgroups write to each other: the abort word, the completion count of each chunk, exchange words.
    pub exchange_buffer: Option<BufferId>,
    /// The chunks that may fail, in order.
    pub completions: Vec<Completion>,
    /// Lengths and batch rows by place.
    pub order: BufferId,
    /// Where states are reset: a word for each row and step, `[B, T]` or `[T, B]` as x lies. `None` without resets.
    pub resets: Option<BufferId>,
    /// How many of the first operations only a run with resets needs; other runs leave them out. 0 except for a
    /// session.
    pub only_with_resets: usize,
    /// y, each direction's features padded as [`Precision::activations`] lie.
    pub y: BufferId,
    /// `out`, every step or `[B, O]`, in f32.
    pub out: Option<BufferId>,
    /// The steps of the readout.
    pub readout: Option<ReadoutSteps>,
    /// The slots and states of streams, of a program for streams.
    pub streams: Option<StreamBuffers>,
    /// Dispatches before and after the operations, on arrays of the caller's, of a program that is recorded.
    pub ends: Option<Ends>,
}

impl Program {
    /// An empty order of the batch's rows.
    pub fn new_order(&self) -> Order {
        let RunShape { dims: Dims { batch, .. }, .. } = self.run_shape;
        Order::new(batch, batch.next_multiple_of(self.rows.count() as usize), self.readout)
    }

    /// Every distinct dispatch.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        let ends = self.ends.iter().flat_map(Ends::dispatches);
        self.ops.iter().flat_map(Op::dispatches).chain(ends)
    }

    /// The operations that only a run with resets needs; other runs leave them out.
    pub fn of_resets(&self) -> &[Op] {
        &self.ops[..self.only_with_resets]
    }

    /// The operations that every run needs.
    pub fn always(&self) -> &[Op] {
        &self.ops[self.only_with_resets..]
    }

    /// The kernels of `ops`, and of the ends where the program has them.
    pub fn kernels<'a>(&'a self, ops: &'a [Op]) -> impl Iterator<Item = Kernel> + 'a {
        let ends = self.ends.iter().flat_map(Ends::dispatches);
        ops.iter().flat_map(Op::dispatches).chain(ends).map(|dispatch| dispatch.kernel)
    }

    /// Dispatches of a whole run.
    pub fn dispatch_count(&self) -> u64 {
        self.dispatches_from(0)
    }

    /// Dispatches of the operations from `op` on.
    pub fn dispatches_from(&self, op: usize) -> u64 {
        let of = |op: &Op| match op {
            Op::Once(_) => 1,
            Op::Exchange { rounds, .. } => rounds.len() as u64,
            Op::Copies(_) => 0,
            // An even and an odd step have the same dispatches, on each other's buffers.
            Op::Steps { count, phases, .. } => u64::from(*count) * phases[0].len() as u64,
        };
        self.ops[op..].iter().map(of).sum()
    }

    /// The arrays that hold every layer's h in `phase` (0 or 1), then every layer's c.
    pub fn state_arrays(&self, phase: usize) -> impl Iterator<Item = BufferId> {
        let h = self.states.iter().map(move |state| state.h[phase]);
        h.chain(self.states.iter().filter_map(move |state| state.c.map(|c| c[phase])))
    }

    /// The same after a run that began in `phase`.
    pub fn state_arrays_after(&self, phase: usize) -> impl Iterator<Item = BufferId> {
        let after = move |state: &StateBuffers| (phase + state.changes) % 2;
        let h = self.states.iter().map(move |state| state.h[after(state)]);
        h.chain(self.states.iter().filter_map(move |state| state.c.map(|c| c[after(state)])))
    }

    /// The arrays of states that a run which begins in `phase` writes before it reads them.
    pub fn states_unread(&self, phase: usize) -> impl Iterator<Item = BufferId> {
        let both = self.states.iter().flat_map(|state| [Some(state.h), state.c]).flatten();
        both.filter(|both| both[0] != both[1]).map(move |both| both[1 - phase])
    }

    /// The arrays a caller reads after every run: y, then the readout.
    pub fn output_arrays(&self) -> impl Iterator<Item = BufferId> {
        [Some(self.y), self.out].into_iter().flatten()
    }

    /// Bytes of everything that a caller may read after a run.
    pub fn read_back_bytes(&self) -> u64 {
        let arrays = self.output_arrays().chain(self.state_arrays(0));
        arrays.map(|id| self.buffers[id].bytes()).sum::<u64>() + self.completion_words() as u64 * 4
    }

    /// Bytes of all buffers that the program needs, without the model's constants and the slots of streams.
    pub fn working_bytes(&self) -> u64 {
        let shared = |buffer: &&Buffer| matches!(buffer.role, Role::Constant(..) | Role::Streams | Role::End);
        self.buffers.iter().filter(|b| !shared(b)).map(Buffer::bytes).sum()
    }
}
