//! `wgru run MODEL.onnx`: one recurrent node out of an ONNX file, its arrays by the names and in the layouts that
//! the file has them in.

use std::path::Path;

use wgru::import::{Onnx, OnnxImported, OnnxInput, Tensor};
use wgru::io::OutputShape;
use wgru::{Batch, Layout};

use crate::args::{ModelArgs, ResetArg, RunArgs};
use crate::arrays::{Array, Arrays, write};
use crate::failure::{Outcome, error};
use crate::print::print;
use crate::work::Work;

/// Reads, runs, writes, reports.
pub fn run(args: &RunArgs) -> Outcome {
    refuse(&[
        ("--columns", !args.columns.is_empty()),
        ("--header", args.header.is_some()),
        ("--window", args.window.is_some()),
        ("--stride", args.stride != 1),
        ("--layout", args.layout.is_some()),
        ("--fill", args.fill.is_some()),
    ])?;
    let imported = import(&args.model, args.node.as_deref(), &args.model_args)?;
    let mut names = vec![imported.x.as_str()];
    for input in [&imported.initial_h, &imported.initial_c] {
        if let OnnxInput::Array(name) = input {
            names.push(name);
        }
    }
    if let OnnxInput::Array(name) = &imported.sequence_lens {
        names.push(name);
    }
    let inputs = Arrays::read(&args.input, &names)?;
    let x = inputs.need(&imported.x)?;
    let &[first, second, features] = &x.shape[..] else {
        return Err(error(&imported.x, format!("expected 3 dimensions, got {:?}", x.shape)));
    };
    // The node's X is [T, B, I] and its Y [T, D, B, P] in layout 0; [B, T, I] and [B, T, D, P] in layout 1.
    let shape = [first, second, features];
    let mut batch = match imported.layout {
        0 => Batch::time_major(&x.data, shape)?.output_layout(Layout::DirectionMajor),
        _ => Batch::new(&x.data, shape)?,
    };
    let sequences = batch.dims().batch;
    let h0 = state(&imported, &imported.initial_h, &inputs, "initial_h", sequences)?;
    let c0 = state(&imported, &imported.initial_c, &inputs, "initial_c", sequences)?;
    let lengths = lengths(&imported, &inputs, sequences)?;
    if let Some(lengths) = &lengths {
        batch = batch.lengths(lengths);
    }
    if let Some(h0) = &h0 {
        batch = batch.h0(h0);
    }
    if let Some(c0) = &c0 {
        batch = batch.c0(c0);
    }

    let work = Work::run(&args.work, &imported.model, &batch)?;
    if let Some(path) = &args.output {
        let outputs = outputs(&imported, &work, &batch)?;
        let outputs: Vec<(&str, Array)> =
            outputs.iter().map(|(name, a)| (name.as_str(), a.clone())).collect();
        write::write(path, &outputs)?;
    }
    if args.work.json {
        let mut json = work.to_json();
        json["model"] = imported.model.to_string().into();
        json["node"] = imported.node.clone().into();
        json["decisions"] = imported.report.decisions.clone().into();
        print(&format!("{json:#}\n"))?;
    } else {
        let decisions = imported.report.decisions.join("; ");
        let head = format!("{}: {}: {} ({decisions})", args.model.display(), imported.node, imported.model);
        print(&format!("{head}\n{work}"))?;
    }
    work.verdict()
}

/// Reads one node as the options say.
///
/// # Errors
/// An option that is for other models, and what the importer refuses.
pub fn import(path: &Path, node: Option<&str>, of_pytorch: &ModelArgs) -> Outcome<OnnxImported> {
    refuse(&[
        ("--cell", of_pytorch.cell.is_some()),
        ("--update", of_pytorch.update.is_some()),
        ("--prefix", of_pytorch.prefix.is_some()),
        ("--readout", of_pytorch.readout.is_some()),
        ("--readout-at", of_pytorch.readout_at.is_some()),
    ])?;
    if let Some(option) = of_pytorch.of_keras() {
        return Err(error(option, "is for Keras models, .h5 and .keras"));
    }
    let mut onnx = Onnx::new();
    if let Some(node) = node {
        onnx = onnx.node(node);
    }
    if let Some(reset) = of_pytorch.reset {
        onnx = onnx.linear_before_reset(matches!(reset, ResetArg::After));
    }
    Ok(onnx.read(path)?)
}

