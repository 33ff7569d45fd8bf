//! What is found out without running an engine: rules of the sources, shaders by naga, the protocol of the exchange.

mod exchange_model;
mod layering;
mod shaders;
