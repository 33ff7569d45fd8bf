//! Files that only this user or root may have written.

use std::fs::{self, File};
use std::io;
use std::path::Path;

#[cfg(unix)]
use super::make_beside;
use super::{Access, folder_of, make_folder, put};

/// Like [`super::replace_below`], for this user alone; a link itself is replaced.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_folder(folder_of(path), Access::Private)?;
    put(path, bytes, Access::Private)
}

/// Runs [`check`] on a folder, if it exists; returns whether it does.
///
/// # Errors
/// The reason that it is refused, or the system's error.
pub(crate) fn check_folder(folder: &Path) -> io::Result<bool> {
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Err(io::Error::other("it is no folder")),
        Ok(found) => check(&found, folder).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads a file of at most `most` bytes that passes [`check`] and is not a link, in a folder that was checked.
///
/// # Errors
/// The reason that it is refused, or the system's error.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // The folder is this user's alone, so the file cannot become a link before the next line.
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("is no file"));
    }
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    check(&found, folder_of(path))?;
    if found.len() > most {
        return Err(io::Error::other(format!("has {} bytes, more than {most}", found.len())));
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(&mut file, most), &mut bytes)?;
    Ok(bytes)
}

/// Whether no user but this one and root can have written the file or folder: on unix its owner is one of these, and neither its
/// group nor others may write to it. Elsewhere there is no check, and everything passes.
#[cfg(unix)]
fn check(found: &fs::Metadata, folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    judge(found.uid(), found.mode(), || own_user(folder))
        .map_err(|reason| io::Error::new(io::ErrorKind::PermissionDenied, reason))
}

#[cfg(not(unix))]
fn check(_: &fs::Metadata, _: &Path) -> io::Result<()> {
    Ok(())
}

/// The owner of new files in `folder`: without linking to libc, a process has no other way to learn its user.
#[cfg(unix)]
fn own_user(folder: &Path) -> io::Result<u32> {
    // Linux has it without a file, also where none can be created: the process's folder in /proc belongs to its user, or to root
    // where the process may not be inspected.
    #[cfg(target_os = "linux")]
    if let Ok(found) = fs::metadata("/proc/self")
        && std::os::unix::fs::MetadataExt::uid(&found) != 0
    {
        return Ok(std::os::unix::fs::MetadataExt::uid(&found));
    }
    let (path, file) = make_beside(folder, Access::Private)?;
    let found = file.metadata();
    fs::remove_file(path)?;
    Ok(std::os::unix::fs::MetadataExt::uid(&found?))
}

#[cfg(unix)]
fn judge(owner: u32, mode: u32, own: impl FnOnce() -> io::Result<u32>) -> Result<(), String> {
    if mode & 0o022 != 0 {
        let mode = mode & 0o7777;
        return Err(format!(
            "its mode {mode:o} lets its group or others write to it: `chmod go-w` takes that away"
        ));
    }
    if owner == 0 {
        return Ok(());
    }
    match own() {
        Ok(own) if own == owner => Ok(()),
        Ok(own) => Err(format!(
            "it belongs to user {owner}, and this process is user {own}: `chown {own}` changes that"
        )),
        Err(error) => Err(format!(
            "it belongs to user {owner}, and the user of this process is unknown, since no file can be created \
             in its folder: {error}"
        )),
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    #[test]
    fn what_is_made_is_private_and_what_others_may_write_is_not_read() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
        let folder = Folder::new("private");
        fs::create_dir(&folder.0).unwrap();
        let link = folder.0.join("link");
        fs::write(folder.0.join("target"), b"code").unwrap();
        symlink(folder.0.join("target"), &link).unwrap();
        assert!(read(&link, 9).unwrap_err().to_string().contains("no file"));

        let own = folder.0.join("own");
        replace(&own.join("kernels"), b"code").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&own), mode(&own.join("kernels"))), (0o700, 0o600));
        assert!(check_folder(&own).unwrap() && !check_folder(&own.join("none")).unwrap());
        assert_eq!(read(&own.join("kernels"), 4).unwrap(), b"code");
        assert!(read(&own.join("kernels"), 3).is_err(), "longer than it may be");
        for (path, mode) in
            [(&own, 0o720), (&own, 0o702), (&own.join("kernels"), 0o620), (&own.join("kernels"), 0o602)]
        {
            let before = fs::metadata(path).unwrap().permissions();
            fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
            let checked = check_folder(&own).and_then(|_| read(&own.join("kernels"), 4));
            let error = checked.unwrap_err().to_string();
            assert!(error.contains(&format!("{mode:o}")) && error.contains("chmod go-w"), "{error}");
            fs::set_permissions(path, before).unwrap();
        }
        assert!(read(&own.join("kernels"), 4).is_ok());
    }

    #[test]
    fn another_user_is_told_from_this_one_and_root() {
        let of = |owner, mode, own: io::Result<u32>| judge(owner, mode, || own);
        let unknown = || Err(io::Error::other("read-only"));
        assert_eq!(of(0, 0o40755, unknown()), Ok(()), "root's: the process's user is not needed");
        assert_eq!(of(1000, 0o100644, Ok(1000)), Ok(()));
        for (owner, mode, own, part) in [
            (1001, 0o40700, Ok(1000), "user 1001, and this process is user 1000"),
            (1001, 0o40700, Ok(0), "user 1001, and this process is user 0"),
            (1000, 0o40755, unknown(), "read-only"),
            (0, 0o41777, unknown(), "mode 1777"),
            (1000, 0o40775, Ok(1000), "mode 775"),
        ] {
            let reason = of(owner, mode, own).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
        let folder = Folder::new("own");
        fs::create_dir(&folder.0).unwrap();
        let own = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&folder.0).unwrap());
        assert_eq!(own_user(&folder.0).unwrap(), own);
        assert!(folder.names().is_empty());
    }
}
