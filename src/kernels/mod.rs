//! One file per shader or cell: its text, its bindings, its parameters, its dispatch shape. Knows shapes, not models.
//!
//! A shader module is the plain concatenation of files, which `source.rs` puts together; sizes are pipeline
//! constants. `tests/sources/shaders.rs` holds each Rust side against the shader by reflection.

mod cell;
pub mod grouped;
mod gru_after;
mod gru_before;
mod lstm;
pub mod matmul;
mod matmul_rows;
mod matmul_tiled;
pub mod matrices;
pub mod merge;
pub mod order_rows;
mod params;
pub mod resident;
mod rnn;
mod source;
pub mod step;
pub mod streams;
mod take_projected;
mod text;
mod unrolled;

pub use cell::{Functions, StepCell, WholeCell};
pub use params::Params;

use crate::dtype::{Precision, Storage};
use crate::model::Merge;

/// The tile of batch rows a thread of a row-tiled kernel carries.
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

/// How a kernel reaches a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The dispatch's parameters, of so many bytes.
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

/// A shader: the files that are its own, and the bindings that its text declares.
struct Shader {
    name: &'static str,
    parts: &'static [&'static str],
    bindings: &'static [Binding],
}

/// A kernel with every size that its pipeline is specialised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// `out = w x + bias` for many rows.
    MatmulTiled {
        /// K and N.
        sizes: matmul::Sizes,
        /// How w and x are stored.
        precision: Precision,
    },
    /// `out = w x + bias` for few rows.
    MatmulRows {
        /// K and N.
        sizes: matmul::Sizes,
        /// How w and x are stored.
        precision: Precision,
        /// Rows a thread carries.
        rows: Rows,
        /// Threads of a workgroup.
        width: u32,
    },
    /// `out = w x + bias` for many rows, by cooperative matrices.
    MatmulMatrices {
        /// K and N.
        sizes: matmul::Sizes,
        /// The device's.
        matrices: matrices::Matrices,
    },
    /// `out = x + bias`, of an x that is `w x` already.
    TakeProjected {
        /// N, columns of a direction.
        n: u32,
        /// How x is stored.
        activations: Storage,
        /// Rows a thread carries.
        rows: Rows,
        /// Threads of a workgroup.
        width: u32,
    },
    /// A fused step, or a part of one.
    Step {
        /// Which.
        cell: StepCell,
        /// Its activations and clips.
        functions: Functions,
        /// What its product is over.
        sizes: step::Sizes,
        /// How w and y are stored.
        precision: Precision,
        /// Rows a thread carries.
        rows: Rows,
        /// How it is cut up.
        shape: step::Shape,
    },
    /// The same by cooperative matrices.
    StepMatrices {
        /// Which.
        cell: StepCell,
        /// Its activations and clips.
        functions: Functions,
        /// What its product is over.
        sizes: step::Sizes,
        /// How it is cut up.
        shape: matrices::Shape,
    },
    /// All steps of a chunk.
    Resident {
        /// Which.
        cell: WholeCell,
        /// Its activations and clips.
        functions: Functions,
        /// H.
        hidden: u32,
        /// How w and y are stored.
        precision: Precision,
        /// Rows a thread carries.
        rows: Rows,
        /// How it is cut up.
        shape: resident::Shape,
    },
    /// All steps of a chunk, by several workgroups together.
    Grouped {
        /// Which.
        cell: WholeCell,
        /// Its activations and clips.
        functions: Functions,
        /// H.
        hidden: u32,
        /// How w and y are stored.
        precision: Precision,
        /// Rows a thread carries.
        rows: Rows,
        /// How it is cut up.
        shape: resident::Shape,
        /// What is broken on purpose.
        fault: grouped::Fault,
    },
    /// One sequence of a layer's two directions.
    Merge {
        /// How.
        merge: Merge,
        /// How they and it are stored.
        activations: Storage,
        /// Threads of a workgroup.
        width: u32,
    },
    /// States of streams, from their slots to a batch or back.
    Streams {
        /// Which way.
        way: streams::Way,
        /// Rows a thread carries.
        rows: Rows,
        /// Units of the array that has the most.
        features: u32,
        /// Threads of a workgroup.
        width: u32,
    },
    /// Which batch row stands in which place, of lengths that lie on the device.
    OrderRows {
        /// Threads of a workgroup.
        width: u32,
    },
}

