//! `wgru run MODEL.h5` and `MODEL.keras`: layers of a Keras file. Arrays go in and out as for PyTorch weights.

use std::path::Path;

use wgru::import::Imported;
use wgru::{Keras, ReadoutSteps};

use crate::args::ModelArgs;
use crate::failure::{Outcome, error};

/// Reads the layers that the options name.
pub fn read(path: &Path, args: &ModelArgs) -> Outcome<Imported> {
    if let Some(option) = args.of_pytorch() {
        return Err(error(option, "has no meaning for a Keras model"));
    }
    let mut keras = Keras::new().layers(&args.layer);
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
    Ok(keras.read(path)?)
}
