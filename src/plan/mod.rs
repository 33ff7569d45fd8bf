//! Choosing kernels: a pure function of model, sizes and device capabilities. Nothing here speaks wgpu, so a
//! plan can be made, printed and tested for a device that is not there.

mod caps;
mod cost;
mod planner;
mod recipe;
mod speed;
mod strategy;
mod wave;

pub use crate::kernels::grouped::Fault;
pub use caps::{Caps, Exchange};
pub(crate) use planner::output_columns;
pub use planner::{Candidate, Only, Request, alternatives, plan};
pub use recipe::{LayerRecipe, Plan, Recurrence, Wave};
pub use speed::{Cost, Speed};
pub use strategy::Strategy;
