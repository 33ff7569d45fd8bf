//! Compiled pipelines on disk: one file for each adapter, in a folder that the caller names.
//!
//! A file is read when a device is opened. When there is something new to keep, it is written under another name and then renamed.
//! It holds the driver's data, after a head of 32 bytes and the key; numbers are little-endian:
//!
//! | bytes | |
//! |---|---|
//! | 8 | `wgrupipe` |
//! | 4 | the version of this layout |
//! | 4 | the length of the key |
//! | 8 | the length of the data |
//! | 8 | a checksum of key and data |
//!
//! The key names adapter and driver. An invalid file (another version, key or checksum) is ignored, and the next save overwrites it.
//! wgpu then has the driver validate the data once more.
//!
//! A driver executes the file's content, and neither the checksum nor the driver detects manipulation. So a file is read and written only
//! where no user but this one and root can have written it: [`own::check_folder`] and [`own::read`] check that.
//! The folder and the file are created for this user alone, with modes 0700 and 0600.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Context;
use crate::error::{Error, Result};
use crate::file::own;
use crate::sync::lock;

const MAGIC: [u8; 8] = *b"wgrupipe";
const VERSION: u32 = 1;
const HEAD: usize = 32;
/// The most bytes of a file that is read: far more than all kernels take, and no more than a host can spare.
const LONGEST: u64 = 256 << 20;

/// The pipelines of a device that are kept on disk.
#[derive(Debug)]
pub struct Saved {
    cache: wgpu::PipelineCache,
    folder: PathBuf,
    path: PathBuf,
    key: String,
    /// Whether a pipeline was created since the last save.
    asked: AtomicBool,
    /// Whether a caller was given the reason of a failed save.
    told: AtomicBool,
    /// The checksum of the file's content, if it was valid.
    kept: Mutex<Option<u64>>,
}

impl Saved {
    /// The pipelines in `folder` for the device of `context`; `None` where the device cannot return its pipelines.
    pub(super) fn open(context: &Context, folder: &Path) -> Option<Self> {
        if !context.device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let info = context.device.adapter_info();
        let name = wgpu::util::pipeline_cache_key(&info)?;
        let key = format!("{name} {} {} {}", info.name, info.driver, info.driver_info);
        let (folder, path) = (folder.to_owned(), folder.join(format!("{name}.wgru")));
        // If the folder cannot be used, the next save returns the reason.
        let is_own = own::check_folder(&folder).unwrap_or(false);
        let ignored = |why: &dyn std::fmt::Display| {
            log::warn!(
                target: "wgru::device",
                "{}: these compiled kernels are ignored, and replaced by the next save: {why}",
                path.display()
            );
        };
        let file = match is_own.then(|| own::read(&path, LONGEST)) {
            Some(Ok(file)) => Some(file),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                ignored(&error);
                None
            }
            _ => None,
        };
        let (asked, told) = (AtomicBool::new(false), AtomicBool::new(false));
        if let Some(file) = &file {
            // Data that wgpu or the driver refuses is ignored like any other invalid file.
            match unpack(&key, file) {
                Some(data) => match create(context, Some(data)) {
                    Ok(cache) => {
                        let kept = Mutex::new(Some(checksum(&key, data)));
                        return Some(Self { cache, folder, path, key, asked, told, kept });
                    }
                    Err(error) => ignored(&error),
                },
                None => ignored(&"of another driver or version, or damaged"),
            }
        }
        let cache = create(context, None).ok()?;
        Some(Self { cache, folder, path, key, asked, told, kept: Mutex::default() })
    }

    pub(super) fn cache(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Records that a pipeline was created with the cache.
    pub(super) fn mark(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Writes the file if there is something new; returns whether it wrote.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder or the file cannot be written, and where others may write to the folder.
    pub fn save(&self) -> Result<bool> {
        self.save_quietly().inspect_err(|_| self.told.store(true, Ordering::Relaxed))
    }

    fn save_quietly(&self) -> Result<bool> {
        // Held throughout: one save at a time.
        let mut kept = lock(&self.kept);
        if let Err(error) = own::check_folder(&self.folder) {
            let reason = format!("this folder is not used for compiled kernels: {error}");
            return Err(Error::io(self.folder.display(), io::Error::new(error.kind(), reason)));
        }
        if !self.asked.swap(false, Ordering::Relaxed) {
            return Ok(false);
        }
        // A lost device has none.
        let Some(data) = self.cache.get_data() else { return Ok(false) };
        let sum = checksum(&self.key, &data);
        if *kept == Some(sum) {
            return Ok(false);
        }
        if let Err(error) = own::replace(&self.path, &pack(&self.key, &data)) {
            self.mark();
            return Err(Error::io(self.path.display(), error));
        }
        *kept = Some(sum);
        Ok(true)
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // A drop can report an error to the log alone; callers that need the error call `save`.
        if let Err(error) = self.save_quietly()
            && !self.told.load(Ordering::Relaxed)
        {
            log::warn!(target: "wgru::device", "compiled kernels are not saved: {error}");
        }
    }
}

fn create(context: &Context, data: Option<&[u8]>) -> Result<wgpu::PipelineCache> {
    let label = Some("wgru.pipelines");
    let descriptor = wgpu::PipelineCacheDescriptor { label, data, fallback: true };
    // SAFETY: data, where there is any, must have come from `PipelineCache::get_data`. It was in a file whose head, lengths, key
    // (of this adapter and driver) and checksum are those that `pack` gives, and `pack` is called on the result of `get_data`
    // alone. On unix no user but this one and root can have written the file: `open` has checked owner and mode of the folder
    // and, once it was opened, of the file. Elsewhere the caller, who names the folder, is responsible for it
    // (`DeviceOptions::pipeline_cache`).
    let create = || unsafe { context.device.create_pipeline_cache(&descriptor) };
    context.checked("pipeline cache", create)
}

/// A file with `data`.
fn pack(key: &str, data: &[u8]) -> Vec<u8> {
    let mut file = head(key, data);
    file.extend(data);
    file
}

/// The data of a file that [`pack`] made for `key`; `None` for any other.
fn unpack<'a>(key: &str, file: &'a [u8]) -> Option<&'a [u8]> {
    let (start, data) = file.split_at_checked(HEAD + key.len())?;
    (start == head(key, data)).then_some(data)
}

