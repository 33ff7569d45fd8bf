//! `wgru export`: a model as a file of another framework.

use std::path::PathBuf;

use wgru::Model;
use wgru::import::Report;

use crate::args::ExportArgs;
use crate::arrays::{check_not_empty, ending, write};
use crate::failure::{Outcome, error};
use crate::print::print;
use crate::run::{describe, read_model};
use crate::{keras, onnx, run};

/// Reads, writes, reports.
pub fn export(args: &ExportArgs) -> Outcome {
    let output = args.output.display();
    let to_onnx = match ending(&args.output).as_str() {
        "onnx" => true,
        "safetensors" => false,
        _ => return Err(error(output, "expected a path ending in .safetensors or .onnx")),
    };
    let read: Vec<PathBuf> =
        run::files_of(&args.model).into_iter().chain(args.model_args.config.clone()).collect();
    write::check_apart(&args.output, read.iter().map(PathBuf::as_path))?;
    write::check_target(&args.output)?;
    check_not_empty(&args.model)?;
    for (option, given) in [("--with-lengths", args.with_lengths), ("--with-states", args.with_states)] {
        if given && !to_onnx {
            return Err(error(option, "is for an .onnx output"));
        }
    }
    let (model, report) = read_any(args)?;
    let bytes = if to_onnx { onnx::write(args, &model)? } else { wgru::export::pytorch(&model)? };
    write::replace(&args.output, &bytes)?;
    print(&format!("{}\n{output}: {} bytes\n", describe(&args.model, &model, &report), bytes.len()))
}

/// The model, from any supported file.
fn read_any(args: &ExportArgs) -> Outcome<(Model, Report)> {
    if !run::is_onnx(&args.model) {
        if args.node.is_some() {
            return Err(error("--node", "is for .onnx models"));
        }
        let imported = read_model(&args.model, &args.model_args)?;
        // An export with inputs for initial states leaves them to its caller.
        keras::check_states(&imported, |_| args.with_states).map_err(|_| {
            let state = imported.report.initial_states.join("; ");
            error(
                args.model.display(),
                format!("{state}: export to .onnx with --with-states, which takes it as an input"),
            )
        })?;
        return Ok((imported.model, imported.report));
    }
    onnx::read_to_export(args)
}
