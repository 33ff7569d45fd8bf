//! Compiled pipelines on disk: one file for each adapter, in a folder that the caller names.
//!
//! A file is read when a device is opened and written, beside and then renamed, when there is something new to keep.
//! It holds what the driver gave, after a head of 32 bytes and the key; numbers are little-endian:
//!
//! | bytes | |
//! |---|---|
//! | 8 | `wgrupipe` |
//! | 4 | the version of this layout |
//! | 4 | the length of the key |
//! | 8 | the length of the data |
//! | 8 | a checksum of key and data |
//!
//! The key names adapter and driver. A file of another version, key or sum is ignored, and the next save replaces it. wgpu then
//! holds the data against the driver once more.
//!
//! A driver runs what the file holds, and neither the checksum nor the driver finds malice. So a file is read and written only
//! where nobody but this user and root can have written it: [`own::check_folder`] and [`own::read`] say how that is
//! told. What is made here is for this user alone, with modes 0700 and 0600.

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
/// Bytes of a file that is read, at the most: far more than all kernels take, and no more than a host can spare.
const LONGEST: u64 = 256 << 20;

/// The pipelines of a device that are kept on disk.
#[derive(Debug)]
pub struct Saved {
    cache: wgpu::PipelineCache,
    folder: PathBuf,
    path: PathBuf,
    key: String,
    /// Whether pipelines were asked for since the last save.
    asked: AtomicBool,
    /// Whether a caller was told why a save failed.
    told: AtomicBool,
    /// The checksum of what is in the file, where it was good.
    kept: Mutex<Option<u64>>,
}

impl Saved {
    /// What `folder` holds for the device of `context`; none where the device cannot hand its pipelines out.
    pub(super) fn open(context: &Context, folder: &Path) -> Option<Self> {
        if !context.device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let info = context.device.adapter_info();
        let name = wgpu::util::pipeline_cache_key(&info)?;
        let key = format!("{name} {} {} {}", info.name, info.driver, info.driver_info);
        let (folder, path) = (folder.to_owned(), folder.join(format!("{name}.wgru")));
        // Of a folder that cannot be used the next save tells the reason.
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
            // What wgpu or the driver do not take after all is left out like any other file.
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

    /// A pipeline was made with the cache.
    pub(super) fn mark(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Writes the file where there is something new; whether there was.
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
            let reason = format!("no compiled kernels are read from this folder or kept in it: {error}");
            return Err(Error::io(self.folder.display(), io::Error::new(error.kind(), reason)));
        }
        if !self.asked.swap(false, Ordering::Relaxed) {
            return Ok(false);
        }
        // A device that was lost has none.
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
        // Nobody is there to be told, unless by the log; who wants to know calls `save`.
        if let Err(error) = self.save_quietly()
            && !self.told.load(Ordering::Relaxed)
        {
            log::warn!(target: "wgru::device", "compiled kernels are not kept: {error}");
        }
    }
}

fn create(context: &Context, data: Option<&[u8]>) -> Result<wgpu::PipelineCache> {
    let label = Some("wgru.pipelines");
    let descriptor = wgpu::PipelineCacheDescriptor { label, data, fallback: true };
    // SAFETY: data, where there is any, must have come from `PipelineCache::get_data`. It stood in a file whose head,
    // lengths, key (of this adapter and driver) and checksum are those that `pack` gives, and `pack` is called on the
    // result of `get_data` alone. On unix nobody but this user and root can have written the file: `open` has checked owner
    // and mode of the folder and, once it was opened, of the file. Elsewhere the caller, who names the folder, vouches for it
    // (`DeviceOptions::pipeline_cache`).
    let create = || unsafe { context.device.create_pipeline_cache(&descriptor) };
    context.checked("pipeline cache", create)
}

/// A file of `data`.
fn pack(key: &str, data: &[u8]) -> Vec<u8> {
    let mut file = head(key, data);
    file.extend(data);
    file
}

/// The data of a file that [`pack`] made for `key`; none of any other.
fn unpack<'a>(key: &str, file: &'a [u8]) -> Option<&'a [u8]> {
    let (start, data) = file.split_at_checked(HEAD + key.len())?;
    (start == head(key, data)).then_some(data)
}

/// What stands before `data`: the head and the key.
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

/// FNV-1a of 64 bits: it finds damage, and keeps no secret.
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
    fn what_was_packed_comes_back() {
        for data in [&b""[..], b"x", &[0xa5; 1000]] {
            let file = pack(KEY, data);
            assert_eq!(file.len(), HEAD + KEY.len() + data.len());
            assert_eq!(unpack(KEY, &file), Some(data));
        }
    }

    #[test]
    fn any_other_file_is_none() {
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
        // A later layout: the same but for its number.
        let mut later = file.clone();
        later[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
        assert_eq!(unpack(KEY, &later), None);
    }

    /// A file that was written by version 1. Another layout takes another version, and this one is read or refused by it.
    #[test]
    fn a_file_of_each_version_is_read_or_refused() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pool/files/pipelines-1.wgru");
        let file = std::fs::read(path).expect("it comes with the sources");
        assert_eq!(file[8..12], [1, 0, 0, 0]);
        assert_eq!(unpack(KEY, &file), Some(&b"what the driver gave"[..]));
        assert_eq!(unpack("adapter driver 2.0", &file), None);
    }
}
