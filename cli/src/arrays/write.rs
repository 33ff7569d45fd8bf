//! Writing arrays: into a temporary file beside the target, which is then renamed, so that no incomplete file is left
//! behind.

use std::collections::HashMap;
use std::fs;
use std::io::{Cursor, IsTerminal, Write};
use std::path::Path;

use safetensors::tensor::TensorView;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::{Array, ending, numpy};
use crate::failure::{Outcome, error};
use crate::print::{is_standard, print_bytes};

/// Checks that arrays can be written to `path`, before the computation.
///
/// # Errors
/// An unknown extension, a path that is also read, and as [`check_target`].
pub fn check<'a>(path: &Path, read: impl IntoIterator<Item = &'a Path>) -> Outcome {
    if !is_standard(path) && !["npz", "safetensors"].contains(&&ending(path)[..]) {
        return Err(error(
            path.display(),
            "expected a path ending in .npz or .safetensors, or - for standard output",
        ));
    }
    check_apart(path, read)?;
    check_target(path)
}

/// # Errors
/// A path that is one of `others`, which are read or written too; links are followed.
pub fn check_apart<'a>(path: &Path, others: impl IntoIterator<Item = &'a Path>) -> Outcome {
    if is_standard(path) {
        return Ok(());
    }
    // A path whose metadata cannot be read is not a file that could be overwritten. A device such as a terminal may
    // serve several outputs.
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
/// A missing folder.
fn check_folder(path: &Path) -> Outcome {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(error(path.display(), format!("the folder {} does not exist", folder.display())))
        }
        _ => Ok(()),
    }
}

/// Checks that a file at `path` can be written, before the computation. An existing file is left as it is.
///
/// # Errors
/// What the system refuses: no such folder, a folder in its place, no permission.
pub fn check_target(path: &Path) -> Outcome {
    if is_standard(path) {
        return Ok(());
    }
    check_folder(path)?;
    let is_new = path.symlink_metadata().is_err();
    // Opening a pipe would wait for its other end, and opening a dangling link would create its target.
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

/// Writes `arrays` in the format of the path's extension; to standard output as .npz.
///
/// # Errors
/// The error of the operating system.
pub fn write(path: &Path, arrays: &[(&str, Array)]) -> Outcome {
    let bytes = if is_standard(path) || ending(path) == "npz" {
        npz(arrays).map_err(|reason| error(path.display(), reason))?
    } else {
        tensors(arrays).map_err(|reason| error(path.display(), reason))?
    };
    if is_standard(path) && std::io::stdout().is_terminal() {
        return Err(error(
            "standard output",
            "is a terminal, and arrays are not text; redirect it, or name a file",
        ));
    }
    replace(path, &bytes)
}

/// Writes `bytes` to `path`, all or nothing; for `-` to standard output. A link stays a link; a special file such as a pipe is
/// written to directly.
///
/// # Errors
/// The error of the operating system.
pub fn replace(path: &Path, bytes: &[u8]) -> Outcome {
    if is_standard(path) {
        return print_bytes(bytes);
    }
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
