//! `wgru export`: a model as a file of another framework.

use wgru::import::{Imported, OnnxInput};

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
    let config = args.model_args.config.as_deref();
    let read = [Some(args.model.as_path()), config];
    write::check_apart(&args.output, read.into_iter().flatten())?;
    write::check_target(&args.output)?;
    check_not_empty(&args.model)?;
    for (option, given) in [("--with-lengths", args.with_lengths), ("--with-states", args.with_states)] {
        if given && !to_onnx {
            return Err(error(option, "is for an .onnx output"));
        }
    }
    let imported = read_any(args)?;
    let bytes = if to_onnx {
        let mut how = wgru::export::Onnx::new();
        if args.with_lengths {
            how = how.with_lengths();
        }
        if args.with_states {
            how = how.with_states();
        }
        how.write(&imported.model)?
    } else {
        wgru::export::pytorch(&imported.model)?
    };
    write::replace(&args.output, &bytes)?;
    print(&format!("{}\n{output}: {} bytes\n", describe(&args.model, &imported), bytes.len()))
}

/// The model, whatever file it stands in.
fn read_any(args: &ExportArgs) -> Outcome<Imported> {
    if !run::is_onnx(&args.model) {
        if args.node.is_some() {
            return Err(error("--node", "is for .onnx models"));
        }
        let imported = read_model(&args.model, &args.model_args)?;
        // An export that takes initial states leaves them to its caller.
        keras::check_states(&imported, |_| args.with_states).map_err(|_| {
            let state = imported.report.initial_states.join("; ");
            error(
                args.model.display(),
                format!("{state}: export to .onnx with --with-states, which takes it as an input"),
            )
        })?;
        return Ok(imported);
    }
    let node = onnx::import(&args.model, args.node.as_deref(), &args.model_args)?;
    // What the file fixes at run time is no part of the model, and would be lost.
    let constant = [
        ("sequence_lens", matches!(node.sequence_lens, OnnxInput::Constant(_))),
        ("initial_h", matches!(node.initial_h, OnnxInput::Constant(_))),
        ("initial_c", matches!(node.initial_c, OnnxInput::Constant(_))),
    ];
    if let Some((name, _)) = constant.iter().find(|(_, constant)| *constant) {
        let reason = format!("{name} of {} is a constant, which an export does not carry", node.node);
        return Err(error(args.model.display(), reason));
    }
    Ok(Imported { model: node.model, report: node.report })
}
