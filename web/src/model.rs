//! Models from the bytes of files.

use wasm_bindgen::prelude::*;
use wgru::model::bytes;
use wgru::{Imported, ReadoutSteps};

#[cfg(any(feature = "run", feature = "keras"))]
use crate::error::wrong;
use crate::error::{Result, fail};

/// A model, and what its import says.
#[wasm_bindgen]
pub struct Model {
    pub(crate) model: wgru::Model,
    decisions: Vec<String>,
    left_over: Vec<String>,
    initial_states: Vec<String>,
}

impl From<Imported> for Model {
    fn from(Imported { model, report }: Imported) -> Self {
        let wgru::import::Report { decisions, left_over, initial_states, .. } = report;
        Self { model, decisions, left_over, initial_states }
    }
}

#[cfg(any(feature = "run", feature = "keras"))]
pub fn steps(at: Option<&str>) -> Result<ReadoutSteps> {
    match at {
        None | Some("last") => Ok(ReadoutSteps::Last),
        Some("every") => Ok(ReadoutSteps::Every),
        Some(other) => Err(wrong(&format!("readoutAt: `{other}` is neither \"last\" nor \"every\""))),
    }
}

#[wasm_bindgen]
impl Model {
    /// From what [`Model::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (model, [decisions, left_over, initial_states]) = bytes::read(bytes).map_err(fail)?;
        Ok(Self { model, decisions, left_over, initial_states })
    }

    /// For another module of the package.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        bytes::write(&self.model, &[&self.decisions, &self.left_over, &self.initial_states]).map_err(fail)
    }

    /// From an ONNX file: its recurrent nodes, or those named, as a stack.
    #[cfg(feature = "onnx")]
    pub fn onnx(name: &str, bytes: &[u8], nodes: Option<String>) -> Result<Self> {
        let mut import = wgru::import::Onnx::new();
        if let Some(nodes) = nodes {
            import = import.node(nodes);
        }
        import.parse(name, bytes, None).map(Self::from).map_err(fail)
    }

    /// From a Keras file.
    #[cfg(feature = "keras")]
    pub fn keras(
        name: &str,
        bytes: &[u8],
        layers: Option<Vec<String>>,
        config: Option<String>,
        version: Option<u32>,
        readout: Option<String>,
        readout_at: Option<String>,
    ) -> Result<Self> {
        let mut import = wgru::import::Keras::new();
        if let Some(layers) = layers {
            import = import.layers(layers);
        }
        if let Some(config) = config {
            import = import.config(config);
        }
        if let Some(version) = version {
            import = import.keras_version(version);
        }
        if let Some(readout) = readout {
            import = import.readout(readout, steps(readout_at.as_deref())?);
        }
        import.parse(name, bytes).map(Self::from).map_err(fail)
    }

    /// I
    #[wasm_bindgen(getter)]
    pub fn input(&self) -> usize {
        self.model.input()
    }

    /// Features of y: D·P of the last layer.
    #[wasm_bindgen(getter)]
    pub fn output(&self) -> usize {
        self.model.output()
    }

    /// O of the readout, 0 without one.
    #[wasm_bindgen(getter)]
    pub fn outputs(&self) -> usize {
        self.model.readout().map_or(0, |readout| readout.outputs())
    }

    /// The readout's activation by its name; none without a readout.
    #[wasm_bindgen(getter)]
    pub fn activation(&self) -> Option<String> {
        self.model.readout().map(|readout| readout.activation().name().to_owned())
    }

    /// Whether the readout is applied to every step.
    #[wasm_bindgen(getter)]
    pub fn at_every_step(&self) -> bool {
        self.model.readout().is_some_and(|readout| readout.steps() == ReadoutSteps::Every)
    }

    /// H of the first layer.
    #[wasm_bindgen(getter)]
    pub fn hidden(&self) -> usize {
        self.model.hidden()
    }

    /// L·D
    #[wasm_bindgen(getter)]
    pub fn num_states(&self) -> usize {
        self.model.num_states()
    }

    /// P
    #[wasm_bindgen(getter)]
    pub fn state_size(&self) -> usize {
        self.model.state_size()
    }

    /// Whether states have a c.
    #[wasm_bindgen(getter)]
    pub fn has_c(&self) -> bool {
        self.model.cell().has_c()
    }

    /// The model in words.
    pub fn text(&self) -> String {
        self.model.to_string()
    }

    /// What the import decided where the file does not say.
    pub fn decisions(&self) -> Vec<String> {
        self.decisions.clone()
    }

    /// Tensors of the file that the model does not use.
    pub fn left_over(&self) -> Vec<String> {
        self.left_over.clone()
    }

    /// Initial states that the file takes from elsewhere, and that a run has to give.
    pub fn initial_states(&self) -> Vec<String> {
        self.initial_states.clone()
    }
}
