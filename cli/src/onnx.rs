//! `wgru run MODEL.onnx`: a recurrent node of an ONNX file, or several that feed each other. Arrays have the names
//! and layouts of the file.

use std::path::Path;

use wgru::import::{Onnx, OnnxGraph, OnnxInput, Report, Tensor};
use wgru::io::OutputShape;
use wgru::{Batch, Layout, Model};

use crate::args::{ExportArgs, ModelArgs, ResetArg, RunArgs};
use crate::arrays::{Array, Arrays, Source, write};
use crate::failure::{Failure, Outcome, error};
use crate::print::{print, print_beside};
use crate::run::saved;
use crate::work::Work;

/// Reads, runs, writes, reports.
pub fn run(args: &RunArgs) -> Outcome {
    refuse(&[
        ("--columns", !args.columns.is_empty()),
        ("--header", args.header.is_some()),
        ("--window", args.window.is_some()),
        ("--stride", args.stride != 1),
        ("--layout", args.layout.is_some()),
        ("--padding", args.padding.is_some()),
    ])?;
    let mut imported = import(&args.model, args.node.as_deref(), &args.model_args)?;
    let roles = [
        name_of(&imported.sequence_lens, "sequence_lens"),
        name_of(&imported.initial_h, "initial_h"),
        name_of(&imported.initial_c, "initial_c"),
    ];
    let names: Vec<&str> = std::iter::once(&*imported.x).chain(roles.into_iter().flatten()).collect();
    let inputs = Arrays::read(Source::read(&args.input)?, &names)?;
    let given: Vec<&str> = names.into_iter().filter(|name| inputs.get(name).is_some()).collect();
    imported.check_given(&given)?;
    let x = inputs.need(&imported.x)?;
    let &[first, second, features] = &x.shape[..] else {
        return Err(error(&imported.x, format!("expected 3 dimensions, got {:?}", x.shape)));
    };
    // The node's X is [T, B, I] and its Y [T, D, B, P] in layout 0; [B, T, I] and [B, T, D, P] in layout 1. A readout of both
    // directions reads [T, B, D·P].
    let shape = [first, second, features];
    let mut batch = match imported.layout {
        0 if imported.model.readout().is_some() => Batch::time_major(&x.data, shape)?,
        0 => Batch::time_major(&x.data, shape)?.output_layout(Layout::DirectionMajor),
        _ => Batch::new(&x.data, shape)?,
    };
    let sequences = batch.dims().batch;
    let mut said = Vec::new();
    let lengths = lengths(&imported, &inputs, sequences, &mut said)?;
    let h0 = state(&imported, &imported.initial_h, &inputs, "initial_h", sequences, &mut said)?;
    let c0 = state(&imported, &imported.initial_c, &inputs, "initial_c", sequences, &mut said)?;
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
    imported.report.decisions.append(&mut said);
    let outputs = outputs(&imported, &work, &batch)?;
    if let Some(path) = &args.output {
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
        let shapes = outputs.iter().map(|(name, array)| (name.as_str(), &array.shape[..]));
        let output = args.output.as_deref();
        print_beside(&format!("{head}\n{work}{}", saved(output, shapes)), output)?;
    }
    work.verdict()
}

/// Reads a node or a stack of nodes as the options select them.
///
/// # Errors
/// An option that is for other models, and the importer's errors.
pub fn import(path: &Path, node: Option<&str>, of_pytorch: &ModelArgs) -> Outcome<OnnxGraph> {
    refuse(&[
        ("--cell", of_pytorch.cell.is_some()),
        ("--update", of_pytorch.update.is_some()),
        ("--prefix", of_pytorch.prefix.is_some()),
        ("--readout-at", of_pytorch.readout_at.is_some()),
        ("--readout-activation", of_pytorch.readout_activation.is_some()),
    ])?;
    if let Some(option) = of_pytorch.of_keras() {
        return Err(error(option, "is for Keras models, .h5 and .keras"));
    }
    let mut onnx = Onnx::new();
    if let Some(node) = node {
        onnx = onnx.node(node);
    }
    if let Some(readout) = &of_pytorch.readout {
        onnx = onnx.readout(readout);
    }
    if let Some(reset) = of_pytorch.reset {
        onnx = onnx.linear_before_reset(matches!(reset, ResetArg::After));
    }
    let given: Vec<&str> =
        node.iter().flat_map(|nodes| nodes.split(',')).chain(of_pytorch.readout.as_deref()).collect();
    onnx.read_graph(path).map_err(|reason| Failure::of_names(&reason, &given))
}

