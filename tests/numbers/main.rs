//! Numbers: every device against the reference, against numbers from other sources, and against itself; and the
//! memory that the CPU path uses. Builds and runs without GPUs too, if `WGRU_DEVICE` names the CPU path.

mod allocation;
mod allocator;
mod backends;
mod bits;
#[path = "../goldens/cases.rs"]
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod conventions;
mod cpu;
#[path = "../goldens/golden.rs"]
mod golden;
mod goldens;
#[path = "../../examples/polish/network.rs"]
mod network;
mod not_finite;
mod polish;
mod pool_memory;
mod projected;
#[path = "../../examples/ragged.rs"]
mod ragged;
mod readouts;
mod reference;
mod resets;
mod staged;

/// The example runs, and asserts what its comments state.
#[test]
fn the_first_program_of_the_examples_runs() {
    ragged::main().unwrap_or_else(|error| panic!("{error}"));
}
