//! PyTorch: the state dict of `nn.GRU`, `nn.LSTM` or `nn.RNN` as a safetensors file.
//!
//! ```text
//! weight_ih_l{k}[_reverse]  [G·H, I]  [G·H, D·P] above the first layer    gates r z n, or i f g o
//! weight_hh_l{k}[_reverse]  [G·H, P]
//! bias_ih_l{k}, bias_hh_l{k}  [G·H]   in every layer and direction, or in none (bias=False)
//! weight_hr_l{k}[_reverse]  [P, H]    with a projection (proj_size=P)
//! readout.weight, readout.bias        [O, D·P] and [O], an nn.Linear
//! ```
//!
//! Properties that the tensors do not show are in the metadata: `wgru.readout`, `wgru.readout_at` (`every`, `last`),
//! `wgru.readout_activation` (`softmax` and others) and `wgru.nonlinearity` (`relu`). Source: the documentation of these classes, and of the safetensors format.

use super::{converted, is_biased};
use crate::error::{Error, Result};
use crate::model::{
    Activation, Activations, Cell, Direction, Forget, Layer, Merge, Model, ReadoutActivation, ReadoutSteps,
    Reset,
};

/// A safetensors file with the names of `nn.GRU`, `nn.LSTM` or `nn.RNN`, all in f32. [`crate::import::PyTorch`] reads
/// the same numbers from it, bit by bit, except for the changes to z and to absent biases that [`crate::export`]
/// describes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/co2_gru.safetensors");
/// let model = wgru::Model::from_pytorch(path)?.model;
/// let bytes = wgru::export::pytorch(&model)?;
/// // To keep it: std::fs::write("copy.safetensors", &bytes)
/// assert_eq!(wgru::import::PyTorch::new().parse("copy.safetensors", &bytes)?.model, model);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Unsupported`] for features that these classes lack, by name: a GRU's reset before the product, reverse
/// layers without forward ones, merged directions, peepholes, coupled gates, clips, and activations other than the
/// cell's own and an RNN's relu.
pub fn pytorch(model: &Model) -> Result<Vec<u8>> {
    let class = class_of(model.cell());
    for (index, layer) in model.layers().iter().enumerate() {
        if let Some(what) = beyond(layer) {
            return Err(Error::Unsupported {
                what: format!("layer {index}: PyTorch's {class} has no {what}"),
            });
        }
    }
    let mut file = File::default();
    file.metadata("format", "pt");
    if let Some(nonlinearity) = nonlinearity(model)? {
        file.metadata("wgru.nonlinearity", nonlinearity);
    }
    let biased = model.layers().iter().any(is_biased);
    for (index, layer) in model.layers().iter().enumerate() {
        let (rows, hidden, state) =
            (layer.cell().gates() * layer.hidden(), layer.hidden(), layer.state_size());
        for (set, end) in converted(layer, biased)?.iter().zip(["", "_reverse"]) {
            let mut add = |part: &str, shape: &[usize], values: &[f32]| {
                file.tensor(&format!("{part}_l{index}{end}"), shape, values);
            };
            add("weight_ih", &[rows, layer.input()], &set.w_ih);
            add("weight_hh", &[rows, state], &set.w_hh);
            for (part, bias) in [("bias_ih", &set.b_ih), ("bias_hh", &set.b_hh)] {
                if let Some(bias) = bias {
                    add(part, &[rows], bias);
                }
            }
            if let Some(w_hr) = &set.w_hr {
                add("weight_hr", &[state, hidden], w_hr);
            }
        }
    }
    if let Some(readout) = model.readout() {
        let at = if readout.steps() == ReadoutSteps::Every { "every" } else { "last" };
        file.metadata("wgru.readout", "readout");
        file.metadata("wgru.readout_at", at);
        if readout.activation() != ReadoutActivation::Linear {
            file.metadata("wgru.readout_activation", readout.activation().name());
        }
        file.tensor("readout.weight", &[readout.outputs(), readout.input()], readout.w());
        if let Some(b) = readout.b() {
            file.tensor("readout.bias", &[readout.outputs()], b);
        }
    }
    Ok(file.bytes())
}

fn class_of(cell: Cell) -> &'static str {
    match cell {
        Cell::Gru { .. } => "nn.GRU",
        Cell::Lstm { .. } => "nn.LSTM",
        Cell::Rnn => "nn.RNN",
    }
}

/// A feature of the layer that PyTorch's classes lack, apart from activations.
fn beyond(layer: &Layer) -> Option<String> {
    let clip = |name, clip: Option<f32>| clip.map(|clip| format!("{name} (of {clip})"));
    match layer.cell() {
        Cell::Gru { reset: Reset::Before, .. } => {
            return Some("reset before the product, which no reset after it can replace".into());
        }
        Cell::Lstm { forget: Forget::Coupled } => return Some("coupled forget gate".into()),
        _ => {}
    }
    if layer.direction() == Direction::Reverse {
        return Some("reverse direction without a forward one".into());
    }
    if layer.merge() != Merge::Concat {
        return Some(format!("directions that are merged (merge mode {})", layer.merge()));
    }
    if layer.has_peepholes() {
        return Some("peepholes".into());
    }
    clip("clip", layer.clip()).or_else(|| clip("state clip", layer.state_clip()))
}

/// The `nonlinearity` of an `nn.RNN` other than tanh.
///
/// # Errors
/// [`Error::Unsupported`] for any other activations than the cell's own.
fn nonlinearity(model: &Model) -> Result<Option<&'static str>> {
    let cell = model.cell();
    let relu = Activations { gate: Activation::RELU, ..Activations::of(cell) };
    let mut allowed = vec![(Activations::of(cell).places(cell), None)];
    if cell == Cell::Rnn {
        allowed.push((relu.places(cell), Some("relu")));
    }
    let sets = || model.layers().iter().flat_map(Layer::activations).map(|set| set.places(cell));
    if let Some((_, name)) = allowed.into_iter().find(|(own, _)| sets().all(|set| set == *own)) {
        return Ok(name);
    }
    let mut names: Vec<String> =
        sets().map(|set| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")).collect();
    names.dedup();
    let what = format!("PyTorch's {} has no activations {}", class_of(cell), names.join(", then "));
    Err(Error::Unsupported { what })
}

/// A safetensors file being written. Names and metadata are plain ASCII, and keep the order in which they were added,
/// so that one model always gives the same file.
#[derive(Default)]
struct File {
    metadata: Vec<String>,
    tensors: Vec<String>,
    data: Vec<u8>,
}

impl File {
    fn metadata(&mut self, key: &str, value: &str) {
        self.metadata.push(format!(r#""{key}":"{value}""#));
    }

    fn tensor(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let from = self.data.len();
        self.data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let to = self.data.len();
        let entry = format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{from},{to}]}}"#);
        self.tensors.push(entry);
    }

    /// The length of the header in eight bytes, the header padded with spaces to a multiple of eight, the data.
    fn bytes(self) -> Vec<u8> {
        let (metadata, tensors) = (self.metadata.join(","), self.tensors.join(","));
        let mut header = format!(r#"{{"__metadata__":{{{metadata}}},{tensors}}}"#);
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &self.data].concat()
    }
}
