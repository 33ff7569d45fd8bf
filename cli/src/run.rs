//! `wgru run`: a model on a file of sequences.

use std::path::{Path, PathBuf};

use serde_json::Value;
use wgru::error::listed;
use wgru::import::{Imported, PyTorch, Report};
use wgru::io::OutputShape;
use wgru::{Batch, Model, Padding, ReadoutSteps};

use crate::args::{LayoutArg, ModelArgs, PaddingArg, RunArgs};
use crate::arrays::{Array, Arrays, Source, check_not_empty, csv, ending, write};
use crate::failure::{Failure, Outcome, error};
use crate::print::{is_standard, print, print_beside};
use crate::work::Work;
use crate::{keras, onnx};
use wgru_harness::number::count;

/// Reads, runs, reports, writes.
pub fn run(args: &RunArgs) -> Outcome {
    if let Some(output) = &args.output {
        let mut read = files_of(&args.model);
        read.push(args.input.clone());
        read.extend(args.model_args.config.clone());
        write::check(output, read.iter().map(PathBuf::as_path))?;
        if args.work.json && is_standard(output) {
            return Err(error("--json", "and --output - both print to standard output; name a file"));
        }
    }
    check_not_empty(&args.model)?;
    check_not_empty(&args.input)?;
    if is_onnx(&args.model) {
        return onnx::run(args);
    }
    if args.node.is_some() {
        return Err(error("--node", "is for .onnx models"));
    }
    let imported = read_model(&args.model, &args.model_args)?;
    let model = &imported.model;
    let inputs = read_inputs(args, &imported)?;
    keras::check_states(&imported, |name| inputs.get(name).is_some())?;
    let x = inputs.need("x")?;
    let &[first, second, features] = &x.shape[..] else {
        let reason = match x.shape[..] {
            [steps, features] => format!("; a single sequence is [1, {steps}, {features}]"),
            _ => String::new(),
        };
        return Err(error("x", format!("expected 3 dimensions [B, T, I], got {:?}{reason}", x.shape)));
    };
    // Sizes of 0 have an error of their own.
    if features > 0 && features != model.input() {
        let reason =
            format!("x {:?} has {}, the model reads {}", x.shape, count(features, "feature"), model.input());
        return Err(error(args.input.display(), reason));
    }
    let shape = [first, second, features];
    let sequences = match args.layout {
        Some(LayoutArg::Time) => Batch::time_major(&x.data, shape),
        Some(LayoutArg::Batch) | None => Batch::new(&x.data, shape),
    };
    let mut sequences = sequences.map_err(|reason| error(format!("x {shape:?}"), reason))?;
    if let Some(PaddingArg::Last) = args.padding {
        sequences = sequences.padding(Padding::Last);
    }
    let batch = sequences.dims().batch;
    let lengths = inputs.lengths("lengths", batch)?;
    if let Some(lengths) = &lengths {
        sequences = sequences.lengths(lengths);
    }
    let resets = inputs.flags("resets", &[first, second])?;
    if let Some(resets) = &resets {
        sequences = sequences.resets(resets);
    }
    let states = |features: usize| [model.num_states(), batch, features];
    if let Some(h0) = inputs.state("h0", &states(model.state_size()))? {
        sequences = sequences.h0(h0);
    }
    if let Some(c0) = inputs.state("c0", &states(model.hidden()))? {
        sequences = sequences.c0(c0);
    }

    let work = Work::run(&args.work, model, &sequences)?;
    if let Some(path) = &args.output {
        write::write(path, &outputs(model, &sequences, &work)?)?;
    }
    if args.work.json {
        let mut json = work.to_json();
        json["model"] = model.to_string().into();
        json["decisions"] = imported.report.decisions.clone().into();
        json["left_over"] = imported.report.left_over.clone().into();
        print(&format!("{json:#}\n"))?;
    } else {
        let shapes = OutputShape::new(model, sequences.run_shape())?;
        let shapes = shapes_of(&shapes);
        let output = args.output.as_deref();
        let saved = saved(output, shapes.into_iter());
        let hint = readout_hint(&args.model, &args.model_args, &imported);
        print_beside(
            &format!("{}{hint}\n{work}{saved}", describe(&args.model, model, &imported.report)),
            output,
        )?;
    }
    work.verdict()
}

/// The outputs of a run, by their names in a file.
fn shapes_of(shapes: &OutputShape) -> Vec<(&'static str, &[usize])> {
    let of_c = shapes.c.as_ref().map(|shape| ("c_n", &shape[..]));
    let of_readout = shapes.out.as_ref().map(|shape| ("out", &shape[..]));
    [("y", &shapes.y[..]), ("h_n", &shapes.h[..])].into_iter().chain(of_c).chain(of_readout).collect()
}

