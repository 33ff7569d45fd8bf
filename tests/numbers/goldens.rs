//! Golden numbers of PyTorch, ONNX Runtime, Keras and the bare equations, for features that no public vector covers,
//! on the reference, the CPU path and every adapter. Scripts and numbers are in `tests/goldens`.
//!
//! ```text
//! pytorch      H beyond 32 and 64, projections, ragged stacks both ways, c_n large, f16 and bf16
//! onnxruntime  clip, hard sigmoid, activations per direction, peepholes, input_forget, reset before with initial_h,
//!              lengths with 0
//! keras        masks that repeat, masks both ways (where Keras has 0), from initial states; reset before with one bias, hard sigmoid
//!              of Keras, go_backwards
//! equations    state clip, one bias on either side, f = 1 − i in stacks, update takes with options
//! ```

use crate::common::everywhere;
use crate::golden::{Golden, Made};
use wgru::dtype::Precision;
use wgru::reference::{self, Tolerance, compare};
use wgru::{Device, DeviceInfo, Output};

/// The difference between two f64 implementations: another reduction order, another `exp`.
const AGREEMENT: f64 = 1e-12;

/// Compares the reference, the CPU path and every adapter with goldens.
fn hold(goldens: &[Golden]) {
    for golden in goldens {
        agree(golden);
    }
    let devices = everywhere();
    for device in &devices {
        let mut nearest = (0.0, String::from("nothing compared"));
        for golden in goldens.iter().filter(|golden| runs(golden, device)) {
            let output = golden.run(device).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
            for comparison in golden.judge(device, &output) {
                let what = format!(
                    "{}: {} is off by {:.2e}, allowed {:.2e}",
                    golden.name, comparison.array, comparison.error, comparison.tolerance
                );
                assert!(comparison.passes(), "{}: {what}", device.info());
                let share = comparison.error / comparison.tolerance;
                if share >= nearest.0 {
                    nearest = (share, what);
                }
            }
        }
        println!("{} goldens on {}; nearest to its bound: {}", goldens.len(), device.info(), nearest.1);
    }
}

/// The reference does not round, so rounded results are no golden for it.
fn runs(golden: &Golden, device: &Device) -> bool {
    golden.made != Made::Rounded || device.info() != DeviceInfo::Reference
}

/// Compares the reference, in f64, with a golden.
fn agree(golden: &Golden) {
    let truth = reference::run(&golden.model, &golden.batch()).expect("the reference runs");
    let expected = &golden.expected;
    let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    match golden.made {
        Made::F64 => {
            for (name, expected, got) in arrays(expected, &truth) {
                assert_eq!(expected.len(), got.len(), "{}: length of {name}", golden.name);
                let largest = expected.iter().fold(1.0, |all: f64, v| all.max(v.abs()));
                for (i, (expected, got)) in expected.iter().zip(got).enumerate() {
                    let error = (expected - got).abs();
                    let what = format!("{}: {name}[{i}] is {got}, expected {expected}", golden.name);
                    assert!(error <= AGREEMENT * largest, "{what}");
                }
            }
        }
        _ => {
            let got = Output {
                y: narrow(&truth.y),
                h_n: narrow(&truth.h_n),
                c_n: truth.c_n.as_deref().map(narrow),
                out: None,
            };
            let tolerance = Tolerance::stored(&golden.model, &golden.batch(), golden.precision);
            for comparison in compare(expected, &got, tolerance) {
                assert!(comparison.passes(), "{} on the reference: {comparison:?}", golden.name);
            }
        }
    }
}

fn arrays<'a>(a: &'a Output<f64>, b: &'a Output<f64>) -> Vec<(&'static str, &'a [f64], &'a [f64])> {
    let c = |output: &'a Output<f64>| output.c_n.as_deref().unwrap_or_default();
    vec![("y", &a.y, &b.y), ("h_n", &a.h_n, &b.h_n), ("c_n", c(a), c(b))]
}

#[test]
fn pytorch() {
    let goldens = crate::cases::pytorch();
    assert_eq!(goldens.len(), 22);
    assert_eq!(goldens.iter().filter(|golden| golden.precision != Precision::default()).count(), 10);
    assert!(goldens.iter().any(|golden| golden.model.hidden() > 64));
    hold(&goldens);
}

#[test]
fn onnx_runtime() {
    let goldens = crate::cases::onnx_runtime();
    assert_eq!(goldens.len(), 21);
    hold(&goldens);
}

#[test]
fn keras() {
    let goldens = crate::cases::keras();
    assert_eq!(goldens.len(), 11);
    hold(&goldens);
}

#[test]
fn equations() {
    let goldens = crate::cases::equations();
    assert_eq!(goldens.len(), 8);
    hold(&goldens);
}
