//! The only module that uses wgpu: adapters, one context per device, pipelines, workspaces, execution and
//! read-back. It runs programs and knows nothing about models.

mod adapter;
mod context;
mod create;
mod execute;
mod fallback;
mod once;
mod pipeline;
mod place;
mod probe;
mod readback;
mod recording;
mod staged;
mod streams;
mod submit;
mod timer;
mod workspace;

pub use adapter::adapters;
pub use context::Context;
pub use execute::{Fetch, Way};
pub use place::{Place, Placed, check_places};
pub use readback::Submitted;
pub use recording::{Foreign, Given, Recordable, Recorded};
pub use staged::StagedWorkspace;
pub use streams::{InFlight, Staging, StreamProgram, StreamStates, TickBatch};
pub use submit::{Call, Submittable};
pub use wgpu::{Adapter, CommandEncoder};
pub use workspace::{Constants, Workspace};
