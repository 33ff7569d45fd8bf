//! PyTorch results from the tests of other crates, and whole PyTorch stacks with a dense layer. Every case is written
//! as a safetensors file under PyTorch's names and read by the importer.

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;
use wgru::import::PyTorch;
use wgru::{Batch, Device, Error, Model, Readout, ReadoutSteps};

use super::suite::{Judge, Suite, bound, floats, numbers, shape, text};

/// A tensor of a file being written.
struct Tensor {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn new(name: &str, shape: Vec<usize>, data: &[f32]) -> Self {
        let bytes = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name: name.into(), shape, bytes }
    }
}

fn file(tensors: &[Tensor]) -> Vec<u8> {
    let views = tensors.iter().map(|tensor| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes);
        (&tensor.name, view.expect("the bytes fit the shape"))
    });
    serialize(views, None).expect("a file can be made")
}

fn run_layer(case: &Value, device: &Device, judge: &mut Judge) -> Result<(), Error> {
    let inputs = &case["inputs"];
    let weights = inputs.as_object().expect("arrays").iter();
    let weights = weights.filter(|(name, _)| name.starts_with("weight") || name.starts_with("bias"));
    let tensor =
        |(name, array): (&String, &Value)| Tensor::new(name, shape(array), &floats(array).expect("numbers"));
    let tensors: Vec<Tensor> = weights.map(tensor).collect();
    let imported = PyTorch::new().parse("vectors", &file(&tensors)).expect("PyTorch's names");
    assert!(imported.report.left_over.is_empty());
    assert_eq!(case["attributes"]["batch_first"], true);
    let x = floats(&inputs["input"]).expect("an input");
    let mut batch = Batch::new(&x, shape(&inputs["input"]).try_into().expect("three dimensions"))?;
    let (h0, c0) = (inputs.get("h_0").and_then(floats), inputs.get("c_0").and_then(floats));
    if let Some(h0) = &h0 {
        batch = batch.h0(h0);
    }
    if let Some(c0) = &c0 {
        batch = batch.c0(c0);
    }
    let output = device.load_with(&imported.model, crate::common::options())?.run(&batch)?;
    for (name, expected) in case["expected_outputs"].as_object().expect("arrays") {
        let got = match name.as_str() {
            "output" => &output.y,
            "h_n" => &output.h_n,
            _ => output.c_n.as_ref().expect("an LSTM's"),
        };
        judge.holds(name, got, &numbers(expected).expect("numbers"), bound(&case["tolerance"]));
    }
    Ok(())
}

pub fn pytorch_in_other_crates(suite: Suite) {
    suite.holds(run_layer);
}

/// A state dict's array: a list of rows or of numbers.
fn dict(name: &str, array: &Value) -> Tensor {
    let outer = array.as_array().expect("a list");
    let inner = outer[0].as_array().map(Vec::len);
    let flat = outer.iter().flat_map(|v| v.as_array().map_or(std::slice::from_ref(v), |row| row));
    let data: Vec<f32> = flat.map(|v| v.as_f64().expect("a number") as f32).collect();
    Tensor::new(name, [Some(outer.len()), inner].into_iter().flatten().collect(), &data)
}

/// Two recurrent modules, the second of three layers, as one stack, and the dense layer on every step.
fn stack(case: &Value) -> Model {
    let dict: Vec<Tensor> = case["state_dict"]
        .as_object()
        .expect("arrays")
        .iter()
        .map(|(name, array)| dict(name, array))
        .collect();
    let bytes = file(&dict);
    let cell = text(&case["architecture"][0]).split('(').next().expect("a name").to_owned();
    let layers = |prefix: &str| {
        let imported = PyTorch::new().prefix(prefix).parse("vectors", &bytes);
        imported.unwrap_or_else(|error| panic!("{error}")).model.layers().to_vec()
    };
    let layers = [layers(&cell), layers(&format!("{cell}2"))].concat();
    assert_eq!(layers.len(), 4);
    let floats = |name: &str| -> Vec<f32> {
        let tensor = dict.iter().find(|tensor| tensor.name == name).expect("a dense layer");
        tensor.bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
    };
    let (w, b) = (floats("dense.weight"), floats("dense.bias"));
    let readout = Readout::new(w.len(), 1, ReadoutSteps::Every, w, Some(b)).expect("one output");
    Model::new(layers).and_then(|model| model.with_readout(readout)).expect("a stack")
}

pub fn whole_pytorch_stacks(suite: Suite) {
    suite.holds(|case, device, judge| {
        let x = floats(&case["inputs"]["x"]).expect("x");
        let output = device
            .load_with(&stack(case), crate::common::options())?
            .run(&Batch::new(&x, [1, x.len(), 1])?)?;
        let expected = numbers(&case["expected_outputs"]["y"]).expect("y");
        judge.holds("y", &output.out.expect("a readout"), &expected, bound(&case["tolerance"]));
        Ok(())
    });
}