impl Kernel {
    fn shader(self) -> &'static Shader {
        match self {
            Self::MatmulTiled { .. } => &matmul_tiled::SHADER,
            Self::MatmulRows { .. } => &matmul_rows::SHADER,
            Self::TakeProjected { .. } => &take_projected::SHADER,
            Self::MatmulMatrices { .. } => &matrices::MATMUL,
            Self::Step { cell, .. } | Self::StepMatrices { cell, .. } => cell.shader(),
            Self::Resident { cell, .. } => cell.shader(),
            Self::Grouped { cell, .. } => cell.grouped_shader(),
            Self::Merge { .. } => &merge::SHADER,
            Self::Streams { way, .. } => way.shader(),
            Self::OrderRows { .. } => &order_rows::SHADER,
        }
    }

    /// The shader's name.
    pub fn name(self) -> &'static str {
        self.shader().name
    }

    /// The pipeline constants.
    pub fn constants(self) -> Vec<(&'static str, f64)> {
        let recurrent = |sizes: step::Sizes, gates: u32| {
            vec![
                ("K", f64::from(sizes.k)),
                ("HIDDEN", f64::from(sizes.hidden)),
                ("UNITS", f64::from(sizes.units)),
                ("N", f64::from(gates) * f64::from(sizes.units)),
                ("WIDTH", f64::from(self.threads())),
            ]
        };
        match self {
            Self::MatmulTiled { sizes, .. } => sizes.constants().to_vec(),
            Self::MatmulRows { sizes, width, .. } => {
                let mut constants = sizes.constants().to_vec();
                constants.push(("WIDTH", f64::from(width)));
                constants
            }
            Self::MatmulMatrices { sizes, .. } => {
                let mut constants = sizes.constants().to_vec();
                constants.push(("WIDTH", f64::from(self.threads())));
                constants
            }
            Self::TakeProjected { n, width, .. } => vec![("N", f64::from(n)), ("WIDTH", f64::from(width))],
            Self::Merge { merge, width, .. } => merge::constants(merge, width).to_vec(),
            Self::Streams { width, .. } | Self::OrderRows { width } => vec![("WIDTH", f64::from(width))],
            Self::Step { cell, functions, sizes, .. } | Self::StepMatrices { cell, functions, sizes, .. } => {
                let mut constants = recurrent(sizes, cell.gates());
                constants.extend(cell.constant());
                if cell.has_functions() {
                    constants.extend(functions.constants());
                }
                constants
            }
            Self::Resident { cell, functions, hidden, .. }
            | Self::Grouped { cell, functions, hidden, .. } => {
                let mut constants = recurrent(step::Sizes::all(hidden, hidden), cell.gates());
                constants.extend(cell.constant());
                constants.extend(functions.constants());
                if let Self::Grouped { fault, .. } = self {
                    constants.extend(fault.constants());
                }
                constants
            }
        }
    }

    /// The same for a slice of its matrix, of so many columns of each gate.
    pub fn of_columns(mut self, count: u32) -> Self {
        match &mut self {
            Self::MatmulTiled { sizes, .. }
            | Self::MatmulRows { sizes, .. }
            | Self::MatmulMatrices { sizes, .. } => sizes.n = count,
            Self::Step { sizes, .. } | Self::StepMatrices { sizes, .. } => sizes.units = count,
            // They have every unit, or no matrix.
            Self::Resident { .. }
            | Self::Grouped { .. }
            | Self::TakeProjected { .. }
            | Self::Merge { .. }
            | Self::Streams { .. }
            | Self::OrderRows { .. } => {}
        }
        self
    }

    /// The bindings of group 0, in order.
    pub fn bindings(self) -> &'static [Binding] {
        match self {
            Self::Step { cell, .. } | Self::StepMatrices { cell, .. } => cell.bindings(),
            Self::Resident { cell, .. } => cell.bindings(),
            Self::Grouped { cell, .. } => cell.grouped_bindings(),
            Self::MatmulTiled { .. }
            | Self::MatmulRows { .. }
            | Self::MatmulMatrices { .. }
            | Self::TakeProjected { .. }
            | Self::Merge { .. }
            | Self::Streams { .. }
            | Self::OrderRows { .. } => self.shader().bindings,
        }
    }

    /// Threads of one workgroup.
    pub fn threads(self) -> u32 {
        match self {
            Self::MatmulTiled { .. } => matmul_tiled::THREADS,
            Self::MatmulRows { width, .. }
            | Self::TakeProjected { width, .. }
            | Self::Merge { width, .. }
            | Self::Streams { width, .. }
            | Self::OrderRows { width } => width,
            Self::MatmulMatrices { matrices, .. } => matrices.threads(),
            Self::Step { shape, .. } => shape.width,
            Self::StepMatrices { shape, .. } => shape.matrices.threads(),
            Self::Resident { shape, .. } | Self::Grouped { shape, .. } => shape.threads(),
        }
    }

    /// Workgroups of a dispatch over `rows` rows (rows of x for a matmul, words of y for a merge, places for an order, else
    /// batch rows) and D = `dirs` (of streams, D for each array).
    pub fn grid(self, rows: u32, dirs: u32) -> [u32; 3] {
        let [x, y] = match self {
            Self::MatmulTiled { sizes, .. } => matmul_tiled::grid(rows, sizes.n),
            Self::MatmulRows { sizes, rows: tile, width, .. } => {
                matmul_rows::grid(rows, sizes.n, tile, width)
            }
            Self::MatmulMatrices { sizes, matrices } => matrices.grid(rows, sizes.n),
            Self::TakeProjected { n, rows: tile, width, .. } => take_projected::grid(rows, n, tile, width),
            Self::StepMatrices { sizes, shape, .. } => {
                let tiles = rows.div_ceil(matrices::ROWS.count());
                [sizes.units.div_ceil(shape.units()), tiles.div_ceil(shape.tiles())]
            }
            Self::Step { sizes, rows: tile, shape, .. } => {
                let units = shape.width * shape.units;
                [sizes.units.div_ceil(units), rows.div_ceil(tile.count()).div_ceil(shape.tiles)]
            }
            Self::Resident { rows: tile, shape, .. } => {
                [rows.div_ceil(tile.count()).div_ceil(shape.tiles), 1]
            }
            Self::Grouped { hidden, rows: tile, shape, .. } => {
                [grouped::groups(hidden, shape), rows.div_ceil(tile.count())]
            }
            Self::Merge { width, .. } => merge::grid(rows, width),
            Self::Streams { rows: tile, features, width, .. } => {
                [features.div_ceil(width), rows.div_ceil(tile.count())]
            }
            Self::OrderRows { width } => [rows.div_ceil(width), 1],
        };
        [x, y, dirs]
    }

    /// The largest number of rows whose grid stays within `limit` workgroups a dimension.
    pub fn most_rows(self, limit: u32) -> u32 {
        let tile = match self {
            Self::Merge { width, .. } => return merge::most_words(limit, width),
            Self::OrderRows { width } => width,
            Self::MatmulTiled { .. } => matmul_tiled::TILE,
            Self::MatmulRows { rows, .. } | Self::TakeProjected { rows, .. } => rows.count(),
            Self::MatmulMatrices { matrices, .. } => matrices.tile(),
            Self::StepMatrices { shape, .. } => matrices::ROWS.count() * shape.tiles(),
            Self::Step { rows, shape, .. } => rows.count() * shape.tiles,
            Self::Resident { rows, shape, .. } => rows.count() * shape.tiles,
            Self::Grouped { rows, .. } | Self::Streams { rows, .. } => rows.count(),
        };
        limit.saturating_mul(tile)
    }

    /// Loop iterations of one thread, over all its loops, in a dispatch with `params`.
    pub fn iterations(self, params: &Params) -> u64 {
        self.iterations_of_sizes().unwrap_or_else(|| {
            let (steps, patience) = match params {
                Params::Step(params) => (params.steps, params.patience),
                Params::Order(params) => return u64::from(params.batch),
                Params::Matmul(_) | Params::Merge(_) | Params::Streams(_) => (0, 0),
            };
            let (once, each) = self.chunk_iterations();
            once + u64::from(steps) * each + u64::from(patience)
        })
    }

    /// The same where it follows from the kernel's sizes alone: of all but those of many steps or rows.
    pub fn iterations_of_sizes(self) -> Option<u64> {
        // What a driver may unroll is counted as if it did not.
        Some(match self {
            Self::MatmulTiled { sizes, .. } => matmul_tiled::iterations(sizes.k),
            Self::MatmulRows { sizes, width, rows, .. } => matmul_rows::iterations(sizes.k, rows, width),
            Self::MatmulMatrices { sizes, matrices } => matrices.iterations(sizes.k),
            Self::TakeProjected { rows, .. } => take_projected::iterations(rows),
            Self::Merge { .. } => 0,
            Self::Streams { rows, .. } => u64::from(rows.count()),
            Self::Step { cell, sizes, rows, shape, .. } => shape.iterations(sizes.k, rows, cell.gates()),
            Self::StepMatrices { cell, sizes, shape, .. } => shape.iterations(sizes.k, cell.products()),
            Self::Resident { .. } | Self::Grouped { .. } | Self::OrderRows { .. } => return None,
        })
    }

    /// Loop iterations of a thread of a kernel of many steps: once, and in each step.
    fn chunk_iterations(self) -> (u64, u64) {
        match self {
            Self::Resident { cell, hidden, rows, shape, .. } => {
                let products = cell.products().len();
                (shape.iterations(hidden, products), shape.step_iterations(rows, cell.gates(), products))
            }
            Self::Grouped { cell, hidden, rows, shape, fault, .. } => {
                let products = cell.products().len();
                let each = grouped::step_iterations(hidden, shape, rows, cell.gates(), products, fault);
                (grouped::iterations(hidden, shape, products), each)
            }
            _ => (0, 1),
        }
    }

    /// Steps that a kernel of many steps may take within `most` loop iterations of a thread, at least one.
    pub fn most_steps(self, most: u64) -> u64 {
        let (once, each) = self.chunk_iterations();
        (most.saturating_sub(once) / each).max(1)
    }

    /// Bytes of workgroup memory.
    pub fn workgroup_bytes(self) -> u32 {
        match self {
            Self::MatmulTiled { .. } => matmul_tiled::WORKGROUP_BYTES,
            Self::MatmulRows { rows, .. } => SPAN * rows.count() * 4,
            Self::TakeProjected { .. }
            | Self::Merge { .. }
            | Self::Streams { .. }
            | Self::OrderRows { .. } => 0,
            Self::MatmulMatrices { matrices, .. } => matrices.workgroup_bytes(),
            Self::Step { rows, shape, .. } => SPAN * rows.count() * shape.tiles * 4,
            Self::StepMatrices { cell, shape, .. } => shape.workgroup_bytes(cell.products()),
            Self::Resident { cell, hidden, rows, shape, .. } => {
                shape.workgroup_bytes(hidden, rows, cell.products())
            }
            Self::Grouped { cell, hidden, rows, shape, .. } => {
                grouped::workgroup_bytes(hidden, shape, rows, cell.products())
            }
        }
    }
}

/// Storage buffers of the kernel that binds the most, but for those that only some devices can run.
pub const MOST_STORAGE_BUFFERS: u32 = 8;

/// k of one block of the reduction order, in every recurrent kernel but those of cooperative matrices.
pub const BLOCK: u32 = 32;

/// k that pass through workgroup memory at a time, in kernels that read a vector from a buffer.
const SPAN: u32 = 64;
