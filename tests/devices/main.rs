//! What an engine does with a device: objects and memory, pieces, pools, layers at once, exchanges, loss, refusals.

mod caller_device;
mod candidates;
#[path = "../common/mod.rs"]
mod common;
mod errors;
mod events;
mod examples;
mod exchange;
mod host;
mod lost;
mod memory;
mod pieces;
mod pipelining;
mod pool;
mod pool_faults;
mod pool_soak;
mod recording;
mod refusals;
