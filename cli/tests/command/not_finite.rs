//! States that leave the range of f32, and the command's messages about them.

use crate::common::{Folder, npy, root, safetensors, stderr, stdout, wgru_in};
use serde_json::Value;

/// Every device, as a selector.
fn selectors() -> Vec<String> {
    let output = wgru_in(root(), &["devices", "--json"]);
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let devices = list.as_array().expect("a list").iter();
    devices.map(|device| device["device"].as_str().expect("a name").replacen(": ", ":", 1)).collect()
}

/// A relu RNN of one unit whose state is 1000 times that of the previous step: 1 at first, 1e36 in step 12, and then
/// inf.
fn growing(folder: &Folder) {
    let weights: [(&str, &[usize], &[f32]); 2] =
        [("weight_ih_l0", &[1, 1], &[1.0]), ("weight_hh_l0", &[1, 1], &[1000.0])];
    let mut x = vec![0.0; 2 * 20];
    x[20] = 1.0;
    folder.write("m.safetensors", safetensors(&weights)).write("x.npy", npy(&[2, 20, 1], &x));
}

const RUN: [&str; 6] = ["run", "m.safetensors", "--input", "x.npy", "--cell", "rnn-relu"];

#[test]
fn a_state_that_leaves_the_range_is_reported() {
    let folder = Folder::new("not-finite");
    growing(&folder);
    for device in selectors() {
        let args = [&RUN[..], &["--device", &device, "--output", "out.npz", "--verify"]].concat();
        let output = folder.wgru(&args);
        let text = stderr(&output);
        // In f64 the state is finite, beyond the range of f32: infinity is then the right f32.
        assert!(output.status.success(), "{device}: {text}");
        let y = "y holds 7 numbers that are not finite, first inf at [1, 13, 0] (row, step, feature)";
        assert!(text.contains(y), "{device}: {text}");
        let h = "h_n holds 1 number that is not finite, first inf at [0, 1, 0] (state, row, feature)";
        assert!(text.contains(h) && text.contains("the range of f32"), "{device}: {text}");
        let output = folder.wgru(&[&RUN[..], &["--device", &device, "--json"]].concat());
        let json: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        assert_eq!(json["not_finite"]["y"], 7, "{device}: {json}");
    }
}

/// If f64 has a finite number that f32 cannot reach, the verification fails and gives the position.
#[test]
fn what_f32_cannot_compute_fails_the_verification() {
    let folder = Folder::new("not-finite-verify");
    // The second unit is 1000 times the difference of both: 0 in every other step, including those where f32 has the
    // difference of two infinities.
    let w_hh = [1000.0, 0.0, 1000.0, -1000.0];
    let weights: [(&str, &[usize], &[f32]); 2] =
        [("weight_ih_l0", &[2, 1], &[1.0, 1.0]), ("weight_hh_l0", &[2, 2], &w_hh)];
    let mut x = vec![0.0; 20];
    x[0] = 1.0;
    folder.write("m.safetensors", safetensors(&weights)).write("x.npy", npy(&[1, 20, 1], &x));
    for device in selectors().iter().filter(|device| *device != "reference") {
        let output = folder.wgru(&[&RUN[..], &["--device", device, "--verify"]].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{device}: {text}");
        assert!(
            text.contains(
                "not finite where the reference is; the first, at [0, 13, 1] (row, step, feature), is "
            ),
            "{device}: {text}"
        );
        assert!(text.contains(", expected 0.0"), "{device}: {text}");
    }
}
