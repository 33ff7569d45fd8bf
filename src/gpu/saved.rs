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
//! The key names adapter and driver. A file that is not of this very layout, key and sum is as if it were not there, and
//! the next save replaces it. wgpu then holds the data against the driver once more.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::context::Context;
use crate::error::{Error, Result};
use crate::file;
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
    path: PathBuf,
    key: String,
    /// Whether pipelines were asked for since the last save.
    asked: AtomicBool,
    /// The checksum of what is in the file, where it was good.
    kept: Mutex<Option<u64>>,
}

impl Saved {
    /// What `folder` holds for the device of `context`; none where the device cannot hand its pipelines out.
    pub(super) async fn open(context: &Context, folder: &Path) -> Option<Self> {
        if !context.device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let info = context.device.adapter_info();
        let name = wgpu::util::pipeline_cache_key(&info)?;
        let key = format!("{name} {} {} {}", info.name, info.driver, info.driver_info);
        let path = folder.join(format!("{name}.wgru"));
        let (asked, file) = (AtomicBool::new(false), read(&path));
        if let Some(data) = file.as_deref().and_then(|file| unpack(&key, file)) {
            // What wgpu or the driver do not take after all is left out like any other file.
            if let Ok(cache) = create(context, Some(data)).await {
                let kept = Mutex::new(Some(checksum(&key, data)));
                return Some(Self { cache, path, key, asked, kept });
            }
        }
        let cache = create(context, None).await.ok()?;
        Some(Self { cache, path, key, asked, kept: Mutex::default() })
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
    /// [`Error::Io`] where the folder or the file cannot be written.
    pub fn save(&self) -> Result<bool> {
        // Held throughout: one save at a time.
        let mut kept = lock(&self.kept);
        if !self.asked.swap(false, Ordering::Relaxed) {
            return Ok(false);
        }
        // A device that was lost has none.
        let Some(data) = self.cache.get_data() else { return Ok(false) };
        let sum = checksum(&self.key, &data);
        if *kept == Some(sum) {
            return Ok(false);
        }
        if let Err(reason) = file::replace(&self.path, &pack(&self.key, &data)) {
            self.mark();
            return Err(Error::Io { path: self.path.display().to_string(), reason: reason.to_string() });
        }
        *kept = Some(sum);
        Ok(true)
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // Nobody is there to be told; who wants to know calls `save`.
        let _ = self.save();
    }
}

async fn create(context: &Context, data: Option<&[u8]>) -> Result<wgpu::PipelineCache> {
    let label = Some("wgru.pipelines");
    let descriptor = wgpu::PipelineCacheDescriptor { label, data, fallback: true };
    // SAFETY: data, where there is any, must have come from `PipelineCache::get_data`. It stood in a file whose head,
    // lengths, key (of this adapter and driver) and checksum are those that `pack` gives, and `pack` is called on the
    // result of `get_data` alone; that nobody else writes such files is what the caller, who names the folder, vouches
    // for (`DeviceOptions::pipeline_cache`).
    let create = || unsafe { context.device.create_pipeline_cache(&descriptor) };
    context.checked("pipeline cache", create).await
}

/// A file's bytes, where it is there and can be a good one.
fn read(path: &Path) -> Option<Vec<u8>> {
    let length = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.len();
    if length > LONGEST { None } else { fs::read(path).ok() }
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

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let base = std::env::temp_dir().join(format!("wgru-saved-{}", std::process::id()));
        let path = base.join("deep/adapter.wgru");
        for data in [&b"first"[..], b"second"] {
            file::replace(&path, data).expect("a folder that can be written");
            assert_eq!(read(&path).as_deref(), Some(data));
        }
        let names = fs::read_dir(base.join("deep")).expect("it was made").count();
        assert_eq!(names, 1);
        // A folder in the file's place, and a file in the folder's.
        assert_eq!(read(&base), None);
        assert!(file::replace(&base.join("deep"), b"x").is_err());
        assert!(file::replace(&path.join("below"), b"x").is_err());
        fs::remove_dir_all(&base).expect("it was made");
    }
}
