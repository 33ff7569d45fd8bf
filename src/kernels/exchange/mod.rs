//! `multi_workgroup.wgsl`: a whole chunk of steps in one dispatch. The units of a tile of batch rows are distributed
//! to several workgroups, which exchange h after every step.
//!
//! It is for layers whose weights are too many for one workgroup to keep. Nothing guarantees that the workgroups run
//! side by side. So a chunk may end incomplete, and the caller must then run it again by another kernel: see
//! `shaders/exchange/grid_exchange.wgsl`.

mod fault;

pub use fault::Fault;

use bytemuck::{Pod, Zeroable};

use super::cell::{Functions, WholeCell};
use super::persistent::Shape;
use super::source::wgsl;
use super::{Access, Binding, Definition, Kernel, Parameters, Resources, Rows, Takes, Work};
use super::{pipelining, recurrence, unrolled};
use crate::dtype::Precision;

/// Words of the exchange buffer before the completion counts: the abort word, and the count of workgroups that have
/// begun.
pub const HEAD_WORDS: usize = 2;

/// `ExchangeParams` of the shader.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Params {
    /// The completion count of this chunk, as an index of words in the exchange buffer.
    pub completion: u32,
    /// Workgroups of the dispatch.
    pub all: u32,
    /// The first exchange word of the chunk, as an index of words in the exchange buffer.
    pub words: u32,
    /// Polls without success of a thread before it gives up.
    pub spin_limit: u32,
    /// The completion count that the chunk before must have, 0 for the first.
    pub before: u32,
    /// Pads the struct to a multiple of 16 bytes.
    pub unused: [u32; 3],
}

/// The parameters of a dispatch: those of every recurrent kernel, and those of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arguments {
    /// Of the steps.
    pub steps: recurrence::Arguments,
    /// Of the exchange.
    pub exchange: Params,
}

impl Parameters for Arguments {
    fn uniforms(&self) -> Vec<Vec<u8>> {
        [self.steps.uniforms(), self.exchange.uniforms()].concat()
    }
}

/// All steps of a chunk, by several workgroups that exchange h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MultiWorkgroup {
    /// The cell.
    pub cell: WholeCell,
    /// Its activations and clips.
    pub functions: Functions,
    /// H.
    pub hidden: u32,
    /// How w and y are stored.
    pub precision: Precision,
    /// Rows of a thread.
    pub rows: Rows,
    /// Its shape.
    pub shape: Shape,
    /// Whether a dispatch has several layers; set from the parameters of the dispatch.
    pub pipelined: bool,
    /// The fault that a test injects into its text.
    pub fault: Fault,
}

impl MultiWorkgroup {
    /// Workgroups to which the units of a tile are distributed.
    pub fn groups(&self) -> u32 {
        self.hidden.div_ceil(self.shape.units.max(1))
    }

    /// Loop iterations of a thread without polls up to the spin limit: once, and in each step.
    fn chunk_iterations(&self) -> (u64, u64) {
        let Self { cell, hidden, rows, shape, fault, .. } = *self;
        let products = cell.products().len();
        // Of each row an exchange word; of each unit its place, its words and its store in the vector; and the polls
        // of a late word.
        let exchange = u64::from(rows.count() + 9 * hidden.div_ceil(shape.threads())) + fault.polls();
        let each = shape.step_iterations(rows, cell.gates(), products) + products as u64 * exchange;
        (shape.iterations(hidden, products), each)
    }

    /// Steps that it may take within `most` loop iterations of a thread, at least one.
    pub fn most_steps(&self, most: u64) -> u64 {
        let (once, each) = self.chunk_iterations();
        (most.saturating_sub(once) / each).max(1)
    }
}

