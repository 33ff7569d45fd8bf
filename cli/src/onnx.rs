//! `wgru run MODEL.onnx`: one recurrent node out of an ONNX file, its arrays by the names and in the layouts that
//! the file has them in.

use wgru::Batch;
use wgru::import::{Onnx, OnnxImported, OnnxInput, Tensor};

use crate::args::{ResetArg, RunArgs};
use crate::arrays::{Array, Arrays, write};
use crate::failure::{Outcome, error};
use crate::print::print;
use crate::work::Work;

/// Reads, runs, writes, reports.
pub fn run(args: &RunArgs) -> Outcome {
    let imported = import(args)?;
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
    // The node's X is [T, B, I] in layout 0 and [B, T, I] in layout 1.
    let x = if imported.layout == 0 { x.permuted(&[1, 0, 2]) } else { x.permuted(&[0, 1, 2]) };
    let x = x.map_err(|reason| error(&imported.x, reason))?;
    let shape = [x.shape[0], x.shape[1], x.shape[2]];
    let h0 = state(&imported, &imported.initial_h, &inputs, "initial_h", shape[0])?;
    let c0 = state(&imported, &imported.initial_c, &inputs, "initial_c", shape[0])?;
    let lengths = lengths(&imported, &inputs, shape[0])?;
    let mut batch = Batch::new(&x.data, shape)?;
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
        let outputs = outputs(&imported, &work, shape)?;
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

fn import(args: &RunArgs) -> Outcome<OnnxImported> {
    let of_pytorch = &args.model_args;
    let refused = [
        ("--cell", of_pytorch.cell.is_some()),
        ("--update", of_pytorch.update.is_some()),
        ("--prefix", of_pytorch.prefix.is_some()),
        ("--readout", of_pytorch.readout.is_some()),
        ("--readout-at", of_pytorch.readout_at.is_some()),
        ("--columns", !args.columns.is_empty()),
        ("--window", args.window.is_some()),
        ("--stride", args.stride != 1),
    ];
    if let Some((option, _)) = refused.iter().find(|(_, given)| *given) {
        return Err(error(option, "has no meaning for an .onnx model"));
    }
    if let Some(option) = of_pytorch.of_keras() {
        return Err(error(option, "is for Keras models, .h5 and .keras"));
    }
    let mut onnx = Onnx::new();
    if let Some(node) = &args.node {
        onnx = onnx.node(node);
    }
    if let Some(reset) = of_pytorch.reset {
        onnx = onnx.linear_before_reset(matches!(reset, ResetArg::After));
    }
    Ok(onnx.read(&args.model)?)
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
fn outputs(
    imported: &OnnxImported,
    work: &Work,
    [batch, steps, _]: [usize; 3],
) -> Outcome<Vec<(String, Array)>> {
    let (dirs, hidden) = (imported.model.states(), imported.model.hidden());
    let time_major = imported.layout == 0;
    let output = &work.output;
    let y = Array { shape: vec![batch, steps, dirs, hidden], data: output.y.clone() };
    let state = |data: &[f32]| Array { shape: vec![dirs, batch, hidden], data: data.to_vec() };
    let y_order = if time_major { [1, 2, 0, 3] } else { [0, 1, 2, 3] };
    let state_order = if time_major { [0, 1, 2] } else { [1, 0, 2] };
    let mut all = vec![(imported.y.as_deref(), "Y", y.permuted(&y_order))];
    all.push((imported.y_h.as_deref(), "Y_h", state(&output.h_n).permuted(&state_order)));
    if let Some(c_n) = &output.c_n {
        all.push((imported.y_c.as_deref(), "Y_c", state(c_n).permuted(&state_order)));
    }
    all.into_iter()
        .map(|(name, role, array)| {
            Ok((name.unwrap_or(role).to_owned(), array.map_err(|reason| error(role, reason))?))
        })
        .collect()
}
