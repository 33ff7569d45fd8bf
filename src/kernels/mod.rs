//! One file per shader: its text, its bindings, its parameters, its dispatch shape. Knows shapes, not models.
//!
//! A shader module is the plain concatenation of the files that `Shader` names; sizes are pipeline
//! constants. `tests/shaders.rs` holds each Rust side against the shader by reflection.

pub mod matmul;
mod matmul_rows;
mod matmul_tiled;
pub mod step;
mod step_cell;
mod step_gru_after;
mod step_gru_before;
mod step_lstm;
mod step_rnn;

pub use step_cell::{Functions, StepCell};

use std::fmt;

use crate::dtype::{Precision, Storage};

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

    fn source(self) -> &'static str {
        match self {
            Self::One => include_str!("../../shaders/shared/rows1.wgsl"),
            Self::Four => include_str!("../../shaders/shared/rows4.wgsl"),
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

/// A shader: files to put together, beside those that follow from rows and storage types, and the bindings they
/// all declare.
struct Shader {
    name: &'static str,
    /// Whether it is a step that makes a new h and stores it to y, and not the first half of one.
    stores: bool,
    /// Whether it is a step that reads xw and has activations and clips.
    functions: bool,
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
        /// Threads of a workgroup.
        width: u32,
    },
}

impl Kernel {
    fn shader(self) -> &'static Shader {
        match self {
            Self::MatmulTiled { .. } => &matmul_tiled::SHADER,
            Self::MatmulRows { .. } => &matmul_rows::SHADER,
            Self::Step { cell, .. } => cell.shader(),
        }
    }

    /// The shader file's name.
    pub fn name(self) -> &'static str {
        self.shader().name
    }

    fn precision(self) -> Precision {
        match self {
            Self::MatmulTiled { precision, .. }
            | Self::MatmulRows { precision, .. }
            | Self::Step { precision, .. } => precision,
        }
    }

    /// The WGSL text.
    pub fn source(self) -> String {
        let Precision { weights, activations } = self.precision();
        let mut text = match self {
            Self::MatmulTiled { .. } => "",
            Self::MatmulRows { rows, .. } | Self::Step { rows, .. } => rows.source(),
        }
        .to_owned();
        text.push_str(match self.precision().half() {
            Some(Storage::Bf16) => include_str!("../../shaders/shared/half_bf16.wgsl"),
            Some(_) => include_str!("../../shaders/shared/half_f16.wgsl"),
            None => "",
        });
        text.push_str(if weights.is_half() {
            include_str!("../../shaders/shared/weights_packed.wgsl")
        } else {
            include_str!("../../shaders/shared/weights_f32.wgsl")
        });
        let Shader { stores, functions, parts, .. } = self.shader();
        if let Self::Step { cell, .. } = self {
            text.push_str(include_str!("../../shaders/shared/step.wgsl"));
            text.push_str(include_str!("../../shaders/shared/product.wgsl"));
            text.push_str(match cell.peepholes() {
                Some(true) => include_str!("../../shaders/shared/peepholes.wgsl"),
                Some(false) => include_str!("../../shaders/shared/no_peepholes.wgsl"),
                None => "",
            });
        } else {
            text.push_str(match activations.is_half() {
                false => include_str!("../../shaders/shared/x_f32.wgsl"),
                true => include_str!("../../shaders/shared/x_packed.wgsl"),
            });
        }
        if *functions {
            text.push_str(include_str!("../../shaders/shared/projected.wgsl"));
            text.push_str(include_str!("../../shaders/shared/activation.wgsl"));
            text.push_str(include_str!("../../shaders/shared/functions.wgsl"));
        }
        match self {
            Self::Step { .. } if *stores => {
                text.push_str(include_str!("../../shaders/shared/advance.wgsl"));
                text.push_str(include_str!("../../shaders/shared/store.wgsl"));
                text.push_str(match activations.is_half() {
                    false => include_str!("../../shaders/shared/store_f32.wgsl"),
                    true => include_str!("../../shaders/shared/store_packed.wgsl"),
                });
            }
            Self::Step { .. } => text.push_str(include_str!("../../shaders/shared/begin.wgsl")),
            Self::MatmulTiled { .. } | Self::MatmulRows { .. } => {}
        }
        for part in *parts {
            text.push_str(part);
        }
        text
    }

    /// The pipeline constants.
    pub fn constants(self) -> Vec<(&'static str, f64)> {
        match self {
            Self::MatmulTiled { sizes, .. } => sizes.constants().to_vec(),
            Self::MatmulRows { sizes, width, .. } => {
                let mut constants = sizes.constants().to_vec();
                constants.push(("WIDTH", f64::from(width)));
                constants
            }
            Self::Step { cell, functions, sizes, width, .. } => {
                let step::Sizes { k, hidden } = sizes;
                let mut constants = vec![
                    ("K", f64::from(k)),
                    ("HIDDEN", f64::from(hidden)),
                    ("N", f64::from(cell.gates()) * f64::from(hidden)),
                    ("WIDTH", f64::from(width)),
                ];
                constants.extend(cell.constant());
                if cell.shader().functions {
                    constants.extend(functions.constants());
                }
                constants
            }
        }
    }

    /// The bindings of group 0, in order.
    pub fn bindings(self) -> &'static [Binding] {
        match self {
            Self::Step { cell, .. } => cell.bindings(),
            Self::MatmulTiled { .. } | Self::MatmulRows { .. } => self.shader().bindings,
        }
    }

    /// Threads of one workgroup.
    pub fn threads(self) -> u32 {
        match self {
            Self::MatmulTiled { .. } => matmul_tiled::THREADS,
            Self::MatmulRows { width, .. } | Self::Step { width, .. } => width,
        }
    }

    /// Workgroups of a dispatch over `rows` rows (rows of x for a matmul, batch rows for a step) and D = `dirs`.
    pub fn grid(self, rows: u32, dirs: u32) -> [u32; 3] {
        let [x, y] = match self {
            Self::MatmulTiled { sizes, .. } => matmul_tiled::grid(rows, sizes.n),
            Self::MatmulRows { sizes, rows: tile, width, .. } => {
                matmul_rows::grid(rows, sizes.n, tile, width)
            }
            Self::Step { sizes, rows: tile, width, .. } => {
                step::grid(sizes.hidden, rows.div_ceil(tile.count()), width)
            }
        };
        [x, y, dirs]
    }

    /// The largest number of rows whose grid stays within `limit` workgroups a dimension.
    pub fn most_rows(self, limit: u32) -> u32 {
        let tile = match self {
            Self::MatmulTiled { .. } => matmul_tiled::TILE,
            Self::MatmulRows { rows, .. } | Self::Step { rows, .. } => rows.count(),
        };
        limit.saturating_mul(tile)
    }

    /// Loop iterations of one thread, over all its loops.
    pub fn iterations(self) -> u64 {
        // Per block: itself, the loads, 16 quads of k, up to 3 more k; at the end a store per row. What a
        // driver may unroll is counted as if it did not.
        let blocks = |k: u32, width: u32, rows: Rows, per_load: u32, quad: u32, rest: u32| {
            let block = 1 + BLOCK.div_ceil(width) * per_load + 16 * quad + rest;
            u64::from(k.div_ceil(BLOCK)) * u64::from(block) + u64::from(rows.count())
        };
        match self {
            Self::MatmulTiled { sizes, .. } => matmul_tiled::iterations(sizes.k),
            // A load of Rows is itself a loop over the rows.
            Self::MatmulRows { sizes, width, rows, .. } => {
                blocks(sizes.k, width, rows, 1 + rows.count(), 1, 0)
            }
            Self::Step { cell, sizes, width, rows, .. } => {
                let gates = cell.gates();
                blocks(sizes.k, width, rows, 1, 1 + 2 * (1 + gates), 2 * gates)
            }
        }
    }

    /// Bytes of workgroup memory.
    pub fn workgroup_bytes(self) -> u32 {
        match self {
            Self::MatmulTiled { .. } => matmul_tiled::WORKGROUP_BYTES,
            Self::MatmulRows { rows, .. } | Self::Step { rows, .. } => BLOCK * rows.count() * 4,
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        match self {
            Self::MatmulTiled { .. } => Ok(()),
            Self::MatmulRows { rows, width, .. } | Self::Step { rows, width, .. } => {
                write!(f, " ({} row{} × {width} threads)", rows.count(), plural(rows.count()))
            }
        }
    }
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Storage buffers of the kernel that binds the most.
pub const MOST_STORAGE_BUFFERS: u32 = 8;

/// k of one block of the reduction order, in every kernel.
pub const BLOCK: u32 = 64;

/// The parameters of one dispatch, as they lie in its uniform buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Params {
    /// Of a matmul.
    Matmul(matmul::Params),
    /// Of a step.
    Step(step::Params),
}

