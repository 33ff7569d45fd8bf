//! Tests of engines with devices: objects and memory, pieces, pools, layer pipelining, exchanges, loss, refusals.

mod caller_device;
mod candidates;
#[path = "../common/mod.rs"]
mod common;
mod errors;
mod events;
mod examples;
mod exchange;
mod host;
mod interrupt;
mod lost;
mod memory;
mod pieces;
mod pipelining;
mod pool;
mod pool_faults;
mod pool_soak;
mod recording;
mod refusals;
