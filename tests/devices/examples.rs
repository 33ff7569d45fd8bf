//! The examples that need a device run to their end.

#[path = "../../examples/buffers.rs"]
mod buffers;
#[path = "../../examples/errors.rs"]
mod errors;
#[path = "../../examples/streams.rs"]
mod streams;

#[test]
fn an_application_runs_on_its_own_buffers() {
    buffers::main().unwrap();
}

#[test]
fn errors_are_told_apart() {
    errors::main().unwrap();
}

#[test]
fn streams_outlive_their_pool() {
    streams::main().unwrap();
}