fn refuse(options: &[(&str, bool)]) -> Outcome {
    match options.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(error(option, "does not apply to an .onnx model")),
        None => Ok(()),
    }
}

/// The name of an array of IN for an input that the node reads: the caller's array overrides the file's.
fn name_of<'a, T>(input: &'a OnnxInput<T>, role: &'a str) -> Option<&'a str> {
    match input {
        OnnxInput::Absent => None,
        OnnxInput::Array(name) | OnnxInput::Computed { name, .. } => Some(name),
        OnnxInput::Constant(_) | OnnxInput::Repeated(_) => Some(role),
    }
}

/// A remark on an input that IN or the file sets.
fn say<T>(input: &OnnxInput<T>, role: &str, in_file: bool, without: &str, said: &mut Vec<String>) {
    match input {
        OnnxInput::Constant(_) | OnnxInput::Repeated(_) if in_file => {
            said.push(format!("{role}: IN's array in place of the file's"));
        }
        OnnxInput::Array(name) if !in_file => {
            said.push(format!("{role} {without}: IN has no array \"{name}\""))
        }
        _ => {}
    }
}

/// The steps of each sequence, if the node reads them.
fn lengths(
    imported: &OnnxGraph,
    inputs: &Arrays,
    batch: usize,
    said: &mut Vec<String>,
) -> Outcome<Option<Vec<u32>>> {
    let input = &imported.sequence_lens;
    let Some(name) = name_of(input, "sequence_lens") else { return Ok(None) };
    let given = inputs.lengths(name, batch)?;
    say(input, "sequence_lens", given.is_some(), "are all of X's steps", said);
    let length = |&length: &i64| {
        u32::try_from(length).map_err(|_| error("sequence_lens", format!("{length} is not a length")))
    };
    match (given, input) {
        (Some(given), _) => Ok(Some(given)),
        (None, OnnxInput::Constant(lengths)) => lengths.iter().map(length).collect::<Outcome<_>>().map(Some),
        (None, OnnxInput::Repeated(lengths)) => {
            let one = lengths.iter().map(length).collect::<Outcome<Vec<u32>>>()?;
            Ok(Some(one.repeat(batch)))
        }
        (None, _) => Ok(None),
    }
}

/// An initial state as `[L·D, B, H]`.
fn state(
    imported: &OnnxGraph,
    input: &OnnxInput<Tensor>,
    inputs: &Arrays,
    role: &str,
    batch: usize,
    said: &mut Vec<String>,
) -> Outcome<Option<Vec<f32>>> {
    let Some(name) = name_of(input, role) else { return Ok(None) };
    let given = inputs.get(name);
    say(input, role, given.is_some(), "starts at zeros", said);
    let array = |tensor: &Tensor| Array { shape: tensor.shape.clone(), data: tensor.data.clone() };
    let array = match (given, input) {
        (Some(given), _) => given.clone(),
        (None, OnnxInput::Constant(tensor)) => array(tensor),
        (None, OnnxInput::Repeated(tensor)) => {
            // The batch of 1 is dimension 1 in layout 0, and dimension 0 in layout 1.
            let mut array = array(tensor);
            let (at, run) =
                if imported.layout == 0 { (1, imported.model.hidden()) } else { (0, array.data.len()) };
            array.shape[at] = batch;
            array.data = array.data.chunks_exact(run).flat_map(|row| row.repeat(batch)).collect();
            array
        }
        (None, _) => return Ok(None),
    };
    let (dirs, hidden) = (imported.model.num_states(), imported.model.hidden());
    let expected = if imported.layout == 0 { [dirs, batch, hidden] } else { [batch, dirs, hidden] };
    if array.shape != expected {
        return Err(error(name, format!("expected {expected:?}, got {:?}", array.shape)));
    }
    let order = if imported.layout == 0 { [0, 1, 2] } else { [1, 0, 2] };
    let array = array.permuted(&order).map_err(|reason| error(name, reason))?;
    Ok(Some(array.data))
}

