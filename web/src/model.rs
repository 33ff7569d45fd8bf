//! Models from the bytes of files.

use wasm_bindgen::prelude::*;
use wgru::import::PyTorch;
use wgru::model::{Activation, Reset, Update};
use wgru::{Cell, Imported, ReadoutSteps};

use crate::error::{Result, fail, wrong};

/// A model, and what its import says.
#[wasm_bindgen]
pub struct Model {
    pub(crate) model: wgru::Model,
    decisions: Vec<String>,
    left_over: Vec<String>,
}

impl From<Imported> for Model {
    fn from(Imported { model, report }: Imported) -> Self {
        Self { model, decisions: report.decisions, left_over: report.left_over }
    }
}

fn steps(at: Option<&str>) -> Result<ReadoutSteps> {
    match at {
        None | Some("last") => Ok(ReadoutSteps::Last),
        Some("every") => Ok(ReadoutSteps::Every),
        Some(other) => Err(wrong(&format!("readoutAt: `{other}` is neither \"last\" nor \"every\""))),
    }
}

fn cell(name: &str, reset: Option<&str>, update: Option<&str>) -> Result<(Cell, Option<Activation>)> {
    let reset = match reset {
        None | Some("after") => Reset::After,
        Some("before") => Reset::Before,
        Some(other) => return Err(wrong(&format!("reset: `{other}` is neither \"after\" nor \"before\""))),
    };
    let update = match update {
        None | Some("keeps") => Update::Keeps,
        Some("takes") => Update::Takes,
        Some(other) => return Err(wrong(&format!("update: `{other}` is neither \"keeps\" nor \"takes\""))),
    };
    match name {
        "gru" => Ok((Cell::Gru { reset, update }, None)),
        "lstm" => Ok((Cell::LSTM, None)),
        "rnn" => Ok((Cell::Rnn, None)),
        "rnn-relu" => Ok((Cell::Rnn, Some(Activation::RELU))),
        other => Err(wrong(&format!("cell: `{other}` is none of \"gru\", \"lstm\", \"rnn\", \"rnn-relu\""))),
    }
}

#[wasm_bindgen]
impl Model {
    /// From a safetensors file with PyTorch's names.
    #[allow(clippy::too_many_arguments, reason = "one for each option")]
    pub fn pytorch(
        name: &str,
        bytes: &[u8],
        prefix: Option<String>,
        cell_name: Option<String>,
        reset: Option<String>,
        update: Option<String>,
        readout: Option<String>,
        readout_at: Option<String>,
    ) -> Result<Self> {
        let mut import = PyTorch::new();
        if let Some(prefix) = prefix {
            import = import.prefix(prefix);
        }
        // A convention alone is one of a GRU.
        let wanted = cell_name.or_else(|| reset.is_some().then(|| "gru".into()));
        let wanted = wanted.or_else(|| update.is_some().then(|| "gru".into()));
        if let Some(wanted) = wanted {
            let (cell, nonlinearity) = cell(&wanted, reset.as_deref(), update.as_deref())?;
            import = import.cell(cell);
            if let Some(nonlinearity) = nonlinearity {
                import = import.nonlinearity(nonlinearity);
            }
        }
        if let Some(readout) = readout {
            import = import.readout(readout, steps(readout_at.as_deref())?);
        }
        import.parse(name, bytes).map(Self::from).map_err(fail)
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
}
