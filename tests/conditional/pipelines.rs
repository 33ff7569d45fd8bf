//! Compiled pipelines cached on disk across processes, where wgpu can read them from the driver.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::LazyLock;

use libtest_mimic::Trial;
use wgru::{Cell, Device, DeviceInfo, DeviceOptions, Model};

use crate::common::told::{assert_told, told};
use crate::common::{Draw, Inputs, bits, options};
use crate::{Found, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("pipelines::are_kept_on_disk", adapters, pipelines_are_kept_on_disk),
        trial("pipelines::the_last_to_go_saves", adapters, the_last_to_go_saves),
        trial("pipelines::an_invalid_file_is_ignored", adapters, an_invalid_file_is_ignored),
        #[cfg(unix)]
        trial("pipelines::that_others_can_write_are_not_used", adapters, pipelines_that_others_can_write),
        #[cfg(unix)]
        trial("pipelines::of_another_user_are_not_used", for_root, another_users_pipelines_are_not_used),
    ]
}

/// A folder that is removed when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wgru-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn options(&self) -> DeviceOptions {
        DeviceOptions::default().pipeline_cache(&self.0)
    }

    /// The one file in it.
    fn file(&self) -> PathBuf {
        let entries = fs::read_dir(&self.0).expect("the folder was made");
        let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
        assert_eq!(paths.len(), 1, "{paths:?}");
        paths[0].clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A selector for every adapter whose pipelines can be cached on disk.
fn adapters() -> Found<Vec<String>> {
    static FOUND: LazyLock<Vec<String>> = LazyLock::new(search);
    match FOUND.is_empty() {
        true => Err("no adapter whose pipelines can be kept on disk".into()),
        false => Ok(FOUND.clone()),
    }
}

fn search() -> Vec<String> {
    let folder = Folder::new("asked");
    let selectors = Device::list().unwrap().into_iter().filter_map(|info| match info {
        DeviceInfo::Gpu(info) => Some(info.caps.device.replacen(": ", ":", 1)),
        _ => None,
    });
    let has = |selector: &String| {
        let device = Device::open_with(selector, &folder.options()).unwrap();
        // An adapter without support says so and writes nothing.
        assert!(device.has_pipeline_cache() || !device.save_pipelines().unwrap());
        device.has_pipeline_cache()
    };
    let found = selectors.filter(has).collect();
    // Nothing was compiled, so nothing was written.
    assert!(!folder.0.exists());
    found
}

fn model_and_inputs() -> (Model, Inputs) {
    let mut draw = Draw::new();
    let model = draw.model(Cell::LSTM, 7, 21, 2);
    let inputs = Inputs::draw(&mut draw, &model, 5, 6);
    (model, inputs)
}

fn pipelines_are_kept_on_disk(adapters: Vec<String>) {
    let (model, inputs) = model_and_inputs();
    for selector in adapters {
        let folder = Folder::new("kept");
        let plain = Device::open(&selector).unwrap();
        assert!(!plain.has_pipeline_cache() && !plain.save_pipelines().unwrap());
        let expected = plain.load_with(&model, options()).unwrap().run(&inputs.batch()).unwrap();

        let run = |device: &Device| {
            let engine = device.load_with(&model, options()).unwrap();
            let output = engine.run(&inputs.batch()).unwrap();
            assert_eq!(bits(&output.y), bits(&expected.y), "{selector}");
        };
        let first = Device::open_with(&selector, &folder.options()).unwrap();
        run(&first);
        assert!(!folder.0.exists(), "{selector}: written unasked");
        assert!(first.save_pipelines().unwrap(), "{selector}");
        let written = fs::metadata(folder.file()).unwrap();
        eprintln!("{selector}: {} bytes", written.len());
        // Nothing new, so nothing is written, not even at the end.
        run(&first);
        assert!(!first.save_pipelines().unwrap(), "{selector}");
        drop(first);
        assert_eq!(fs::metadata(folder.file()).unwrap().modified().unwrap(), written.modified().unwrap());

        let second = Device::open_with(&selector, &folder.options()).unwrap();
        assert!(second.has_pipeline_cache());
        run(&second);
        drop(second);
        folder.file();
    }
}

fn the_last_to_go_saves(adapters: Vec<String>) {
    let (model, inputs) = model_and_inputs();
    for selector in adapters {
        let folder = Folder::new("dropped");
        let device = Device::open_with(&selector, &folder.options()).unwrap();
        let engine = device.load_with(&model, options()).unwrap();
        drop(device);
        engine.run(&inputs.batch()).unwrap();
        assert!(!folder.0.exists(), "{selector}: the engine is still there");
        drop(engine);
        assert!(fs::metadata(folder.file()).unwrap().len() > 32, "{selector}");
    }
}

/// An invalid file is never an error and never used: the next save replaces it.
fn an_invalid_file_is_ignored(adapters: Vec<String>) {
    let (model, inputs) = model_and_inputs();
    for selector in adapters {
        let folder = Folder::new("bad");
        let save = || {
            let device = Device::open_with(&selector, &folder.options()).unwrap();
            assert!(device.has_pipeline_cache(), "{selector}");
            let engine = device.load_with(&model, options()).unwrap();
            let output = engine.run(&inputs.batch()).unwrap();
            (bits(&output.y), device.save_pipelines().unwrap())
        };
        let ((expected, _), events) = told(save);
        assert!(!events.iter().any(|event| event.starts_with("WARN")), "{selector}: {events:?}");
        let path = folder.file();
        let good = fs::read(&path).unwrap();
        let flipped = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            bytes
        };
        let bad = [
            Vec::new(),
            good[..20].to_vec(),
            good[..good.len() - 1].to_vec(),
            [&good[..], &[0]].concat(),
            flipped(0),
            flipped(8),
            flipped(40),
            flipped(good.len() - 1),
            b"not a file of this kind, but long enough to have a head".to_vec(),
        ];
        for (index, bytes) in bad.iter().enumerate() {
            fs::write(&path, bytes).unwrap();
            let ((y, saved), events) = told(save);
            let named = path.display().to_string();
            assert_told(&events, "WARN wgru::device", &[&named, "ignored, and replaced by the next save"]);
            assert_eq!(y, expected, "{selector}, file {index}");
            assert!(saved, "{selector}, file {index} was taken for a good one");
            assert_eq!(fs::read(&path).unwrap()[..8], good[..8], "{selector}, file {index}");
            folder.file();
        }
        // Of another version, created by another user, or writable by others: ignored, whatever it holds.
        let mut later = good.clone();
        later[8] += 1;
        fs::write(&path, &later).unwrap();
        assert!(save().1, "{selector}: a later version was taken");
        // A path that cannot be a folder: an error from an explicit save, and nowhere else.
        let below = DeviceOptions::default().pipeline_cache(path.join("below"));
        let device = Device::open_with(&selector, &below).unwrap();
        device.load_with(&model, options()).unwrap().run(&inputs.batch()).unwrap();
        let error = device.save_pipelines().unwrap_err().to_string();
        assert!(error.contains("below"), "{error}");
        // The explicit save returned the error, so dropping the device gives no warning. Without that save, it does.
        assert_eq!(told(|| drop(device)).1, Vec::<String>::new(), "{selector}");
        let device = Device::open_with(&selector, &below).unwrap();
        device.load_with(&model, options()).unwrap().run(&inputs.batch()).unwrap();
        assert_told(&told(|| drop(device)).1, "WARN wgru::device", &["not saved", "below"]);
    }
}

