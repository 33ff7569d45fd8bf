//! Models from PyTorch's files.

use wasm_bindgen::prelude::*;
use wgru::Cell;
use wgru::import::PyTorch;
use wgru::model::{Activation, Reset, Update};

use crate::error::{Result, fail, wrong};
use crate::model::{Model, steps};

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
        readout_activation: Option<String>,
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
        if let Some(activation) = readout_activation {
            import = import.readout_activation(activation.parse().map_err(fail)?);
        }
        import.parse(name, bytes).map(Self::from).map_err(fail)
    }
}
