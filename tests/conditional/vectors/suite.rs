//! A file of vectors, each device's results for it, and the tolerance of the file's values.

use std::fs;

use half::f16;
use serde_json::Value;
use wgru::{Device, Error};

use crate::common::everywhere;
use crate::{Found, shared};

/// The files and the number of their cases.
pub const FILES: [(&str, usize); 9] = [
    ("onnx_node_rnn_1.23.2.json", 18),
    ("ort_gru.json", 27),
    ("ngraph_lstm.json", 6),
    ("wpt_webnn_rnn.json", 56),
    ("webnn_baseline_rnn.json", 23),
    ("webnn_polyfill_gru.json", 17),
    ("keras_rnn.json", 41),
    ("torch_convention_from_rust_tests.json", 6),
    ("rtneural_torch_models.json", 2),
];

/// A file of vectors.
pub struct Suite {
    pub file: &'static str,
    pub cases: Vec<Value>,
}

impl Suite {
    /// The file. Panics if it does not hold as many cases as it should.
    pub fn open(file: &'static str) -> Found<Self> {
        let path = shared("vectors")?.join(file);
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let cases = json["tests"].as_array().expect("a list").clone();
        // The count of each file, so that a truncated file does not pass.
        let (_, count) = FILES.iter().find(|(name, _)| *name == file).expect("a known file");
        assert_eq!((cases.len(), json["count"].as_u64()), (*count, Some(*count as u64)), "{file}");
        Ok(Self { file, cases })
    }

    /// Runs every case on every device with `run` and asserts that none was left out and none failed.
    pub fn holds(&self, mut run: impl FnMut(&Value, &Device, &mut Judge) -> Result<(), Error>) {
        for device in &everywhere() {
            let mut judge = Judge::default();
            for case in &self.cases {
                judge.case = format!("{} on {}", text(&case["name"]), device.info());
                run(case, device, &mut judge).unwrap_or_else(|error| panic!("{}: {error}", judge.case));
            }
            judge.finish(&format!("{}: {} cases on {}", self.file, self.cases.len(), device.info()));
        }
    }
}

/// The tolerance of a value.
#[derive(Clone, Copy)]
pub enum Bound {
    /// `atol + rtol·|expected|`.
    Within { atol: f64, rtol: f64 },
    /// So many f32 steps from the file's value to ours, or this much: the effect on this value of rounding the
    /// numbers of the case.
    Ulp32 { ulps: u32, rounding: f64 },
    /// So many f16 steps from the file's value to ours rounded to f16.
    Ulp16(u32),
}

impl Bound {
    pub fn atol(atol: f64) -> Self {
        Self::Within { atol, rtol: 0.0 }
    }

    /// The distance and the tolerance, in the bound's unit.
    fn measure(self, got: f64, expected: f64) -> (f64, f64) {
        match self {
            Self::Within { atol, rtol } => ((got - expected).abs(), atol + rtol * expected.abs()),
            Self::Ulp32 { ulps, rounding } => {
                let place = |v: f64| place(i64::from((v as f32).abs().to_bits()), v);
                let distance = (place(got) - place(expected)).unsigned_abs() as f64;
                let within = distance <= f64::from(ulps) || rounding == 0.0;
                if within { (distance, f64::from(ulps)) } else { ((got - expected).abs(), rounding) }
            }
            Self::Ulp16(ulps) => {
                let place = |v: f64| place(i64::from(f16::from_f64(v.abs()).to_bits()), v);
                ((place(got) - place(expected)).unsigned_abs() as f64, f64::from(ulps))
            }
        }
    }
}

/// The index of `v` in the order of all floats with this many bits of magnitude; both zeros have one.
fn place(magnitude: i64, v: f64) -> i64 {
    if v < 0.0 { -magnitude } else { magnitude }
}

/// The value nearest to its bound, and its position.
#[derive(Default)]
pub struct Worst {
    share: f64,
    distance: f64,
    allowed: f64,
    error: f64,
    what: String,
}

impl std::fmt::Display for Worst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.what.is_empty() {
            return f.write_str("nothing compared");
        }
        let Self { distance, allowed, error, what, .. } = self;
        write!(f, "nearest to its bound: {distance:.3e} of {allowed:.3e}, off by {error:.3e} ({what})")
    }
}

/// Compares one device's results with the file.
#[derive(Default)]
pub struct Judge {
    case: String,
    worst: Worst,
    failures: Vec<String>,
}

impl Judge {
    /// Prints the value nearest to its bound and asserts that none exceeded it.
    pub fn finish(self, what: &str) {
        eprintln!("{what}; {}", self.worst);
        let failures = self.failures;
        assert!(failures.is_empty(), "{what}: {} failures\n{}", failures.len(), failures.join("\n"));
    }

    pub fn holds<T: Copy + Into<f64>>(&mut self, array: &str, got: &[T], expected: &[f64], bound: Bound) {
        self.each_holds(array, got, expected, |_| bound);
    }

    /// Every element within a bound of its own.
    pub fn each_holds<T: Copy + Into<f64>>(
        &mut self,
        array: &str,
        got: &[T],
        expected: &[f64],
        bound: impl Fn(usize) -> Bound,
    ) {
        let what = format!("{}: {array}", self.case);
        assert_eq!(got.len(), expected.len(), "{what}");
        for (index, (&got, &expected)) in got.iter().zip(expected).enumerate() {
            let got = got.into();
            let (distance, allowed) = bound(index).measure(got, expected);
            let share = distance / allowed;
            if share.is_nan() || share > 1.0 {
                let failure =
                    format!("{what}[{index}] is {got:e}, not {expected:e}: {distance:e} of {allowed:e}");
                self.failures.push(failure);
            }
            if share >= self.worst.share {
                let error = (got - expected).abs();
                self.worst = Worst { share, distance, allowed, error, what: what.clone() };
            }
        }
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// An array of the case in the file's precision; `None` if the file has none of the name.
pub fn numbers(array: &Value) -> Option<Vec<f64>> {
    let data = array.get("data")?.as_array().expect("a flat list");
    Some(data.iter().map(|v| v.as_f64().expect("a number")).collect())
}

/// An array of the case in f32.
pub fn floats(array: &Value) -> Option<Vec<f32>> {
    Some(numbers(array)?.into_iter().map(|v| v as f32).collect())
}

pub fn shape(array: &Value) -> Vec<usize> {
    let shape = array["shape"].as_array().expect("a shape");
    shape.iter().map(|size| size.as_u64().expect("a size") as usize).collect()
}

/// The bound of a case that gives atol, with rtol or a value of its own.
pub fn bound(tolerance: &Value) -> Bound {
    let number = |key: &str| tolerance[key].as_f64();
    let atol = number("atol").or(number("value")).expect("a tolerance");
    Bound::Within { atol, rtol: number("rtol").unwrap_or(0.0) }
}
