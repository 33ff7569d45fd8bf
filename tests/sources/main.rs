//! Tests without an engine: rules of the sources, shaders by naga, the protocol of the exchange, tables of
//! speeds, predictions and occupancy for GPUs.

mod documents;
mod exchange_model;
mod features;
mod layering;
mod occupancy;
mod predictions;
mod shaders;
mod tables;