fn refuse(options: &[(&str, bool)]) -> Outcome {
    match options.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(error(option, "has no meaning for an .onnx model")),
        None => Ok(()),
    }
}

/// The steps of each sequence, where the node reads them.
fn lengths(imported: &OnnxImported, inputs: &Arrays, batch: usize) -> Outcome<Option<Vec<u32>>> {
    match &imported.sequence_lens {
        OnnxInput::Absent => Ok(None),
        OnnxInput::Array(name) => inputs.lengths(name, batch),
        OnnxInput::Constant(lengths) => {
            let length = |&length: &i64| {
                let reason = || error("sequence_lens", format!("{length} is no length"));
                u32::try_from(length).map_err(|_| reason())
            };
            lengths.iter().map(length).collect::<Outcome<_>>().map(Some)
        }
    }
}

/// An initial state as `[D, B, H]`.
fn state(
    imported: &OnnxImported,
    input: &OnnxInput<Tensor>,
    inputs: &Arrays,
    role: &str,
    batch: usize,
) -> Outcome<Option<Vec<f32>>> {
    let (name, array) = match input {
        OnnxInput::Absent => return Ok(None),
        OnnxInput::Constant(tensor) => {
            (role, Array { shape: tensor.shape.clone(), data: tensor.data.clone() })
        }
        OnnxInput::Array(name) => match inputs.get(name) {
            Some(array) => (name.as_str(), array.clone()),
            // An input may be left out: the operator then begins at zero.
            None => return Ok(None),
        },
    };
    let (dirs, hidden) = (imported.model.states(), imported.model.hidden());
    let expected = if imported.layout == 0 { [dirs, batch, hidden] } else { [batch, dirs, hidden] };
    if array.shape != expected {
        return Err(error(name, format!("expected {expected:?}, got {:?}", array.shape)));
    }
    let order = if imported.layout == 0 { [0, 1, 2] } else { [1, 0, 2] };
    let array = array.permuted(&order).map_err(|reason| error(name, reason))?;
    Ok(Some(array.data))
}

/// The node's outputs in its layout, by their names.
fn outputs(imported: &OnnxImported, work: &Work, batch: &Batch<'_>) -> Outcome<Vec<(String, Array)>> {
    let dirs = imported.model.states();
    let shapes = OutputShape::new(&imported.model, batch.form())?;
    let y = match (imported.layout, &shapes.y[..]) {
        (0, shape) => shape.to_vec(),
        (_, shape) => vec![shape[0], shape[1], dirs, shape[2] / dirs],
    };
    let y = Ok(Array { shape: y, data: work.output.y.clone() });
    let state = |shape: [usize; 3], data: &[f32]| {
        let order = if imported.layout == 0 { [0, 1, 2] } else { [1, 0, 2] };
        Array { shape: shape.to_vec(), data: data.to_vec() }.permuted(&order)
    };
    let mut all = vec![(imported.y.as_deref(), "Y", y)];
    all.push((imported.y_h.as_deref(), "Y_h", state(shapes.h, &work.output.h_n)));
    if let (Some(c_n), Some(shape)) = (&work.output.c_n, shapes.c) {
        all.push((imported.y_c.as_deref(), "Y_c", state(shape, c_n)));
    }
    all.into_iter()
        .map(|(name, role, array)| {
            Ok((name.unwrap_or(role).to_owned(), array.map_err(|reason| error(role, reason))?))
        })
        .collect()
}
