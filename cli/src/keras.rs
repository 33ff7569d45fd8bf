//! `wgru run MODEL.h5` and `MODEL.keras`: layers of a Keras file. Input and output arrays are as for PyTorch weights.

use std::path::Path;

#[cfg(feature = "keras")]
use wgru::ReadoutSteps;
use wgru::import::Imported;
#[cfg(feature = "keras")]
use wgru::import::Keras;

use crate::args::ModelArgs;
#[cfg(feature = "keras")]
use crate::failure::Failure;
use crate::failure::{Outcome, error};

/// In a build without Keras files: an error that names the feature.
#[cfg(not(feature = "keras"))]
pub fn read(path: &Path, _: &ModelArgs) -> Outcome<Imported> {
    Err(crate::failure::without(path, "keras"))
}

/// Reads the layers that the options name.
#[cfg(feature = "keras")]
pub fn read(path: &Path, args: &ModelArgs) -> Outcome<Imported> {
    if let Some(option) = args.of_pytorch() {
        return Err(error(option, "does not apply to a Keras model"));
    }
    // Commands that run or write the model call `check_states`.
    let mut keras = Keras::new().layers(&args.layer).states_given();
    if let Some(config) = &args.config {
        keras = keras.config(std::fs::read_to_string(config).map_err(|e| error(config.display(), e))?);
    }
    if let Some(version) = args.keras_version {
        keras = keras.keras_version(version);
    }
    let steps = args.readout_at.map_or(ReadoutSteps::Last, Into::into);
    keras = match (&args.readout, args.readout_without_activation) {
        (Some(name), false) => keras.readout(name, steps),
        (Some(name), true) => keras.readout_without_activation(name, steps),
        (None, true) => return Err(error("--readout-without-activation", "needs --readout")),
        (None, false) if args.readout_at.is_some() => return Err(error("--readout-at", "needs --readout")),
        (None, false) => keras,
    };
    let given: Vec<&str> = args.layer.iter().chain(&args.readout).map(String::as_str).collect();
    keras.read(path).map_err(|reason| Failure::of_names(&reason, &given))
}

/// Checks that a layer whose initial state the file's graph computes gets it as an input: `has` returns which arrays
/// the input has.
pub fn check_states(imported: &Imported, has: impl Fn(&str) -> bool) -> Outcome {
    let Some(state) = imported.report.initial_states.first() else { return Ok(()) };
    let needed: &[&str] = if imported.model.cell().has_c() { &["h0", "c0"] } else { &["h0"] };
    match needed.iter().find(|name| !has(name)) {
        Some(name) => {
            let reason =
                format!("{state}: a run without it would begin at 0; IN needs {}", needed.join(" and "));
            Err(error(name, reason))
        }
        None => Ok(()),
    }
}
