//! Tests without an engine: rules of the sources, shaders by naga, the protocol of the exchange, tables of speeds.

mod exchange_model;
mod layering;
mod shaders;
mod tables;