/// A line that says where the outputs went, with their shapes.
pub fn saved<'a>(path: Option<&Path>, arrays: impl Iterator<Item = (&'a str, &'a [usize])>) -> String {
    let arrays: Vec<String> = arrays.map(|(name, shape)| format!("{name} {shape:?}")).collect();
    let arrays = arrays.join(", ");
    match path {
        Some(path) if is_standard(path) => format!("written as .npz: {arrays}\n"),
        Some(path) => format!("saved in {}: {arrays}\n", path.display()),
        None => format!("nothing saved: add --output FILE.npz for {arrays}\n"),
    }
}

/// The files that a model is read from, as far as they are known before it is read: the path itself, all files of a
/// folder, and those that an index of safetensors files names.
pub fn files_of(model: &Path) -> Vec<PathBuf> {
    let entries = |folder: std::fs::ReadDir| folder.flatten().map(|entry| entry.path()).collect();
    let mut files: Vec<PathBuf> = model.read_dir().map_or_else(|_| vec![model.to_owned()], entries);
    let is_index = |file: &PathBuf| ending(file) == "json";
    for index in files.clone().iter().filter(|file| is_index(file)) {
        // If the index cannot be read, the importer refuses it later.
        let text = std::fs::read(index).unwrap_or_default();
        let json: Value = serde_json::from_slice(&text).unwrap_or_default();
        let names = json["weight_map"].as_object().into_iter().flat_map(|map| map.values());
        files.extend(names.filter_map(Value::as_str).map(|name| index.with_file_name(name)));
    }
    files
}

/// Whether the name of a model is that of an ONNX file.
pub fn is_onnx(model: &Path) -> bool {
    ending(model) == "onnx"
}

/// Reads a model with the options; for options that are not given, with the file's own metadata.
pub fn read_model(path: &Path, args: &ModelArgs) -> Outcome<Imported> {
    let name = path.display();
    match ending(path).as_str() {
        // A model in several safetensors files: their folder, or its index.
        _ if path.is_dir() => {}
        "json" => {}
        // The importer refuses files of torch.save, with a hint on how to convert them.
        "safetensors" | "pt" | "pth" | "bin" | "ckpt" => {}
        "h5" | "hdf5" | "keras" => return keras::read(path, args),
        _ => {
            let reason = "not a model file that can be read; expected .safetensors (or the folder or the index of several), \
                          .onnx, .h5 or .keras";
            return Err(error(name, reason));
        }
    }
    if let Some(option) = args.of_keras() {
        return Err(error(option, "is for Keras models, .h5 and .keras"));
    }
    read_pytorch(args, |importer| importer.read(path))
}

/// Reads PyTorch weights, which may be read twice: the readout may be named by the file's metadata.
pub fn read_pytorch(
    args: &ModelArgs,
    read: impl Fn(&PyTorch) -> wgru::Result<Imported>,
) -> Outcome<Imported> {
    let importer = importer(args)?;
    // The first reading is for the metadata, which may name a readout. A readout that an option names may be under
    // the stack's prefix, where no other tensor may be.
    let first = match &args.readout {
        Some(name) => importer.clone().readout(name, ReadoutSteps::Last),
        None => importer.clone(),
    };
    let imported = read(&first).map_err(|reason| {
        // The options say that the file has a GRU, whatever its number of rows.
        let is_shape =
            matches!(&reason, wgru::Error::File { fault } if matches!(**fault, wgru::Error::Shape { .. }));
        match args.cell.is_none() && is_shape && (args.reset.is_some() || args.update.is_some()) {
            true => error(
                "--reset, --update",
                format!("are for a GRU, and this file may have another cell: {reason}"),
            ),
            false => reason.into(),
        }
    })?;
    let metadata = &imported.report.metadata;
    let Some(readout) = args.readout.as_ref().or_else(|| metadata.get("wgru.readout")) else {
        let needs = |option: &str| Err(error(option, "needs --readout, for the model names none"));
        return match (args.readout_at, args.readout_activation) {
            (Some(_), _) => needs("--readout-at"),
            (None, Some(_)) => needs("--readout-activation"),
            (None, None) => Ok(imported),
        };
    };
    let steps = match (args.readout_at, metadata.get("wgru.readout_at").map(String::as_str)) {
        (Some(at), _) => at.into(),
        (None, None | Some("last")) => ReadoutSteps::Last,
        (None, Some("every")) => ReadoutSteps::Every,
        (None, Some(other)) => {
            return Err(error("wgru.readout_at", format!("expected last or every, got {other}")));
        }
    };
    let importer = match args.readout_activation {
        Some(activation) => importer.readout_activation(activation),
        None => importer,
    };
    Ok(read(&importer.readout(readout, steps))?)
}

