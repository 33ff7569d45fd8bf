//! Data of a tensor that are stored in a file beside the model, in its own folder.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::value::format;
use crate::error::{Error, Result};
use crate::proto::TensorProto;

/// The bytes of a tensor whose data are in another file: `needed` of them, from a regular file in `folder`.
pub(super) fn read(
    name: &str,
    tensor: &TensorProto,
    folder: Option<&Path>,
    needed: usize,
) -> Result<Vec<u8>> {
    let (mut location, mut offset, mut length) = (None, 0u64, None);
    for entry in &tensor.external_data {
        let number = || {
            let wrong = |_| format(name, format!("external data with {} = \"{}\"", entry.key, entry.value));
            entry.value.parse::<u64>().map_err(wrong)
        };
        match entry.key.as_str() {
            "location" => location = Some(entry.value.as_str()),
            "offset" => offset = number()?,
            "length" => length = Some(number()?),
            // A digest, which ONNX does not require a reader to check, and ONNX Runtime's own hints.
            "checksum" => {}
            key if key.starts_with("prepacked") => {}
            key => return Err(Error::Unsupported { what: format!("{name}: external data with {key}") }),
        }
    }
    let location = location.ok_or_else(|| format(name, "external data without a location"))?;
    if length.is_some_and(|length| length != needed as u64) {
        let got = length.unwrap_or_default();
        return Err(format(name, format!("needs {needed} bytes, its external data has {got}")));
    }
    let path = inside(name, location, folder)?;
    let io = |error: std::io::Error| Error::io(format_args!("{location} of {name}"), error);
    let size = path.metadata().map_err(io)?.len();
    if offset.checked_add(needed as u64).is_none_or(|end| end > size) {
        let reason = format!("bytes {offset} + {needed} of {location}, which has {size}");
        return Err(format(name, reason));
    }
    let mut bytes = Vec::new();
    let memory = |_| Error::Memory { name: name.into(), bytes: needed };
    bytes.try_reserve_exact(needed).map_err(memory)?;
    let mut file = File::open(&path).map_err(io)?;
    file.seek(SeekFrom::Start(offset)).map_err(io)?;
    file.take(needed as u64).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() != needed {
        return Err(format(name, format!("{location} ends after {} of {needed} bytes", bytes.len())));
    }
    Ok(bytes)
}

/// The regular file that `location` names inside `folder`. Links are followed; [`is_blob`] decides which may lead
/// outside.
fn inside(name: &str, location: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let folder = folder.ok_or_else(|| Error::Unsupported {
        what: format!("{name}: external data \"{location}\" of a model without a folder"),
    })?;
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    let outside = || format(name, format!("external data \"{location}\" is not inside the model's folder"));
    if location.is_empty() || location.contains('\0') || !Path::new(location).components().all(plain) {
        return Err(outside());
    }
    let io = |error: std::io::Error| Error::io(format_args!("{location} of {name}"), error);
    let named = folder.join(location);
    let path = named.canonicalize().map_err(io)?;
    let folder = folder.canonicalize().map_err(io)?;
    if !path.starts_with(&folder) && !is_blob(&named, &path, &folder) {
        return Err(outside());
    }
    if !path.is_file() {
        return Err(format(name, format!("external data \"{location}\" is not a file")));
    }
    Ok(path)
}

/// Whether `named`, a link inside `folder`, leads to `path` in the layout of the Hugging Face hub's cache:
///
/// ```text
/// ROOT/snapshots/REVISION/…/model.onnx_data  ->  ROOT/blobs/DIGEST
/// ```
///
/// `folder` is ROOT/snapshots/REVISION or a folder in it. The link itself must be inside `folder`, and the file
/// directly in the cache's own folder of blobs; no other path outside is allowed. `path` and `folder` have no links
/// in them.
fn is_blob(named: &Path, path: &Path, folder: &Path) -> bool {
    let Some(parent) = named.parent().and_then(|parent| parent.canonicalize().ok()) else { return false };
    let is_link = named.symlink_metadata().is_ok_and(|data| data.is_symlink());
    // REVISION is the folder directly below the last "snapshots".
    let snapshots =
        folder.ancestors().skip(1).find(|above| above.file_name().is_some_and(|n| n == "snapshots"));
    let Some(root) = snapshots.and_then(Path::parent) else { return false };
    let blobs = root.join("blobs");
    // If the folder of blobs were a link, it would lead elsewhere, but then `path` would not be in it.
    is_link && parent.starts_with(folder) && path.parent() == Some(&blobs)
}
