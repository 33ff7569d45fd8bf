//! `wgru export`: a model as a file of another framework.

use std::path::PathBuf;

use wgru::import::{Imported, OnnxImported, OnnxInput, Tensor};

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
    // What the file fixes at run time, or computes, is no part of the model and would be lost, unless OUT reads it.
    let is_zero = |tensor: &Tensor| tensor.data.iter().all(|&value| value == 0.0);
    let notes = [
        check(&node, "sequence_lens", &node.sequence_lens, args.with_lengths, |_| true)?,
        check(&node, "initial_h", &node.initial_h, args.with_states, |tensor| !is_zero(tensor))?,
        check(&node, "initial_c", &node.initial_c, args.with_states, |tensor| !is_zero(tensor))?,
    ];
    let mut report = node.report;
    report.decisions.extend(notes.into_iter().flatten());
    Ok(Imported { model: node.model, report })
}

/// Refuses an input that a run of OUT would not have, and gives a note on one that the caller gave and OUT does not read.
fn check<T>(
    node: &OnnxImported,
    role: &str,
    input: &OnnxInput<T>,
    is_read: bool,
    matters: impl Fn(&T) -> bool,
) -> Outcome<Option<String>> {
    let option = if role == "sequence_lens" { "--with-lengths" } else { "--with-states" };
    let why = match input {
        _ if is_read => return Ok(None),
        OnnxInput::Array(_) => return Ok(Some(format!("{role} is not read by OUT, unless with {option}"))),
        OnnxInput::Computed { by, .. } => format!("is computed by {by}"),
        OnnxInput::Constant(value) | OnnxInput::Repeated(value) if matters(value) => "is a constant".into(),
        _ => return Ok(None),
    };
    let reason =
        format!("{why}, which an export does not carry; an .onnx reads it at run time with {option}");
    Err(error(format!("{role} of {} \"{}\"", node.op, node.node), reason))
}
