//! A case in ONNX's terms, written as an ONNX file and read by the importer.

use serde_json::{Map, Value};
use wgru::import::{Onnx, OnnxGraph, OnnxInput};

use super::suite::{floats, shape, text};
use crate::common::onnx_file::{self, Graph, Node};

/// The inputs in the operator's order; those of the weights are initialisers.
const INPUTS: [&str; 8] = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"];
const WEIGHTS: [&str; 4] = ["W", "R", "B", "P"];
/// The first supported opset of recurrent nodes, for files that name none.
const OPSET: i64 = 7;

/// A case as a file, its arrays under the operator's names.
pub fn import(case: &Value) -> OnnxGraph {
    let inputs = case["inputs"].as_object().expect("arrays");
    let outputs = case["expected_outputs"].as_object().expect("arrays");
    assert!(inputs.keys().all(|name| INPUTS.contains(&name.as_str())), "{:?}", inputs.keys());
    let named = |name: &&'static str| if inputs.contains_key(*name) { *name } else { "" };
    let ports: Vec<&str> = INPUTS.iter().map(named).collect();
    let given = ["Y", "Y_h", "Y_c"].map(|name| if outputs.contains_key(name) { name } else { "" });
    // Only an LSTM has seven or more inputs, and three outputs.
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
            graph = graph.tensor(&onnx_file::floats(name, &dims, &data));
        }
    }
    let bytes = graph.model(case["opset"].as_i64().unwrap_or(OPSET));
    let imported = Onnx::new().parse_graph(onnx_file::SOURCE, &bytes, None);
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
        // The source has a clip that no pre-activation reaches, under its own name.
        "clip" | "clip_in_source" => node.float("clip", value.as_f64().expect("a number") as f32),
        _ => node.int(name, value.as_i64().unwrap_or_else(|| panic!("attribute {name} is {value}"))),
    }
}

/// Every weight is used, and every other array has its name.
fn check_ports(imported: &OnnxGraph, inputs: &Map<String, Value>, outputs: &Map<String, Value>) {
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
    let OnnxGraph { sequence_lens, initial_h, initial_c, y, y_h, y_c, .. } = imported;
    let read = [array(sequence_lens), array(initial_h), array(initial_c)];
    for (name, read) in ["sequence_lens", "initial_h", "initial_c"].into_iter().zip(read) {
        assert_eq!(read, inputs.contains_key(name).then_some(name));
    }
    for (name, written) in ["Y", "Y_h", "Y_c"].into_iter().zip([y, y_h, y_c]) {
        assert_eq!(written.as_deref(), outputs.contains_key(name).then_some(name));
    }
}

/// `[D, B, H]` to `[B, D, H]`, or back with D and B exchanged.
pub fn exchanged(states: &[f32], [outer, inner, hidden]: [usize; 3]) -> Vec<f32> {
    let rows = (0..inner).flat_map(|i| (0..outer).map(move |o| (o * inner + i) * hidden));
    rows.flat_map(|at| &states[at..at + hidden]).copied().collect()
}
