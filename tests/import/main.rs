//! Files: what the importers read, what they refuse and in which words, what comes out again, and that the goldens notice
//! what a faulty engine or importer would compute.

#[path = "../goldens/cases.rs"]
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod corpus;
mod export;
#[path = "../goldens/golden.rs"]
mod golden;
mod keras;
mod mutations;
mod onnx;
mod pytorch;
mod snapshot;
