//! Published models: every one imports with its sizes and gives the numbers that the PyTorch import gives.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use safetensors::SafeTensors;
use wgru::import::{Onnx, PyTorch};
use wgru::{Cell, Error};

use crate::cases::folders;
use crate::{shared, trial};

pub fn trials() -> Vec<Trial> {
    let (cases, models) = (|| shared("cases"), || shared("models"));
    vec![
        trial("published::onnx::real_layers_import_with_their_sizes_and_numbers", cases, sizes_and_numbers),
        trial("published::onnx::nodes_of_whole_models_can_be_named", models, nodes_can_be_named),
        trial(
            "published::onnx::a_node_inside_a_branch_is_the_layer_of_its_case",
            models,
            a_node_inside_a_branch,
        ),
    ]
}

/// The number of a key in a flat JSON object.
fn number(json: &str, key: &str) -> usize {
    let at = json.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key}")) + key.len() + 3;
    let digits: String = json[at..].trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{key} is no number"))
}

fn sizes_and_numbers(cases: PathBuf) {
    let folders = folders(&cases);
    let mut compared = 0;
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let imported = Onnx::new().read_graph(folder.join("model.onnx"));
        let imported = imported.unwrap_or_else(|error| panic!("{name}: {error}"));
        let json = fs::read_to_string(folder.join("case.json")).expect("case.json");
        let model = &imported.model;
        let directions = model.layers()[0].direction().count();
        let got = [model.input(), model.hidden(), directions];
        assert_eq!(got, ["I", "H", "directions"].map(|key| number(&json, key)), "{name}");
        assert!(imported.whole_graph, "{name}");
        assert!(imported.report.left_over.is_empty(), "{name}");
        let bytes = fs::read(folder.join("io.safetensors")).expect("io.safetensors");
        let io = SafeTensors::deserialize(&bytes).expect("io.safetensors");
        let shape = io.tensor(&imported.x).expect("X by the graph's name").shape().to_vec();
        assert_eq!(shape, ["T", "N", "I"].map(|key| number(&json, key)), "{name}");
        for output in [&imported.y, &imported.y_h, &imported.y_c].into_iter().flatten() {
            assert!(io.tensor(output).is_ok(), "{name} has no {output}");
        }
        compared += usize::from(compare(&folder.join("weights_pytorch_layout.safetensors"), model, &name));
    }
    eprintln!("compared with PyTorch's layout: {compared}");
    assert!(compared >= 12, "only {compared} compared");
}

/// Compares a model with the PyTorch import of the same layer, bit by bit.
fn compare(path: &Path, model: &wgru::Model, name: &str) -> bool {
    if !path.is_file() {
        return false;
    }
    let how = if matches!(model.cell(), Cell::Gru { .. }) {
        PyTorch::new().cell(model.cell())
    } else {
        PyTorch::new()
    };
    let other = how.read(path).unwrap_or_else(|error| panic!("{name}: {error}")).model;
    let (ours, theirs) = (&model.layers()[0], &other.layers()[0]);
    assert_eq!(ours.weights().len(), theirs.weights().len(), "{name}");
    let bits = |data: &[f32]| data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for (ours, theirs) in ours.weights().iter().zip(theirs.weights()) {
        assert!(bits(&ours.w_ih) == bits(&theirs.w_ih), "{name}: w_ih");
        assert!(bits(&ours.w_hh) == bits(&theirs.w_hh), "{name}: w_hh");
        let bias = |bias: &Option<Vec<f32>>| bias.as_deref().map(bits);
        assert!(bias(&ours.b_ih) == bias(&theirs.b_ih), "{name}: b_ih");
        assert!(bias(&ours.b_hh) == bias(&theirs.b_hh), "{name}: b_hh");
    }
    true
}

/// Fourteen GRUs between convolutions: each can be named, and equals its case.
fn nodes_can_be_named(models: PathBuf) {
    let path = models.join("gtcrn/gtcrn_simple.onnx");
    let nodes = Onnx::list(&path).expect("a list");
    nodes.iter().for_each(|node| eprintln!("{node}"));
    assert_eq!(nodes.len(), 14);
    for node in nodes {
        let imported =
            Onnx::new().node(&node.name).read_graph(&path).unwrap_or_else(|error| panic!("{node}: {error}"));
        assert!(!imported.whole_graph);
    }
    assert!(
        matches!(Onnx::new().read_graph(&path), Err(Error::Ambiguous { found, .. }) if found.len() == 14)
    );
}

/// The weights of the LSTM come through Slice, Concat and Unsqueeze inside the branch of an If.
fn a_node_inside_a_branch(models: PathBuf) {
    let path = models.join("silero-vad/silero_vad_openvino_16k.onnx");
    let nodes = Onnx::list(&path).expect("a list");
    nodes.iter().for_each(|node| eprintln!("{node}"));
    assert!(!nodes.is_empty());
    for node in nodes {
        let imported =
            Onnx::new().node(&node.name).read_graph(&path).unwrap_or_else(|error| panic!("{node}: {error}"));
        eprintln!("{}: {} {:?}", node.name, imported.model, imported.report.decisions);
        let cases = shared("cases").expect("beside the models");
        let weights = cases.join("silero_vad__lstm/weights_pytorch_layout.safetensors");
        assert!(compare(&weights, &imported.model, &node.name));
    }
}
