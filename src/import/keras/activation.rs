//! Keras' activations by name, as functions with their parameters.
//!
//! ```text
//! hard_sigmoid   max(0, min(1, 0.2 x + 0.5))   Keras 1 and 2
//!                max(0, min(1, x/6 + 0.5))     Keras 3
//! leaky_relu     x < 0 ? 0.2 x : x             by name; as a layer LeakyReLU with a slope of its own
//! elu            x < 0 ? eˣ − 1 : x
//! ```
//!
//! Source: `keras/src/activations/activations.py` of Keras 3, `keras/backend/tensorflow_backend.py` of Keras 2.

use serde_json::Value;

use super::graph::class_and_config;
use crate::error::{Error, Result};
use crate::model::{Activation, Function};

/// The function behind `value`, the activation `key` of the layer `label`. `version` is Keras' major version.
///
/// # Errors
/// [`Error::Unsupported`] for an unknown function, [`Error::Mismatch`] for a hard sigmoid of an unknown
/// version.
pub(super) fn activation(label: &str, key: &str, value: &Value, version: Option<u32>) -> Result<Activation> {
    let unsupported =
        |what: &dyn std::fmt::Display| Error::Unsupported { what: format!("{key} of {label}: {what}") };
    let name = match value {
        Value::Null => "linear",
        Value::String(name) => name,
        other => return of_layer(other)?.ok_or_else(|| unsupported(other)),
    };
    let (function, alpha, beta) = match name {
        "sigmoid" => (Function::Sigmoid, 0.0, 0.0),
        "tanh" => (Function::Tanh, 0.0, 0.0),
        "relu" => (Function::Relu, 0.0, 0.0),
        "linear" => (Function::Affine, 1.0, 0.0),
        "elu" => (Function::Elu, 1.0, 0.0),
        "softsign" => (Function::Softsign, 0.0, 0.0),
        "softplus" => (Function::Softplus, 0.0, 0.0),
        "leaky_relu" => (Function::LeakyRelu, 0.2, 0.0),
        "hard_sigmoid" => match version {
            Some(..=2) => (Function::HardSigmoid, 0.2, 0.5),
            Some(3..) => (Function::HardSigmoid, 1.0 / 6.0, 0.5),
            None => {
                let reason = "hard_sigmoid is 0.2 x + 0.5 in Keras 1 and 2 and x/6 + 0.5 in Keras 3, and the \
                              file does not say which wrote it: give the version";
                return Err(Error::Mismatch { name: format!("{key} of {label}"), reason: reason.into() });
            }
        },
        other => return Err(unsupported(&format!("\"{other}\""))),
    };
    Activation::new(function, alpha, beta)
}

/// An activation that is a layer: LeakyReLU with its slope, `alpha` before Keras 3.
fn of_layer(value: &Value) -> Result<Option<Activation>> {
    let Some((class, config)) = class_and_config(value) else { return Ok(None) };
    if class != "LeakyReLU" {
        return Ok(None);
    }
    let slope = config.get("negative_slope").or_else(|| config.get("alpha")).and_then(Value::as_f64);
    slope.map(|slope| Activation::new(Function::LeakyRelu, slope as f32, 0.0)).transpose()
}
