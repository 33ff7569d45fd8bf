//! Files that are there whole or not at all.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::{fs, io};

/// Puts `bytes` at `path`: beside it first, in the same folder, which is made where it is not there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    // Several may save at once, also of several processes.
    let beside = path.with_extension(format!("{:016x}.tmp", RandomState::new().build_hasher().finish()));
    let written = write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.inspect_err(|_| {
        // It may not be there; what failed is reported either way.
        let _ = fs::remove_file(&beside);
    })
}

/// Writes a file through to the disk, so that a name never comes to stand for what is not there yet.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}