impl Params {
    /// The bytes of the uniform buffer.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Matmul(params) => bytemuck::bytes_of(params),
            Self::Step(params) => bytemuck::bytes_of(params),
        }
    }

    /// Floating-point operations of a dispatch of `kernel` over D = `dirs`, its activations left out.
    pub fn flops(&self, kernel: Kernel, dirs: u32) -> u64 {
        let of_one = match (self, kernel) {
            (Self::Matmul(params), Kernel::MatmulTiled { sizes, .. } | Kernel::MatmulRows { sizes, .. }) => {
                2 * u64::from(params.rows) * u64::from(sizes.k) * u64::from(sizes.n)
            }
            (Self::Step(params), Kernel::Step { cell, sizes, .. }) => {
                let products = u64::from(cell.products()) * u64::from(sizes.hidden) * u64::from(sizes.k);
                2 * u64::from(params.batch) * products
            }
            _ => unreachable!("parameters of one kernel on another"),
        };
        of_one * u64::from(dirs)
    }

    /// The words that each storage binding of `kernel` must have, in binding order, for `steps` entries of the step
    /// index and D = `dirs`.
    pub fn extents(&self, kernel: Kernel, steps: u32, dirs: u32) -> Vec<u64> {
        match (self, kernel) {
            (
                Self::Matmul(params),
                Kernel::MatmulTiled { sizes, precision } | Kernel::MatmulRows { sizes, precision, .. },
            ) => params.extents(sizes, precision, dirs).to_vec(),
            (Self::Step(params), Kernel::Step { cell, sizes, precision, rows, .. }) => {
                params.extents((cell, sizes), precision, rows, steps, dirs)
            }
            _ => unreachable!("parameters of one kernel on another"),
        }
    }
}