/// The importer of PyTorch weights, without a readout.
fn importer(args: &ModelArgs) -> Outcome<PyTorch> {
    let mut importer = PyTorch::new();
    if let Some(cell) = args.cell().map_err(Failure::Error)? {
        importer = importer.cell(cell);
    }
    if let Some(nonlinearity) = args.nonlinearity() {
        importer = importer.nonlinearity(nonlinearity);
    }
    if let Some(prefix) = &args.prefix {
        importer = importer.prefix(prefix);
    }
    Ok(importer)
}

/// What to add for a Linear that the model leaves out, if one has as many inputs as the stack has outputs.
fn readout_hint(path: &Path, args: &ModelArgs, imported: &Imported) -> String {
    /// The most modules and the largest file, in bytes, that are tried: each try reads the file again.
    const TRIES: usize = 8;
    const LARGEST: u64 = 64 << 20;
    let is_small = path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST);
    if imported.model.readout().is_some() || ending(path) != "safetensors" || !is_small {
        return String::new();
    }
    let modules = imported.report.left_over.iter().filter_map(|name| name.strip_suffix(".weight"));
    let fits = |name: &&str| {
        importer(args).is_ok_and(|importer| importer.readout(*name, ReadoutSteps::Last).read(path).is_ok())
    };
    match modules.take(TRIES).find(fits) {
        Some(name) => format!("; {name} fits as a readout: add --readout {name}"),
        None => String::new(),
    }
}

fn read_inputs(args: &RunArgs, imported: &Imported) -> Outcome<Arrays> {
    let source = Source::read(&args.input)?;
    if !source.is_csv() {
        let given = [
            ("--columns", !args.columns.is_empty()),
            ("--window", args.window.is_some()),
            ("--stride", args.stride != 1),
            ("--header", args.header.is_some()),
        ];
        if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(error(option, "is for .csv input"));
        }
        return Arrays::read(source, &["x", "h0", "c0", "lengths", "resets"]);
    }
    let own = imported.report.metadata.get("wgru.window");
    let own = own.map(|text| text.parse().map_err(|_| error("wgru.window", format!("not a number: {text}"))));
    let window = match args.window {
        Some(window) => Some(window),
        None => own.transpose()?,
    };
    let series = csv::Series::read(&source, args.header, &args.columns)?;
    let (features, names) = (imported.model.input(), &series.names);
    if names.len() != features {
        let reason = format!(
            "the model reads {}, got {} ({}){}",
            count(features, "feature"),
            count(names.len(), "column"),
            listed(names),
            if names.len() == 1 { csv::SEPARATED } else { "; choose with --columns" }
        );
        return Err(error(source.name, reason));
    }
    Ok(Arrays::from_x(source.name, series.windows(window, args.stride)?))
}

/// The tensors that were read, those that were not, and why.
pub fn describe(path: &Path, model: &Model, report: &Report) -> String {
    let left_over = match &report.left_over[..] {
        [] => String::new(),
        names => format!("; not used: {}", listed(names)),
    };
    let (shown, more) = report.decisions.split_at(report.decisions.len().min(20));
    let more = if more.is_empty() { String::new() } else { format!("; and {} more", more.len()) };
    format!("{}: {}{left_over} ({}{more})", path.display(), model, shown.join("; "))
}

fn outputs(model: &Model, batch: &Batch<'_>, work: &Work) -> Outcome<Vec<(&'static str, Array)>> {
    let shapes = OutputShape::new(model, batch.run_shape())?;
    let output = &work.output;
    let array = |shape: &[usize], data: &[f32]| Array { shape: shape.to_vec(), data: data.to_vec() };
    let mut arrays = vec![("y", array(&shapes.y, &output.y)), ("h_n", array(&shapes.h, &output.h_n))];
    if let (Some(c_n), Some(shape)) = (&output.c_n, &shapes.c) {
        arrays.push(("c_n", array(shape, c_n)));
    }
    if let (Some(out), Some(shape)) = (&output.out, &shapes.out) {
        arrays.push(("out", array(shape, out)));
    }
    Ok(arrays)
}
