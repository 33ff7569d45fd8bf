//! Shared by both suites of the command: running it, and folders with files to run it on.

#![allow(dead_code, reason = "each suite uses a part")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray_npy::WriteNpyExt;
use safetensors::tensor::{Dtype, TensorView};

/// The repository's root, where the README's commands are run.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("cli lies in the root")
}

/// Runs `wgru` in `folder`.
pub fn wgru_in(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wgru"))
        .args(args)
        .current_dir(folder)
        .env_remove("XDG_RUNTIME_DIR")
        .output()
        .expect("the command starts")
}

/// [`wgru_in`] with Mesa's cache of compiled kernels turned off.
pub fn wgru_uncached(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wgru"))
        .args(args)
        .current_dir(folder)
        .env("MESA_SHADER_CACHE_DISABLE", "true")
        .output()
        .expect("the command starts")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder that is removed when the value is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wgru-test-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary folder can be written to");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        fs::write(self.0.join(name), bytes).expect("the temporary folder can be written to");
        self
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Runs `wgru` in this folder.
    pub fn wgru(&self, args: &[&str]) -> Output {
        wgru_in(&self.0, args)
    }

    /// The names of everything in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the folder is there");
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..len).map(|_| rng.f32() - 0.5).collect()
}

/// A safetensors file of f32 arrays.
pub fn safetensors(arrays: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> =
        arrays.iter().map(|(_, _, data)| data.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views: HashMap<&str, TensorView<'_>> = arrays
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).expect("the shape fits"))
        })
        .collect();
    safetensors::serialize(views, None).expect("the file can be made")
}

/// One layer of `gates` gates, and a Linear named head of 2 outputs.
pub fn model(gates: usize, input: usize, hidden: usize) -> Vec<u8> {
    let rows = gates * hidden;
    safetensors(&[
        ("rnn.weight_ih_l0", &[rows, input], &values(1, rows * input)),
        ("rnn.weight_hh_l0", &[rows, hidden], &values(2, rows * hidden)),
        ("rnn.bias_ih_l0", &[rows], &values(3, rows)),
        ("rnn.bias_hh_l0", &[rows], &values(4, rows)),
        ("head.weight", &[2, hidden], &values(5, 2 * hidden)),
        ("head.bias", &[2], &values(6, 2)),
    ])
}

/// An `.npy` of f32.
pub fn npy(shape: &[usize], data: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let view = ndarray::ArrayViewD::from_shape(shape, data).expect("the shape fits");
    view.write_npy(&mut bytes).expect("memory can be written to");
    bytes
}

/// An `.npz` of `.npy` members.
pub fn npz(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    use std::io::Write;
    let mut archive = zip::write::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in members {
        archive.start_file(format!("{name}.npy"), options).expect("a member");
        archive.write_all(bytes).expect("its bytes");
    }
    archive.finish().expect("the archive").into_inner()
}
