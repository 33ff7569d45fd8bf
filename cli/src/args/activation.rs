//! The activation of a readout by its name.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use wgru::ReadoutActivation;

/// Parses the name of a readout's activation.
pub fn names() -> impl TypedValueParser<Value = ReadoutActivation> {
    let names = PossibleValuesParser::new(ReadoutActivation::ALL.map(ReadoutActivation::name));
    names.try_map(|name| name.parse::<ReadoutActivation>())
}