/// The node's outputs in its layout, by their names.
fn outputs(imported: &OnnxGraph, work: &Work, batch: &Batch<'_>) -> Outcome<Vec<(String, Array)>> {
    let dirs = imported.model.output() / imported.model.state_size();
    let shapes = OutputShape::new(&imported.model, batch.run_shape())?;
    let has_directions = batch.run_shape().y == Layout::DirectionMajor;
    let y = match &shapes.y[..] {
        shape if has_directions => shape.to_vec(),
        shape => vec![shape[0], shape[1], dirs, shape[2] / dirs],
    };
    let mut y = Ok(Array { shape: y, data: work.output.y.clone() });
    if imported.layout == 0 && !has_directions {
        y = y.and_then(|y: Array| y.permuted(&[0, 2, 1, 3]));
    }
    let state = |shape: [usize; 3], data: &[f32]| {
        let order = if imported.layout == 0 { [0, 1, 2] } else { [1, 0, 2] };
        Array { shape: shape.to_vec(), data: data.to_vec() }.permuted(&order)
    };
    let mut all = vec![(imported.y.as_deref(), "Y", y)];
    all.push((imported.y_h.as_deref(), "Y_h", state(shapes.h, &work.output.h_n)));
    if let (Some(c_n), Some(shape)) = (&work.output.c_n, shapes.c) {
        all.push((imported.y_c.as_deref(), "Y_c", state(shape, c_n)));
    }
    if let (Some(out), Some(shape)) = (&work.output.out, shapes.out) {
        all.push((None, "out", Ok(Array { shape, data: out.clone() })));
    }
    all.into_iter()
        .map(|(name, role, array)| {
            Ok((name.unwrap_or(role).to_owned(), array.map_err(|reason| error(role, reason))?))
        })
        .collect()
}

/// Reads the model that `wgru export` writes.
///
/// # Errors
/// As [`import`], and an input that the file gives to the node and that OUT would not have.
pub fn read_to_export(args: &ExportArgs) -> Outcome<(Model, Report)> {
    let node = import(&args.model, args.node.as_deref(), &args.model_args)?;
    // Inputs that the file fixes or computes are no part of the model, and would be lost unless OUT reads them.
    let is_zero = |tensor: &Tensor| tensor.data.iter().all(|&value| value == 0.0);
    let notes = [
        check(&node, "sequence_lens", &node.sequence_lens, args.with_lengths, |_| true)?,
        check(&node, "initial_h", &node.initial_h, args.with_states, |tensor| !is_zero(tensor))?,
        check(&node, "initial_c", &node.initial_c, args.with_states, |tensor| !is_zero(tensor))?,
    ];
    let mut report = node.report;
    report.decisions.extend(notes.into_iter().flatten());
    Ok((node.model, report))
}

/// The model as an ONNX file's bytes, with the inputs that the options name.
pub fn write(args: &ExportArgs, model: &Model) -> Outcome<Vec<u8>> {
    let mut how = wgru::export::Onnx::new();
    if args.with_lengths {
        how = how.with_lengths();
    }
    if args.with_states {
        how = how.with_states();
    }
    Ok(how.write(model)?)
}

/// Refuses an input that a run of OUT would lack, and returns a note on one that the caller gave and OUT does not
/// read.
fn check<T>(
    node: &OnnxGraph,
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
