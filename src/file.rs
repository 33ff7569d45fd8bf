//! Files that are written completely or not at all.
//!
//! [`replace`] writes a temporary file in the target's folder, syncs it to the disk and renames it. Its name is `.wgru-`, 16
//! hexadecimal digits and `.tmp`, and it is locked while it is written. The system releases the lock when the process ends. So a
//! file of such a name without a lock was left by a process that was killed; the next write into the folder removes it. On a file
//! system without locks it is removed when it is a day old.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

// Only pipelines, which need a GPU, are stored for this user alone.
#[cfg(feature = "gpu")]
pub(crate) mod own;

/// The name of a temporary file, before and after the digits.
const BESIDE: [&str; 2] = [".wgru-", ".tmp"];
const DIGITS: usize = 16;
/// The age at which a temporary file counts as left behind, where the file system has no locks.
const LEFT: Duration = Duration::from_secs(24 * 60 * 60);
/// The most names that are tried where other processes remove the files while they are created.
const TRIES: usize = 100;

/// The users who may read and write a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// The process's default.
    Default,
    /// On unix this user alone.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "see `own`"))]
    Private,
}

/// Writes `bytes` to `path`, completely or not at all, in an existing folder. When it returns, both the file and its name are on
/// the disk (the name on unix). A symbolic link is kept, and its target is replaced; a target that is not a file, such as a pipe,
/// is written to. Temporary files that killed processes have left in the folder are removed.
///
/// # Errors
/// The system's error.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A rename over a device such as /dev/null would remove it for all users.
    if path.exists() && !path.is_file() {
        return fs::write(path, bytes);
    }
    // A link's target may not exist yet.
    let linked = || fs::read_link(path).map(|to| folder_of(path).join(to));
    let target = fs::canonicalize(path).or_else(|_| linked()).unwrap_or_else(|_| path.to_owned());
    put(&target, bytes, Access::Default)
}

/// [`replace`] in a folder that is created if needed.
pub(crate) fn replace_below(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_folder(folder_of(path), Access::Default)?;
    replace(path, bytes)
}

fn put(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let folder = folder_of(path);
    remove_left(folder);
    let (beside, mut file) = make_beside(folder, access)?;
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path));
    written.inspect_err(|_| {
        // It may not exist; the first error is returned either way.
        let _ = fs::remove_file(&beside);
    })?;
    sync(folder)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a folder and its parents.
fn make_folder(folder: &Path, access: Access) -> io::Result<()> {
    let above = folder_of(folder);
    if folder.is_dir() || above == folder {
        return Ok(());
    }
    make_folder(above, access)?;
    #[cfg_attr(not(unix), allow(unused_mut, reason = "modes are of unix"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    if access == Access::Private {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    }
    match builder.create(folder) {
        // Another process was quicker.
        Err(_) if folder.is_dir() => Ok(()),
        made => made.and_then(|()| sync(above)),
    }
}

/// Syncs the names in a folder to the disk.
fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // A folder that may be written and not read, or a file system that syncs files alone.
        Err(error) if is_of_kind(&error) => Ok(()),
        synced => synced,
    }
}

fn is_of_kind(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported)
}

/// A new, locked file in `folder` with a unique name.
fn make_beside(folder: &Path, access: Access) -> io::Result<(PathBuf, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if access == Access::Private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let _ = access;
    let [before, after] = BESIDE;
    for _ in 0..TRIES {
        let number = RandomState::new().build_hasher().finish();
        let path = folder.join(format!("{before}{number:0DIGITS$x}{after}"));
        let file = options.open(&path)?;
        match file.try_lock() {
            // Before it was locked, another process may have taken it for one that was left.
            Err(TryLockError::WouldBlock) => {}
            Ok(()) if !path.exists() => {}
            Ok(()) | Err(TryLockError::Error(_)) => return Ok((path, file)),
        }
    }
    Err(io::Error::other("another process removes every temporary file in its folder"))
}

/// Removes the temporary files of killed processes in `folder`. Nothing depends on it: the next write removes what cannot be
/// removed now.
fn remove_left(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_file = || entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_name_of_beside(&entry.file_name()) && is_file() {
            let _ = remove_if_left(&entry.path());
        }
    }
}

fn is_name_of_beside(name: &OsStr) -> bool {
    let [before, after] = BESIDE;
    let digits = name.to_str().and_then(|name| name.strip_prefix(before)?.strip_suffix(after));
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(is_digit))
}

