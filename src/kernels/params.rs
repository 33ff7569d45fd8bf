//! The parameters of a dispatch, and what follows from them: its operations, and how far it reaches.

use super::{Kernel, matmul, matrices, merge, order_rows, step, streams, take_projected};

/// The parameters of one dispatch, as they lie in its uniform buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Params {
    /// Of a matmul, or of what stands in for one.
    Matmul(matmul::Params),
    /// Of a step.
    Step(step::Params),
    /// Of a layer's two directions.
    Merge(merge::Params),
    /// Of the states of streams.
    Streams(streams::Params),
    /// Of the order of rows.
    Order(order_rows::Params),
}

impl Params {
    /// The bytes of the uniform buffer.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Matmul(params) => bytemuck::bytes_of(params),
            Self::Step(params) => bytemuck::bytes_of(params),
            Self::Merge(params) => bytemuck::bytes_of(params),
            Self::Streams(params) => bytemuck::bytes_of(params),
            Self::Order(params) => bytemuck::bytes_of(params),
        }
    }

    /// Floating-point operations of a dispatch of `kernel` over D = `dirs`, its activations left out.
    pub fn flops(&self, kernel: Kernel, dirs: u32) -> u64 {
        let of_one = match (self, kernel) {
            (
                Self::Matmul(params),
                Kernel::MatmulTiled { sizes, .. }
                | Kernel::MatmulRows { sizes, .. }
                | Kernel::MatmulMatrices { sizes, .. },
            ) => 2 * u64::from(params.rows) * u64::from(sizes.k) * u64::from(sizes.n),
            (Self::Matmul(params), Kernel::TakeProjected { n, .. }) => u64::from(params.rows) * u64::from(n),
            (
                Self::Step(params),
                Kernel::Step { cell, sizes, .. } | Kernel::StepMatrices { cell, sizes, .. },
            ) => {
                let products = u64::from(cell.products()) * u64::from(sizes.units) * u64::from(sizes.k);
                2 * u64::from(params.batch) * products
            }
            (
                Self::Step(params),
                Kernel::Resident { cell, hidden, .. } | Kernel::Grouped { cell, hidden, .. },
            ) => {
                let products = u64::from(cell.gates()) * u64::from(hidden) * u64::from(hidden);
                2 * u64::from(params.batch) * u64::from(params.steps) * products
            }
            (Self::Merge(params), Kernel::Merge { .. }) => u64::from(params.words),
            (Self::Streams(_), Kernel::Streams { .. }) => 0,
            (Self::Order(params), Kernel::OrderRows { .. }) => {
                u64::from(params.batch) * u64::from(params.batch)
            }
            #[expect(
                clippy::unreachable,
                reason = "kernels and their parameters are made together (program/)"
            )]
            _ => unreachable!("parameters of one kernel on another"),
        };
        of_one * u64::from(dirs)
    }

    /// The words that each storage binding of `kernel` must have, in binding order, for D = `dirs`.
    pub fn extents(&self, kernel: Kernel, dirs: u32) -> Vec<u64> {
        match (self, kernel) {
            (
                Self::Matmul(params),
                Kernel::MatmulTiled { sizes, precision } | Kernel::MatmulRows { sizes, precision, .. },
            ) => params.extents(sizes, precision, dirs).to_vec(),
            (Self::Matmul(params), Kernel::MatmulMatrices { sizes, .. }) => {
                params.extents(sizes, matrices::PRECISION, dirs).to_vec()
            }
            (Self::Matmul(params), Kernel::TakeProjected { n, activations, .. }) => {
                take_projected::extents(params, n, activations, dirs).to_vec()
            }
            (
                Self::Step(params),
                Kernel::Step { cell, sizes, .. } | Kernel::StepMatrices { cell, sizes, .. },
            ) => {
                let (precision, rows) = match kernel {
                    Kernel::Step { precision, rows, .. } => (precision, rows),
                    _ => (matrices::PRECISION, matrices::ROWS),
                };
                let (bindings, vectors, gates) = (kernel.bindings(), cell.vectors(), cell.gates());
                let arrays = step::Arrays { bindings, exchanges: 0, vectors, gates, sizes };
                params.extents(arrays, precision, rows, dirs)
            }
            (
                Self::Step(params),
                Kernel::Resident { cell, hidden, precision, rows, .. }
                | Kernel::Grouped { cell, hidden, precision, rows, .. },
            ) => {
                let (bindings, vectors, gates) = (kernel.bindings(), &[][..], cell.gates());
                let (sizes, exchanges) = (step::Sizes::all(hidden, hidden), cell.product_count());
                let arrays = step::Arrays { bindings, exchanges, vectors, gates, sizes };
                params.extents(arrays, precision, rows, dirs)
            }
            (Self::Merge(params), Kernel::Merge { .. }) => params.extents().to_vec(),
            (Self::Streams(params), Kernel::Streams { rows, .. }) => params.extents(rows).to_vec(),
            (Self::Order(params), Kernel::OrderRows { .. }) => params.extents().to_vec(),
            #[expect(
                clippy::unreachable,
                reason = "kernels and their parameters are made together (program/)"
            )]
            _ => unreachable!("parameters of one kernel on another"),
        }
    }
}
