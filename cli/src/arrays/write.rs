//! Writing arrays: beside the target first, then renamed, so that no half-written file is left behind.

use std::collections::HashMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use safetensors::tensor::TensorView;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::{Array, ending, numpy};
use crate::failure::{Outcome, error};

/// Whether arrays can be written to `path`, before the work that fills it.
///
/// # Errors
/// An ending that is not known, one of the files that are read, and as [`check_target`].
pub fn check<'a>(path: &Path, read: impl IntoIterator<Item = &'a Path>) -> Outcome {
    if !["npz", "safetensors"].contains(&&ending(path)[..]) {
        return Err(error(path.display(), "expected a path ending in .npz or .safetensors"));
    }
    check_apart(path, read)?;
    check_target(path)
}

/// # Errors
/// A path that is one of `others`, which are read or written too, be it by a link.
pub fn check_apart<'a>(path: &Path, others: impl IntoIterator<Item = &'a Path>) -> Outcome {
    // What cannot be looked at is no file that could be overwritten. A device, such as a terminal, may serve several.
    let is_same = |other: &&Path| {
        let is_one = same_file::is_same_file(path, other).unwrap_or(path == *other);
        is_one && (path.is_file() || !path.exists())
    };
    match others.into_iter().find(is_same) {
        Some(other) => {
            let reason =
                format!("is the same file as {}, and would overwrite it; name another", other.display());
            Err(error(format!("output {}", path.display()), reason))
        }
        None => Ok(()),
    }
}

/// # Errors
/// A folder that is not there.
fn check_folder(path: &Path) -> Outcome {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(error(path.display(), format!("the folder {} is not there", folder.display())))
        }
        _ => Ok(()),
    }
}

/// Whether a file can be at `path` and be written to, before the work that fills it. What is there stays.
///
/// # Errors
/// What the system refuses: no such folder, a folder in its place, no permission.
pub fn check_target(path: &Path) -> Outcome {
    check_folder(path)?;
    let is_new = path.symlink_metadata().is_err();
    // Opening a pipe would wait for its other end, and opening a link into nothing would make what it leads to.
    if !is_new && !path.is_file() && !path.is_dir() {
        return Ok(());
    }
    let opened = fs::File::options().append(true).create(true).open(path);
    drop(opened.map_err(|reason| error(path.display(), reason))?);
    if is_new {
        fs::remove_file(path).map_err(|reason| error(path.display(), reason))?;
    }
    Ok(())
}

/// Writes `arrays` in the format of the path's ending.
///
/// # Errors
/// What the system refuses.
pub fn write(path: &Path, arrays: &[(&str, Array)]) -> Outcome {
    let bytes = if ending(path) == "npz" {
        npz(arrays).map_err(|reason| error(path.display(), reason))?
    } else {
        tensors(arrays).map_err(|reason| error(path.display(), reason))?
    };
    replace(path, &bytes)
}

/// Puts `bytes` at `path`, whole or not at all. A link stays one; what is no file, such as a pipe, is written to.
///
/// # Errors
/// What the system refuses.
pub fn replace(path: &Path, bytes: &[u8]) -> Outcome {
    wgru::file::replace(path, bytes).map_err(|reason| error(path.display(), reason))
}

fn npz(arrays: &[(&str, Array)]) -> Result<Vec<u8>, String> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    for (name, array) in arrays {
        let npy = numpy::write_npy(array)?;
        archive.start_file(format!("{name}.npy"), options).map_err(|error| error.to_string())?;
        archive.write_all(&npy).map_err(|error| error.to_string())?;
    }
    Ok(archive.finish().map_err(|error| error.to_string())?.into_inner())
}

fn tensors(arrays: &[(&str, Array)]) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let bytes: Vec<Vec<u8>> = arrays
        .iter()
        .map(|(_, array)| array.data.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views: HashMap<&str, TensorView<'_>> = arrays
        .iter()
        .zip(&bytes)
        .map(|((name, array), bytes)| {
            Ok((*name, TensorView::new(safetensors::Dtype::F32, array.shape.clone(), bytes)?))
        })
        .collect::<Result<_, safetensors::SafeTensorError>>()?;
    safetensors::serialize(views, None)
}