fn remove_if_left(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let is_left = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            file.metadata()?.modified()?.elapsed().is_ok_and(|elapsed| elapsed > LEFT)
        }
    };
    // While holding the lock, so that the process that created the file meanwhile detects the removal.
    if is_left { fs::remove_file(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed when the test ends.
    pub(super) struct Folder(pub(super) PathBuf);

    impl Folder {
        pub(super) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("wgru-file-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        pub(super) fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let folder = Folder::new("replaced");
        let path = folder.0.join("deep/down/states");
        for data in [&b"first"[..], b"second"] {
            replace_below(&path, data).unwrap();
            assert_eq!(fs::read(&path).unwrap(), data);
        }
        assert_eq!(fs::read_dir(folder_of(&path)).unwrap().count(), 1);
        // A folder in place of the file, and a file in place of the folder.
        assert!(replace(&folder.0, b"x").is_err());
        assert!(replace_below(&path.join("below"), b"x").is_err());
        assert!(replace(&folder.0.join("none/states"), b"x").is_err(), "it makes no folder");
        assert_eq!(folder.names(), ["deep"]);
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn a_file_that_was_left_is_removed_and_one_being_written_is_not() {
        let folder = Folder::new("left");
        fs::create_dir(&folder.0).unwrap();
        let others = [
            ".wgru-.tmp",
            ".wgru-0123456789abcde.tmp",
            ".wgru-0123456789abcdefa.tmp",
            ".wgru-0123456789abcdeF.tmp",
            ".wgru-0123456789abcdef.tmp~",
            "wgru-0123456789abcdef.tmp",
            "states.tmp",
        ];
        for name in others {
            fs::write(folder.0.join(name), b"of somebody else").unwrap();
        }
        fs::create_dir(folder.0.join(".wgru-00000000000000ff.tmp")).unwrap();
        let left = folder.0.join(".wgru-0123456789abcdef.tmp");
        fs::write(&left, b"half a fi").unwrap();
        let (live, file) = make_beside(&folder.0, Access::Default).unwrap();
        replace(&folder.0.join("states"), b"all").unwrap();
        assert!(!left.exists() && live.exists());
        // Closing the file releases the lock.
        drop(file);
        replace(&folder.0.join("other"), b"all").unwrap();
        let mut expected: Vec<&str> = others.to_vec();
        expected.extend([".wgru-00000000000000ff.tmp", "states", "other"]);
        expected.sort_unstable();
        assert_eq!(folder.names(), expected);
    }

    /// Concurrent writes into one folder: each file is complete, no process removes another's, and no temporary file is left.
    #[test]
    fn many_may_write_at_once() {
        let folder = Folder::new("many");
        std::thread::scope(|scope| {
            for thread in 0..8u8 {
                let path = folder.0.join(format!("states-{}", thread % 3));
                scope.spawn(move || (0..30).for_each(|_| replace_below(&path, &[thread; 5000]).unwrap()));
            }
        });
        assert_eq!(folder.names(), ["states-0", "states-1", "states-2"]);
        for name in folder.names() {
            let bytes = fs::read(folder.0.join(name)).unwrap();
            assert!(bytes.len() == 5000 && bytes.iter().all(|byte| *byte == bytes[0]));
        }
    }

    const WRITES: &str = "WGRU_TEST_WRITES_TO";

    /// The process that [`a_process_that_dies_leaves_nothing_for_good`] starts and kills; by itself it does nothing.
    #[test]
    fn writes_until_it_is_killed() {
        let Some(path) = std::env::var_os(WRITES) else { return };
        loop {
            replace_below(Path::new(&path), &vec![7; 1 << 22]).unwrap();
        }
    }

    #[test]
    fn a_process_that_dies_leaves_nothing_for_good() {
        let folder = Folder::new("dies");
        let path = folder.0.join("states");
        let is_left = || folder.0.is_dir() && folder.names().iter().any(|name| name.ends_with(".tmp"));
        let mut left = 0;
        for _ in 0..20 {
            let mut child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "file::tests::writes_until_it_is_killed"])
                .env(WRITES, &path)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            while !is_left() {
                assert!(child.try_wait().unwrap().is_none(), "the writer ended by itself");
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // It may have finished that file just then.
            left += usize::from(is_left());
            replace(&path, b"a restart").unwrap();
            assert_eq!(folder.names(), ["states"]);
        }
        assert!(left > 0, "no process was killed while it wrote");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one() {
        use std::os::unix::fs::symlink;
        let folder = Folder::new("links");
        fs::create_dir(&folder.0).unwrap();
        let [target, link] = ["target", "link"].map(|name| folder.0.join(name));
        fs::write(&target, b"old").unwrap();
        symlink(&target, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }
}
