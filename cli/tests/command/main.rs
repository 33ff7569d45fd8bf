//! The command: its output, its files and its refusals.

mod bad_input;
mod bench;
mod common;
mod compare;
mod documents;
mod files;
mod g2p;
mod not_finite;
mod onnx;
#[path = "../../../tests/common/onnx_file.rs"]
#[allow(dead_code, reason = "the importers' suite uses the rest")]
mod onnx_file;
mod plan;
mod run;
mod standard;
mod stream;
