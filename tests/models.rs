//! Whole published models on what their sources hold for them, on the reference, the CPU path and every adapter.
//! They lie beside the repository, in `../shared/models`, with a README of their own; where they are absent this
//! says so.

mod common;

#[path = "models/g2p.rs"]
mod g2p;
#[path = "models/rtneural.rs"]
mod rtneural;

use std::path::{Path, PathBuf};

use wgru::Device;
use wgru::import::{Tensor, read_tensors};

/// A model's folder, or a line that says it is absent.
fn folder(model: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models").join(model);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: ../shared/models/{model} is absent");
    None
}

fn devices() -> Vec<Device> {
    let mut all = common::devices();
    all.push(Device::reference());
    all
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