/// Whether a run on a newly opened device saves pipelines in the folder.
#[cfg(unix)]
fn saved(selector: &str, folder: &Folder, model: &Model, inputs: &Inputs) -> wgru::Result<bool> {
    let device = Device::open_with(selector, &folder.options()).unwrap();
    device.load_with(model, options()).unwrap().run(&inputs.batch()).unwrap();
    device.save_pipelines()
}

/// Files that others can write are not passed to a driver: neither read nor written, and the save says what to do.
#[cfg(unix)]
fn pipelines_that_others_can_write(adapters: Vec<String>) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let (model, inputs) = model_and_inputs();
    for selector in adapters {
        let folder = Folder::new("others");
        let save = || saved(&selector, &folder, &model, &inputs);
        let set = |path: &PathBuf, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        assert!(save().unwrap());
        let path = folder.file();
        let mode = |path: &PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&folder.0), mode(&path)), (0o700, 0o600), "{selector}");
        // A file that was read is not written again.
        assert!(!save().unwrap(), "{selector}");
        for wide in [0o620, 0o606] {
            set(&path, wide);
            assert!(save().unwrap(), "{selector}: a file of mode {wide:o} was read");
            assert_eq!(mode(&path), 0o600, "{selector}");
        }
        fs::rename(&path, folder.0.join("elsewhere")).unwrap();
        symlink(folder.0.join("elsewhere"), &path).unwrap();
        assert!(save().unwrap(), "{selector}: a link was read");
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{selector}");
        fs::remove_file(folder.0.join("elsewhere")).unwrap();
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        let refused = |part: &str| {
            let error = save().unwrap_err();
            let behind = std::error::Error::source(&error).and_then(|error| error.downcast_ref());
            assert_eq!(behind.map(io::Error::kind), Some(io::ErrorKind::PermissionDenied), "{error}");
            let error = error.to_string();
            assert!(error.contains(part) && error.contains(folder.0.to_str().unwrap()), "{error}");
            assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written, "{selector}: {part}");
            folder.file();
        };
        for wide in [0o770, 0o702, 0o1777] {
            set(&folder.0, wide);
            refused("chmod go-w");
        }
        set(&folder.0, 0o700);
        assert!(!save().unwrap(), "{selector}");
    }
}

/// Adapters, if the process may give files to another user.
#[cfg(unix)]
fn for_root() -> Found<Vec<String>> {
    use std::os::unix::fs::chown;
    let folder = Folder::new("given-away");
    fs::create_dir(&folder.0).unwrap();
    match chown(&folder.0, Some(STRANGER), None) {
        Ok(()) => adapters(),
        Err(_) => Err("only root can give a file to another user".into()),
    }
}

#[cfg(unix)]
const STRANGER: u32 = 12_345;

/// Files of another user are not passed to a driver either, even if only that user may write to them.
#[cfg(unix)]
fn another_users_pipelines_are_not_used(adapters: Vec<String>) {
    use std::os::unix::fs::{MetadataExt, chown};
    let (model, inputs) = model_and_inputs();
    for selector in adapters {
        let folder = Folder::new("strangers");
        let save = || saved(&selector, &folder, &model, &inputs);
        assert!(save().unwrap());
        let path = folder.file();
        chown(&folder.0, Some(STRANGER), None).unwrap();
        let error = save().unwrap_err().to_string();
        assert!(error.contains("belongs to user 12345, and this process is user 0"), "{error}");
        chown(&folder.0, Some(0), None).unwrap();
        chown(&path, Some(STRANGER), None).unwrap();
        assert!(save().unwrap(), "{selector}: a stranger's file was read");
        assert_eq!(fs::metadata(&path).unwrap().uid(), 0, "{selector}");
        assert!(!save().unwrap(), "{selector}");
    }
}
