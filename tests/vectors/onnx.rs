//! The suites in ONNX's own words (ONNX's node tests, ONNX Runtime, ngraph): every case is written as an ONNX file,
//! its attributes as attributes, its weights as initialisers and the rest as the graph's inputs, read by the
//! importer and run in the operator's own layout.
//!
//! ```text
//! layout 0   X [T, B, I]   Y [T, D, B, H]   states [D, B, H]
//! layout 1   X [B, T, I]   Y [B, T, D, H]   states [B, D, H]
//! ```

use serde_json::{Map, Value};
use wgru::import::{Onnx, OnnxImported, OnnxInput};
use wgru::io::Layout;
use wgru::{Batch, Device, Error};

use crate::file::{self, Graph, Node};
use crate::suite::{Bound, Judge, Suite, bound, floats, numbers, shape, text};

/// The inputs in the operator's order; those of the weights are initialisers.
const INPUTS: [&str; 8] = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"];
const WEIGHTS: [&str; 4] = ["W", "R", "B", "P"];
/// The first opset whose recurrent nodes are read, for files that name none.
const OPSET: i64 = 7;

/// A case as a file, its arrays under the operator's names.
fn import(case: &Value) -> OnnxImported {
    let inputs = case["inputs"].as_object().expect("arrays");
    let outputs = case["expected_outputs"].as_object().expect("arrays");
    assert!(inputs.keys().all(|name| INPUTS.contains(&name.as_str())), "{:?}", inputs.keys());
    let named = |name: &&'static str| if inputs.contains_key(*name) { *name } else { "" };
    let ports: Vec<&str> = INPUTS.iter().map(named).collect();
    let given = ["Y", "Y_h", "Y_c"].map(|name| if outputs.contains_key(name) { name } else { "" });
    // Only an LSTM has seven inputs and more, and three outputs.
    let (last_in, last_out) = if case["op"] == "LSTM" { (8, 3) } else { (6, 2) };
    let mut node = Node::new(text(&case["op"]), &ports[..last_in], &given[..last_out]);
    for (name, value) in case["attributes"].as_object().expect("attributes") {
        node = attribute(node, name, value);
    }
    let runtime: Vec<&str> =
        ports.iter().copied().filter(|name| !name.is_empty() && !WEIGHTS.contains(name)).collect();
    let given: Vec<&str> = given.into_iter().filter(|name| !name.is_empty()).collect();
    let mut graph = Graph::default().node(&node).inputs(&runtime).outputs(&given);
    for name in WEIGHTS {
        if let Some(data) = inputs.get(name).and_then(floats) {
            let dims: Vec<i64> = shape(&inputs[name]).iter().map(|&size| size as i64).collect();
            graph = graph.tensor(&file::floats(name, &dims, &data));
        }
    }
    let bytes = graph.model(case["opset"].as_i64().unwrap_or(OPSET));
    let imported = Onnx::new().parse(file::SOURCE, &bytes, None);
    let imported = imported.unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
    check_ports(&imported, inputs, outputs);
    imported
}

fn attribute(node: Node, name: &str, value: &Value) -> Node {
    let list = || value.as_array().expect("a list");
    match name {
        "direction" => node.text(name, text(value)),
        "activations" => node.texts(name, &list().iter().map(text).collect::<Vec<_>>()),
        "activation_alpha" | "activation_beta" => {
            let values: Vec<f32> = list().iter().map(|v| v.as_f64().expect("a number") as f32).collect();
            node.floats(name, &values)
        }
        // The source has a clip that no pre-activation reaches, under the name of its own.
        "clip" | "clip_in_source" => node.float("clip", value.as_f64().expect("a number") as f32),
        _ => node.int(name, value.as_i64().unwrap_or_else(|| panic!("attribute {name} is {value}"))),
    }
}

/// Every weight is used, and every other array has its name.
fn check_ports(imported: &OnnxImported, inputs: &Map<String, Value>, outputs: &Map<String, Value>) {
    assert!(imported.whole_graph && imported.report.left_over.is_empty(), "{:?}", imported.report);
    let weights = inputs.keys().filter(|name| WEIGHTS.contains(&name.as_str()));
    let mut weights: Vec<&String> = weights.collect();
    weights.sort();
    assert_eq!(imported.report.used.iter().collect::<Vec<_>>(), weights);
    fn array<T>(input: &OnnxInput<T>) -> Option<&str> {
        match input {
            OnnxInput::Array(name) => Some(name),
            _ => None,
        }
    }
    let OnnxImported { sequence_lens, initial_h, initial_c, y, y_h, y_c, .. } = imported;
    let read = [array(sequence_lens), array(initial_h), array(initial_c)];
    for (name, read) in ["sequence_lens", "initial_h", "initial_c"].into_iter().zip(read) {
        assert_eq!(read, inputs.contains_key(name).then_some(name));
    }
    for (name, written) in ["Y", "Y_h", "Y_c"].into_iter().zip([y, y_h, y_c]) {
        assert_eq!(written.as_deref(), outputs.contains_key(name).then_some(name));
    }
}

