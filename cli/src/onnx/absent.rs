//! In a build without the feature `onnx`: every use of an ONNX file is an error that names the feature.

use std::path::Path;

use wgru::Model;
use wgru::import::{Imported, Report};

use crate::args::{ExportArgs, ModelArgs, RunArgs};
use crate::failure::{Outcome, without};

/// `wgru run` of an ONNX file.
pub fn run(args: &RunArgs) -> Outcome {
    Err(without(&args.model, "onnx"))
}

/// `wgru explain` of an ONNX file.
pub fn import(path: &Path, _: Option<&str>, _: &ModelArgs) -> Outcome<Imported> {
    Err(without(path, "onnx"))
}

/// `wgru export` of an ONNX file.
pub fn read_to_export(args: &ExportArgs) -> Outcome<(Model, Report)> {
    Err(without(&args.model, "onnx"))
}

/// `wgru export` to an ONNX file.
pub fn write(args: &ExportArgs, _: &Model) -> Outcome<Vec<u8>> {
    Err(without(&args.output, "onnx"))
}
