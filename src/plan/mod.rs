//! Choosing kernels: a pure function of model, sizes and device capabilities. Nothing here uses wgpu, so a plan can
//! be made, printed and tested for a device that this machine does not have.

mod budget;
mod caps;
mod chips;
mod cost;
mod exchange;
mod kind;
mod matmul;
mod matrices;
mod measured;
mod occupancy;
mod pipelining;
mod planner;
mod recipe;
mod request;
mod resets;
mod shapes;
mod speed;
mod strategy;
mod table;

pub use crate::kernels::exchange::Fault;
pub use caps::{Caps, Exchange};
pub use chips::{ARCHITECTURES, Adapter, Architecture, CHIPS, Chip};
pub use cost::predictions;
pub use kind::{Shape, Way};
pub(crate) use matmul::output_columns;
pub use measured::{Basis, Correction, Measured, Sample};
pub use occupancy::{Bound, Limit, Occupancy, Prediction};
pub use planner::{alternatives, plan};
pub use recipe::{LayerRecipe, Pipelining, Plan, Recurrence};
pub use request::{Candidate, Only, Request};
pub use speed::{Cost, Speed};
pub use strategy::Strategy;
pub use table::Table;