impl Definition for MultiWorkgroup {
    fn name(&self) -> &'static str {
        match self.cell {
            WholeCell::GruAfter { .. } => "multi_workgroup_gru_after",
            WholeCell::GruBefore { .. } => "multi_workgroup_gru_before",
            WholeCell::Lstm { .. } => "multi_workgroup_lstm",
            WholeCell::Rnn => "multi_workgroup_rnn",
        }
    }

    fn variant(&self) -> String {
        let Self { shape, rows, .. } = self;
        let (shared, groups, kept) = (shape.shared(), self.groups(), shape.kept());
        format!(" ({rows} × {} units{shared} × {groups} workgroups{kept})", shape.units)
    }

    fn parts(&self) -> Vec<&'static str> {
        let words = match self.rows {
            Rows::One => wgsl!(.."exchange/words1.wgsl"),
            Rows::Four => wgsl!(.."exchange/words4.wgsl"),
        };
        let frame = [
            words,
            wgsl!(.."exchange/grid_exchange.wgsl"),
            wgsl!(.."exchange/multi_workgroup.wgsl"),
            wgsl!(.."shared/chunk.wgsl"),
        ];
        let c = wgsl!(.."exchange/c_passed_on.wgsl");
        self.cell.around(self.rows, &frame, c, self.precision, self.pipelined)
    }

    fn written(&self) -> String {
        unrolled::text(self.cell.products(), self.hidden, self.rows, self.shape)
    }

    fn source(&self) -> String {
        self.fault.planted(self.parts().concat() + &self.written())
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.cell.constants(self.functions, self.hidden, self.threads())
    }

    /// The bindings of a persistent kernel, but with states read from one array and written to another.
    fn bindings(&self) -> Vec<Binding> {
        const C: [Binding; 2] =
            [Binding::new(5, "c_prev", Access::Read), Binding::new(10, "c_next", Access::ReadWrite)];
        const EXCHANGE: Binding = Binding::new(11, "exchange_buffer", Access::ReadWrite);
        const PARAMS: Binding =
            Binding::new(14, "exchange_params", Access::Params(size_of::<Params>() as u32));
        let passed_on = |binding: &Binding| match binding.name {
            "h_state" => vec![recurrence::H_PREV, recurrence::H_NEXT],
            "c" => C.to_vec(),
            _ => vec![*binding],
        };
        let bindings = pipelining::bindings(self.cell.bindings(), self.pipelined);
        let mut bindings: Vec<Binding> = bindings.iter().flat_map(passed_on).collect();
        bindings.extend([EXCHANGE, PARAMS]);
        bindings.sort_by_key(|binding| binding.index);
        bindings
    }

    fn threads(&self) -> u32 {
        self.shape.threads()
    }

    /// The memory of a persistent kernel, and two more words for the exchange.
    fn workgroup_bytes(&self) -> u32 {
        self.shape.workgroup_bytes(self.hidden, self.rows, self.cell.products()) + 8
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        [self.groups(), rows.div_ceil(self.rows.count()), dirs]
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.rows.count())
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        None
    }

    fn work(&self) -> (Work, Work) {
        let products = self.cell.product_count();
        let (gates, weights) = (self.cell.gates(), self.precision.weights);
        let (once, mut each) = self.shape.work(self.hidden, self.rows, gates, products, weights);
        // Each workgroup polls the numbers of all others about twice.
        each.load += 2 * u64::from(products) * u64::from(self.hidden) * u64::from(self.rows.count());
        each.exchange = u64::from(products);
        (once, each)
    }

    fn resources(&self) -> Resources {
        self.shape.resources(self.hidden, self.rows, self.cell.gates(), self.precision.weights)
    }
}

impl Takes<Arguments> for MultiWorkgroup {
    fn kernel(&self, arguments: &Arguments) -> Kernel {
        Self { pipelined: arguments.steps.pipelining.is_some(), ..*self }.into()
    }

    fn extents(&self, arguments: &Arguments, dirs: u32) -> Vec<u64> {
        let Arguments { steps, exchange } = arguments;
        let arrays = self.cell.arrays(self.hidden, self.precision, self.rows);
        let numbers = u64::from(steps.own.steps) * u64::from(self.cell.product_count());
        let words = numbers * steps.extent_of("h_prev", &arrays, dirs);
        let of = |binding: &Binding| match binding.name {
            "exchange_buffer" => u64::from(exchange.words) + words,
            name => steps.extent_of(name, &arrays, dirs),
        };
        self.bindings().iter().filter(|binding| binding.access.is_storage()).map(of).collect()
    }

    fn flops(&self, arguments: &Arguments) -> u64 {
        self.cell.flops(self.hidden, &arguments.steps.own)
    }

    fn iterations(&self, arguments: &Arguments) -> u64 {
        let (once, each) = self.chunk_iterations();
        once + u64::from(arguments.steps.own.steps) * each + u64::from(arguments.exchange.spin_limit)
    }
}
