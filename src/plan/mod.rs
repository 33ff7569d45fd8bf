//! Choosing kernels: a pure function of model, sizes and device capabilities. Nothing here speaks wgpu, so a
//! plan can be made, printed and tested for a device that is not there.

mod caps;
mod planner;
mod recipe;

pub use caps::Caps;
pub(crate) use planner::output_columns;
pub use planner::plan;
pub use recipe::{LayerRecipe, Plan, Recurrence};
