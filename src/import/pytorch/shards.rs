//! A model in several files: `model.safetensors.index.json` maps each tensor to one of the safetensors files beside
//! it.
//!
//! ```text
//! {"metadata": {…}, "weight_map": {"gru.weight_ih_l0": "model-00001-of-00002.safetensors", …}}
//! ```
//!
//! Source: the documentation of Hugging Face's `huggingface_hub` on serialisation in shards.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::pickle;
use crate::error::{Error, Result, listed};
use crate::import::tensors::Tensors;
use crate::import::{Limits, load};

const FILE: &str = ".safetensors";
const INDEX: &str = ".safetensors.index.json";

/// The kind of file at a path.
pub(super) enum Found {
    /// One file of tensors.
    File(PathBuf),
    /// The index of several.
    Index(PathBuf),
}

/// The file itself; for a folder, its index, else its only safetensors file.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be read, or has neither; [`Error::Ambiguous`] if it has several.
pub(super) fn find(path: &Path) -> Result<Found> {
    let is_index = |name: &str| name.to_ascii_lowercase().ends_with(".json");
    if !path.is_dir() {
        let path = path.to_owned();
        return Ok(if is_index(&path.to_string_lossy()) { Found::Index(path) } else { Found::File(path) });
    }
    let io = |error: std::io::Error| Error::io(path.display(), error);
    let mut names = Vec::new();
    for entry in path.read_dir().map_err(io)? {
        let entry = entry.map_err(io)?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for end in [INDEX, FILE] {
        let found: Vec<String> =
            names.iter().filter(|name| name.to_ascii_lowercase().ends_with(end)).cloned().collect();
        match &found[..] {
            [] => {}
            [only] if end == INDEX => return Ok(Found::Index(path.join(only))),
            [only] => return Ok(Found::File(path.join(only))),
            _ => {
                let what = format!("files *{end} in the folder {}, name one", path.display());
                return Err(Error::Ambiguous { what, found });
            }
        }
    }
    let there = if names.is_empty() { "nothing".into() } else { listed(&names) };
    let reason = format!("a folder with neither *{INDEX} nor *{FILE} in it, it has {there}");
    Err(io(std::io::Error::new(std::io::ErrorKind::NotFound, reason)))
}

/// The files of a model.
pub(super) struct Shards {
    /// Each file's path and bytes, and the tensors that the index says are in it.
    files: Vec<(String, Vec<u8>, Vec<String>)>,
}

impl Shards {
    /// Reads the index and the files that it names.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for an index that cannot be read, and for a file outside the index's folder;
    /// [`Error::TooLarge`] beyond the limits.
    pub(super) fn read(index: &Path, limits: &Limits) -> Result<Self> {
        let source = index.display().to_string();
        let format = |reason: String| Error::format(source.clone(), reason);
        if let Ok(metadata) = index.metadata() {
            limits.check_header(&source, metadata.len())?;
        }
        let json: Value = serde_json::from_slice(&load(index)?).map_err(|error| {
            Error::unreadable(&source, "not a readable index of safetensors files", error)
        })?;
        let Some(map) = json.get("weight_map").and_then(Value::as_object) else {
            return Err(format("not an index of safetensors files: it has no weight_map".into()));
        };
        limits.check_tensors(&source, map.len() as u64)?;
        let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (tensor, file) in map {
            let Some(file) = file.as_str().filter(|file| is_beside(file)) else {
                return Err(format(format!("weight_map of {tensor}: expected a file's name, got {file}")));
            };
            files.entry(file).or_default().push(tensor.clone());
        }
        let read = |(file, tensors)| {
            let path = index.with_file_name(file);
            Ok((path.display().to_string(), load(&path)?, tensors))
        };
        Ok(Self { files: files.into_iter().map(read).collect::<Result<_>>()? })
    }

    /// The tensors of all files.
    ///
    /// # Errors
    /// [`Error::Format`] for a file that is truncated, and for a tensor in two files; [`Error::MissingTensor`] for
    /// one that is not in the file that the index names; [`Error::TooLarge`] beyond the limits;
    /// [`Error::Unsupported`] for files of `torch.save`.
    pub(super) fn tensors<'a>(&'a self, source: &'a str, limits: &Limits) -> Result<Tensors<'a>> {
        let mut all = Tensors::none(source);
        for (file, bytes, expected) in &self.files {
            let part = Tensors::parse(file, bytes, limits)
                .map_err(|error| pickle::instead_of(error, file, bytes))?;
            if let Some(missing) = expected.iter().find(|tensor| !part.has(tensor)) {
                return Err(part.missing(missing));
            }
            all.add(part)?;
            limits.check_tensors(source, all.len() as u64)?;
        }
        Ok(all)
    }
}

/// Whether this is the name of a file in the index's own folder.
fn is_beside(file: &str) -> bool {
    let mut parts = Path::new(file).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) && !file.contains('\\')
}
