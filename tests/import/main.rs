//! Files: the importers' results, refusals and messages, the exporters, and that the goldens detect the results of a
//! faulty engine or importer.

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
