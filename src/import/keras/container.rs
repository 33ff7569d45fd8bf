//! The parts of a Keras file: arrays, the model's configuration, the version that wrote it.
//!
//! ```text
//! .keras        zip: config.json, metadata.json, model.weights.h5
//! .h5           HDF5: attributes model_config, keras_version, backend; arrays under model_weights/<layer>/
//! weights .h5   HDF5: attributes keras_version, backend; arrays under <layer>/; no configuration
//! .weights.h5   HDF5: arrays under layers/<class>[_n]/…/vars/<i>; no configuration, no version
//! ```
//!
//! The content decides which of them a file is, not its name.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use serde_json::Value;
use zip::ZipArchive;

use super::store::Store;
use crate::error::{Error, Result};
use crate::import::Limits;

const ZIP: &[u8] = b"PK\x03\x04";
const LEGACY: &str = "model_weights";
const VERSION: &str = "keras_version";
const FACTS: [&str; 3] = [VERSION, "backend", "date_saved"];

/// How a file addresses the arrays of its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// By the layers' names, below this group: Keras 1 and 2, and `.h5` of Keras 3.
    Named(String),
    /// By the layers' classes: `.weights.h5` and `.keras`.
    Numbered,
}

/// An open file.
pub(super) struct File {
    pub(super) store: Store,
    pub(super) layout: Layout,
    pub(super) config: Option<Value>,
    /// Whether configuration and weights come from one file, so that names in both must agree.
    pub(super) whole: bool,
    pub(super) metadata: BTreeMap<String, String>,
}

/// # Errors
/// [`Error::Format`] for a file that is truncated or lacks a part, [`Error::TooLarge`] for one beyond a limit.
pub(super) fn open(source: &str, bytes: &[u8], limits: Limits) -> Result<File> {
    if bytes.starts_with(ZIP) {
        open_zip(source, bytes, limits)
    } else {
        open_hdf5(source, bytes.to_vec(), limits, 0)
    }
}

impl File {
    /// The major version that wrote the file, and where the file states it.
    pub(super) fn version(&self) -> Option<(u32, String)> {
        match self.metadata.get(VERSION) {
            Some(text) => {
                let major = text.split('.').next()?.parse().ok()?;
                Some((major, format!("{VERSION} {text}")))
            }
            // Keras itself reads such a file as version 1; the layout by classes is much later.
            None if self.layout != Layout::Numbered => Some((1, format!("no {VERSION} in the file"))),
            None => None,
        }
    }
}

fn open_hdf5(source: &str, bytes: Vec<u8>, limits: Limits, unfolded: u64) -> Result<File> {
    let store = Store::parse(source, bytes, limits, unfolded)?;
    let base = if store.has_group(LEGACY) { LEGACY } else { "" };
    let (root, own) = (store.attributes("")?, store.attributes(base)?);
    let layout = match !own.list("layer_names").is_empty() {
        true => Layout::Named(base.into()),
        false if store.has_group("layers") => Layout::Numbered,
        false => {
            let reason = "no weights of Keras in it: neither layer_names nor a group \"layers\"";
            return Err(Error::format(source, reason));
        }
    };
    let text = |fact: &str| root.text(fact).or_else(|| own.text(fact));
    let metadata = FACTS.iter().filter_map(|fact| Some(((*fact).to_owned(), text(fact)?))).collect();
    let config = match root.text("model_config") {
        Some(text) => Some(json(&format!("model_config of {source}"), text.as_bytes(), limits)?),
        None => None,
    };
    Ok(File { store, layout, whole: config.is_some(), config, metadata })
}

fn open_zip(source: &str, bytes: &[u8], limits: Limits) -> Result<File> {
    fn unreadable(source: &str, part: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        let name = if part.is_empty() { source.into() } else { format!("{part} of {source}") };
        Error::unreadable(name, "not readable", error)
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| unreadable(source, "", error))?;
    let mut unfolded = 0;
    let mut part = |name: &str, most: u64| -> Result<Vec<u8>> {
        let entry = archive.by_name(name).map_err(|error| unreadable(source, name, error))?;
        let mut content = Vec::new();
        // One byte over the limit shows that the part is larger.
        let mut entry = entry.take(most.min(limits.decompressed.saturating_sub(unfolded)).saturating_add(1));
        entry.read_to_end(&mut content).map_err(|error| unreadable(source, name, error))?;
        unfolded += content.len() as u64;
        limits.check_decompressed(&format!("{name} of {source}"), unfolded)?;
        Ok(content)
    };
    // `json` checks both against the limit of headers.
    let config = json(&format!("config.json of {source}"), &part("config.json", limits.header)?, limits)?;
    let facts = json(&format!("metadata.json of {source}"), &part("metadata.json", limits.header)?, limits)?;
    let weights = part("model.weights.h5", u64::MAX)?;
    let text = |fact: &str| Some((fact.to_owned(), facts.get(fact)?.as_str()?.to_owned()));
    let metadata = FACTS.into_iter().filter_map(text).collect();
    let file = open_hdf5(&format!("model.weights.h5 of {source}"), weights, limits, unfolded)?;
    Ok(File { config: Some(config), whole: true, metadata, ..file })
}

/// # Errors
/// [`Error::Format`] for invalid JSON, [`Error::TooLarge`] for a text beyond the limit of headers.
pub(super) fn json(name: &str, text: &[u8], limits: Limits) -> Result<Value> {
    limits.check_header(name, text.len() as u64)?;
    serde_json::from_slice(text).map_err(|error| Error::unreadable(name, "not readable JSON", error))
}