/// The part before `data`: the head and the key.
fn head(key: &str, data: &[u8]) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD + key.len() + data.len());
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend((key.len() as u32).to_le_bytes());
    head.extend((data.len() as u64).to_le_bytes());
    head.extend(checksum(key, data).to_le_bytes());
    head.extend(key.as_bytes());
    head
}

/// FNV-1a of 64 bits: it detects damage, and is not cryptographic.
fn checksum(key: &str, data: &[u8]) -> u64 {
    let step = |sum: u64, &byte: &u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    key.as_bytes().iter().chain(data).fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "adapter driver 1.0";

    #[test]
    fn a_checksum_is_the_published_one() {
        // http://www.isthe.com/chongo/src/fnv/test_fnv.c
        assert_eq!(checksum("", b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum("a", b""), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(checksum("foo", b"bar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_packed_file_is_unpacked() {
        for data in [&b""[..], b"x", &[0xa5; 1000]] {
            let file = pack(KEY, data);
            assert_eq!(file.len(), HEAD + KEY.len() + data.len());
            assert_eq!(unpack(KEY, &file), Some(data));
        }
    }

    #[test]
    fn any_other_file_is_ignored() {
        let file = pack(KEY, b"what the driver gave");
        for length in 0..file.len() {
            assert_eq!(unpack(KEY, &file[..length]), None, "cut off at {length}");
        }
        for at in 0..file.len() * 8 {
            let mut other = file.clone();
            other[at / 8] ^= 1 << (at % 8);
            assert_eq!(unpack(KEY, &other), None, "bit {at}");
        }
        let longer = [&file[..], b"!"].concat();
        assert_eq!(unpack(KEY, &longer), None);
        for key in ["", "adapter", "adapter driver 1.1", "adapter driver 1.0 "] {
            assert_eq!(unpack(key, &file), None, "{key}");
        }
        // A later layout: the same but for its version.
        let mut later = file.clone();
        later[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
        assert_eq!(unpack(KEY, &later), None);
    }

    /// A file of version 1. A change of the layout changes the version; this file then tests whether the old version is read or
    /// refused.
    #[test]
    fn a_file_of_each_version_is_read_or_refused() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pool/files/pipelines-1.wgru");
        let file = std::fs::read(path).expect("it comes with the sources");
        assert_eq!(file[8..12], [1, 0, 0, 0]);
        assert_eq!(unpack(KEY, &file), Some(&b"what the driver gave"[..]));
        assert_eq!(unpack("adapter driver 2.0", &file), None);
    }
}