/// `[D, B, H]` to `[B, D, H]`, or back with D and B exchanged.
fn exchanged(states: &[f32], [outer, inner, hidden]: [usize; 3]) -> Vec<f32> {
    let rows = (0..inner).flat_map(|i| (0..outer).map(move |o| (o * inner + i) * hidden));
    rows.flat_map(|at| &states[at..at + hidden]).copied().collect()
}

fn run(case: &Value, device: &Device, judge: &mut Judge, bound: Bound) -> Result<(), Error> {
    let imported = import(case);
    let (inputs, model) = (&case["inputs"], &imported.model);
    let x = floats(&inputs["X"]).expect("X");
    let shape: [usize; 3] = shape(&inputs["X"]).try_into().expect("three dimensions");
    let batch_first = imported.layout == 1;
    let (mut batch, rows) = match batch_first {
        false => (Batch::time_major(&x, shape)?.output_layout(Layout::DirectionMajor), shape[1]),
        true => (Batch::new(&x, shape)?, shape[0]),
    };
    let (dirs, hidden) = (model.states(), model.hidden());
    let initial = |name: &str| {
        let states = floats(&inputs[name])?;
        Some(if batch_first { exchanged(&states, [rows, dirs, hidden]) } else { states })
    };
    let (h0, c0) = (initial("initial_h"), initial("initial_c"));
    let lengths: Option<Vec<u32>> =
        numbers(&inputs["sequence_lens"]).map(|lengths| lengths.iter().map(|&v| v as u32).collect());
    if let Some(h0) = &h0 {
        batch = batch.h0(h0);
    }
    if let Some(c0) = &c0 {
        batch = batch.c0(c0);
    }
    if let Some(lengths) = &lengths {
        batch = batch.lengths(lengths);
    }
    let output = device.load(model)?.run(&batch)?;
    let states = |states: &[f32]| match batch_first {
        false => states.to_vec(),
        true => exchanged(states, [dirs, rows, hidden]),
    };
    for (name, expected) in case["expected_outputs"].as_object().expect("arrays") {
        let expected = numbers(expected).expect("numbers");
        let got = match name.as_str() {
            "Y" => output.y.clone(),
            "Y_h" => states(&output.h_n),
            _ => states(output.c_n.as_ref().expect("an LSTM's")),
        };
        judge.holds(name, &got, &expected, bound);
    }
    Ok(())
}

#[test]
fn onnx_node_tests() {
    let Some(suite) = Suite::open("onnx_node_rnn_1.23.2.json") else { return };
    suite.holds(|case, device, judge| run(case, device, judge, bound(&case["tolerance"])));
}

/// Where a sequence has no step ONNX Runtime's final state is zero and this crate's its initial state. Both cases
/// that have such a sequence start from zero, so that the two rules agree on them.
#[test]
fn onnx_runtime() {
    let Some(suite) = Suite::open("ort_gru.json") else { return };
    let empty = |case: &&Value| numbers(&case["inputs"]["sequence_lens"]).is_some_and(|l| l.contains(&0.0));
    let empty: Vec<&Value> = suite.cases.iter().filter(empty).collect();
    assert_eq!(empty.len(), 2);
    let zero = |case: &Value| numbers(&case["inputs"]["initial_h"]).expect("given").iter().all(|&h| h == 0.0);
    assert!(empty.iter().all(|case| zero(case)), "the rules for a sequence of no step differ");
    suite.holds(|case, device, judge| run(case, device, judge, bound(&case["tolerance"])));
}

/// The file's own unit is ngraph's comparison of bits; its note gives 1e-5 for others.
#[test]
fn ngraph() {
    let Some(suite) = Suite::open("ngraph_lstm.json") else { return };
    suite.holds(|case, device, judge| run(case, device, judge, Bound::atol(1e-5)));
}
