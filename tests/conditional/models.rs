//! Whole published models against the results in their sources, on the reference, the CPU path and every adapter.

mod g2p;
mod rtneural;

use std::path::Path;

use libtest_mimic::Trial;
use wgru::import::{Tensor, read_tensors};

use crate::{shared, trial};

pub fn trials() -> Vec<Trial> {
    let rtneural = || shared("models/rtneural");
    vec![
        trial(
            "published::models::g2p::the_phonemes_of_96_words",
            || shared("models/g2p_en"),
            g2p::phonemes_of_96_words,
        ),
        trial("published::models::rtneural::a_keras_gru_between_dense_layers", rtneural, rtneural::keras_gru),
        trial(
            "published::models::rtneural::four_pytorch_grus_and_a_dense_layer",
            rtneural,
            rtneural::pytorch_grus,
        ),
    ]
}

fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every tensor of a safetensors file.
fn tensors(path: &Path) -> Vec<Tensor> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read_tensors(&path.display().to_string(), &bytes).unwrap_or_else(|error| panic!("{error}"))
}
