//! Real layers of published models on their real inputs, against the results of ONNX Runtime: on the reference, the
//! CPU path and every adapter.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use safetensors::SafeTensors;
use wgru::import::{Onnx, OnnxGraph};
use wgru::{Batch, Device, Error, Layout, Output};

use crate::common::{everywhere, options};
use crate::{shared, trial};

/// The tolerance of the case: this share of the largest value, or ten times ONNX Runtime's own error.
const FLOOR: f64 = 2e-5;

struct Case {
    name: String,
    imported: OnnxGraph,
    /// `[T, B, I]`.
    shape: [usize; 3],
    x: Vec<f32>,
    h0: Option<Vec<f32>>,
    c0: Option<Vec<f32>>,
    lengths: Option<Vec<u32>>,
    /// Y as `[T, D, B, H]`, Y_h and Y_c as `[D, B, H]`, with their tolerances.
    expected: Vec<(&'static str, Vec<f32>, f64)>,
}

pub fn trials() -> Vec<Trial> {
    vec![trial(
        "published::cases::real_layers_give_the_numbers_of_their_own_engine",
        || shared("cases"),
        real_layers,
    )]
}

/// The cases with a model.
pub fn folders(cases: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cases).expect("a folder");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let mut folders: Vec<PathBuf> = paths.filter(|path| path.join("model.onnx").is_file()).collect();
    folders.sort();
    assert!(folders.len() > 20, "only {} cases", folders.len());
    folders
}

fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
}

/// The number after `"key":` in the object after `"max_abs_ort_vs_f64":`, 0 if there is none.
fn runtime_error(json: &str, key: &str) -> f64 {
    let object = json.split("\"max_abs_ort_vs_f64\"").nth(1).and_then(|rest| rest.split('}').next());
    let number = object.and_then(|object| object.split(&format!("\"{key}\":")).nth(1));
    let number = number.and_then(|rest| rest.split(',').next()).map(|text| text.trim().parse());
    number.map_or(0.0, |number| number.expect("a number"))
}

impl Case {
    fn read(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().expect("a folder").to_string_lossy().into_owned();
        let imported = Onnx::new().read_graph(path.join("model.onnx"))?;
        let bytes = fs::read(path.join("io.safetensors")).expect("inputs and outputs");
        let json = fs::read_to_string(path.join("case.json")).expect("a description");
        let io = SafeTensors::deserialize(&bytes).expect("a whole file");
        let array = |name: &str| io.tensor(name).ok().map(|tensor| f32s(tensor.data()));
        let shape: [usize; 3] = io.tensor("X").expect("X").shape().try_into().expect("three dimensions");
        let lengths = io.tensor("sequence_lens").ok().map(|tensor| {
            let bytes = tensor.data().chunks_exact(4);
            bytes.map(|b| u32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
        });
        let expected = ["Y", "Y_h", "Y_c"]
            .into_iter()
            .filter_map(|key| array(key).map(|data| (key, data)))
            .map(|(key, data)| {
                let largest = data.iter().fold(1.0f64, |all, v| all.max(f64::from(v.abs())));
                let allowed = (FLOOR * largest).max(10.0 * runtime_error(&json, key));
                (key, data, allowed)
            })
            .collect();
        Ok(Self {
            x: array("X").expect("X"),
            h0: array("initial_h"),
            c0: array("initial_c"),
            name,
            imported,
            shape,
            lengths,
            expected,
        })
    }

    fn holds(&self, device: &Device) {
        // The operator's own layouts, in and out.
        let inputs = Batch::time_major(&self.x, self.shape).expect("x fits");
        let mut inputs = inputs.output_layout(Layout::DirectionMajor);
        if let Some(h0) = &self.h0 {
            inputs = inputs.h0(h0);
        }
        if let Some(c0) = &self.c0 {
            inputs = inputs.c0(c0);
        }
        if let Some(lengths) = &self.lengths {
            inputs = inputs.lengths(lengths);
        }
        let engine = device.load_with(&self.imported.model, options()).expect("the model fits");
        let Output { y, h_n, c_n, .. } = engine.run(&inputs).expect("the case runs");
        for (key, expected, allowed) in &self.expected {
            let got = match *key {
                "Y" => &y,
                "Y_h" => &h_n,
                _ => c_n.as_ref().expect("an LSTM's"),
            };
            assert_eq!(got.len(), expected.len(), "{}: {key} on {}", self.name, device.info());
            let errors = got.iter().zip(expected).map(|(a, b)| f64::from(a - b).abs());
            let error = errors.fold(0.0, |all: f64, e| if e.is_nan() { f64::INFINITY } else { all.max(e) });
            let info = device.info();
            assert!(
                error <= *allowed,
                "{}: {key} on {info}: off by {error:e}, {allowed:e} allowed",
                self.name
            );
        }
    }
}

fn real_layers(cases: PathBuf) {
    let (folders, devices) = (folders(&cases), everywhere());
    for folder in &folders {
        let case = Case::read(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for device in &devices {
            case.holds(device);
        }
    }
    eprintln!("{} cases hold on {} devices", folders.len(), devices.len());
}
