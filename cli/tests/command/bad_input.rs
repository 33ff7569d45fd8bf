//! Bad input: one clear error that names the cause, exit status 2, no panic, no incomplete output file.

use std::fs;

use crate::common::{Folder, model, npy, npz, safetensors, stderr, values};

/// Runs in a folder with a valid GRU (I = 2, H = 4) and valid inputs, and expects exit status 2, one line on stderr
/// that contains every word, and no new file.
fn refused(folder: &Folder, args: &[&str], words: &[&str]) {
    let before = folder.names();
    let output = folder.wgru(args);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    // For a pickle: its kind and two lines of Python that convert it, each on a line of its own.
    let lines = if text.contains("\npython -c ") { 4 } else { 1 };
    assert_eq!(text.trim_end().lines().count(), lines, "{args:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{args:?}: \"{word}\" in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    assert!(text.len() <= 2048, "{args:?}: {} bytes: {text}", text.len());
    for of_debug in ["Some(", "None", "Opaque", " { "] {
        assert!(!text.contains(of_debug), "{args:?}: {text}");
    }
    assert_eq!(folder.names(), before, "{args:?} left a file behind");
}

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("m.safetensors", model(3, 2, 4)).write("x.npy", npy(&[1, 3, 2], &values(9, 6)));
    folder
}

const RUN: [&str; 6] = ["run", "m.safetensors", "--input", "x.npy", "--device", "cpu"];

#[test]
fn files_that_are_not_models() {
    let folder = folder("models");
    let good = model(3, 2, 4);
    let run = |model: &'static str| ["run", model, "--input", "x.npy", "--output", "y.npz"];
    folder.write("short.safetensors", &good[..good.len() - 5]);
    refused(&folder, &run("short.safetensors"), &["short.safetensors", "not a readable safetensors file"]);
    let mut lying = good.clone();
    lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    folder.write("lying.safetensors", &lying);
    refused(&folder, &run("lying.safetensors"), &["lying.safetensors"]);
    refused(&folder, &run("absent.safetensors"), &["absent.safetensors", "os error 2"]);
    folder.write("m.pt", "PK");
    refused(&folder, &run("m.pt"), &["m.pt", "python -c", "torch.load('m.pt'", "'m.safetensors')"]);
    folder.write("m.h5", "HDF");
    refused(&folder, &run("m.h5"), &["m.h5"]);
    folder.write("m.tflite", "TFL3");
    refused(&folder, &run("m.tflite"), &["m.tflite", "of several), .onnx, .h5 or .keras"]);

    let (w_ih, w_hh) = (values(1, 24), values(2, 48));
    let wrong = safetensors(&[("weight_ih_l0", &[12, 2], &w_ih), ("weight_hh_l0", &[16, 3], &w_hh)]);
    folder.write("shape.safetensors", wrong);
    refused(&folder, &run("shape.safetensors"), &["weight_hh_l0", "[16, 3]"]);
    folder.write("missing.safetensors", safetensors(&[("weight_ih_l0", &[12, 2], &w_ih)]));
    refused(&folder, &run("missing.safetensors"), &["weight_hh_l0", "no such tensor"]);
    let mut nan = w_hh.clone();
    nan[7] = f32::NAN;
    let broken = safetensors(&[("weight_ih_l0", &[12, 2], &w_ih), ("weight_hh_l0", &[12, 4], &nan)]);
    folder.write("nan.safetensors", broken);
    refused(&folder, &run("nan.safetensors"), &["weight_hh_l0", "element [1, 3] of [12, 4] is NaN"]);
    let (upper_ih, upper_hh) = (values(3, 64), values(4, 64));
    let mixed = safetensors(&[
        ("weight_ih_l0", &[12, 2], &w_ih),
        ("weight_hh_l0", &[12, 4], &w_hh),
        ("weight_ih_l1", &[16, 4], &upper_ih),
        ("weight_hh_l1", &[16, 4], &upper_hh),
    ]);
    folder.write("mixed.safetensors", mixed);
    refused(&folder, &run("mixed.safetensors"), &["weight_ih_l1", "[12, 4]", "[16, 4]"]);
}

#[test]
fn options_that_do_not_fit_the_model() {
    let folder = folder("options");
    let with = |options: &[&'static str]| [&RUN[..], options].concat();
    refused(&folder, &with(&["--cell", "lstm"]), &["rnn.weight_hh_l0", "[16, 4]", "[12, 4]"]);
    refused(&folder, &with(&["--cell", "rnn", "--reset", "before"]), &["--reset"]);
    refused(&folder, &with(&["--prefix", "other."]), &["other.weight_ih_l0"]);
    refused(&folder, &with(&["--readout", "tail"]), &["tail.weight", "no such tensor"]);
    refused(&folder, &with(&["--readout-at", "last"]), &["--readout"]);
    refused(
        &folder,
        &with(&["--readout-activation", "softmax"]),
        &["--readout-activation", "needs --readout"],
    );
    // The parser lists what there is on lines of its own.
    let unknown = folder.wgru(&with(&["--readout-activation", "gelu"]));
    assert_eq!(unknown.status.code(), Some(2));
    assert!(["gelu", "log_softmax"].iter().all(|word| stderr(&unknown).contains(word)), "{unknown:?}");
    refused(&folder, &with(&["--window", "3"]), &["--window", ".csv"]);
    refused(&folder, &with(&["--output", "y.txt"]), &["y.txt", ".npz or .safetensors"]);
    refused(&folder, &with(&["--output", "none/y.npz"]), &["none/y.npz", "does not exist"]);
    fs::create_dir(folder.path().join("folder.npz")).unwrap();
    refused(&folder, &with(&["--output", "folder.npz"]), &["folder.npz", "directory"]);
    folder.write("empty.npz", "").write("empty.safetensors", "");
    refused(&folder, &["run", "m.safetensors", "--input", "empty.npz"], &["empty.npz", "the file is empty"]);
    refused(
        &folder,
        &["run", "empty.safetensors", "--input", "x.npy"],
        &["empty.safetensors", "the file is empty"],
    );
    refused(&folder, &["explain", "gru-b1"], &["gru-b1", "gru-b16-t100-i256-h256"]);
}

/// Files that are read are never overwritten, under any name.
#[test]
fn outputs_that_are_inputs() {
    let folder = folder("overwriting");
    let x = npy(&[1, 3, 2], &values(9, 6));
    folder.write("x.npz", npz(&[("x", x)]));
    let at = |name: &str| folder.path().join(name);
    fs::hard_link(at("x.npz"), at("hard.npz")).unwrap();
    fs::hard_link(at("m.safetensors"), at("other.safetensors")).unwrap();
    let outputs = ["x.npz", "./x.npz", "hard.npz", "m.safetensors", "other.safetensors"];
    #[cfg(unix)]
    let outputs = {
        std::os::unix::fs::symlink("x.npz", at("soft.npz")).unwrap();
        std::os::unix::fs::symlink("m.safetensors", at("soft.safetensors")).unwrap();
        [&outputs[..], &["soft.npz", "soft.safetensors"]].concat()
    };
    let before = [fs::read(at("x.npz")).unwrap(), fs::read(at("m.safetensors")).unwrap()];
    for output in outputs {
        let run = ["run", "m.safetensors", "--input", "x.npz", "--device", "cpu", "--output", output];
        refused(&folder, &run, &[output, "is the same file as"]);
        if output.ends_with("safetensors") {
            refused(&folder, &["export", "m.safetensors", output], &[output, "is the same file as"]);
        }
    }
    assert_eq!(before, [fs::read(at("x.npz")).unwrap(), fs::read(at("m.safetensors")).unwrap()]);
    let bench =
        ["bench", "--case", "gru-b1-t9-i2-h2", "--device", "cpu", "--csv", "r.csv", "--html", "r.csv"];
    refused(&folder, &bench, &["r.csv", "is the same file as"]);
    fs::create_dir(at("parts")).unwrap();
    fs::write(at("parts/a.safetensors"), &before[1]).unwrap();
    fs::write(at("parts/m.safetensors.index.json"), r#"{"weight_map": {"w": "a.safetensors"}}"#).unwrap();
    for model in ["parts", "parts/m.safetensors.index.json"] {
        let args = ["run", model, "--input", "x.npz", "--output", "parts/a.safetensors"];
        refused(&folder, &args, &["parts/a.safetensors", "is the same file as"]);
    }
    // A folder as downloaded from a hub: one file of weights, and a configuration that is not an index.
    fs::create_dir(at("whole")).unwrap();
    fs::write(at("whole/model.safetensors"), &before[1]).unwrap();
    fs::write(at("whole/config.json"), r#"{"model_type": "gru"}"#).unwrap();
    let own = "whole/model.safetensors";
    refused(&folder, &["run", "whole", "--input", "x.npz", "--output", own], &[own, "is the same file as"]);
    refused(&folder, &["export", "whole", own], &[own, "is the same file as"]);
    let tune = ["tune", "--output", "t.txt", "--csv", "t.txt"];
    refused(&folder, &tune, &["t.txt", "is the same file as"]);
}

#[test]
fn impossible_exports() {
    let folder = folder("exports");
    refused(&folder, &["export", "m.safetensors", "out.pt"], &["out.pt", ".safetensors or .onnx"]);
    refused(&folder, &["export", "m.safetensors", "none/out.onnx"], &["none/out.onnx", "does not exist"]);
    refused(&folder, &["export", "absent.safetensors", "out.onnx"], &["absent.safetensors", "os error 2"]);
    refused(&folder, &["export", "m.pt", "out.onnx"], &["m.pt"]);
    let with = |options: &[&'static str]| [&["export", "m.safetensors", "out.safetensors"], options].concat();
    refused(&folder, &with(&["--reset", "before"]), &["layer 0", "nn.GRU has no reset before"]);
    refused(&folder, &with(&["--node", "gru"]), &["--node", ".onnx"]);
    refused(&folder, &with(&["--with-states"]), &["--with-states", ".onnx"]);
    let onnx = ["export", "m.safetensors", "out.onnx", "--with-lengths", "--readout", "head"];
    refused(&folder, &onnx, &["lengths", "last step"]);
}

#[test]
fn options_that_do_not_fit_a_keras_model() {
    let folder = folder("keras-options");
    folder.write("stack.keras", include_bytes!("../../../tests/goldens/keras/stack.keras"));
    folder.write("w.weights.h5", include_bytes!("../../../tests/goldens/keras/stack.weights.h5"));
    let keras = |options: &[&'static str]| [&["run", "stack.keras", "--input", "x.npy"], options].concat();
    refused(&folder, &keras(&[]), &["first: LSTM forward [3→4]", "second: LSTM forward [4→4]"]);
    refused(&folder, &keras(&["--layer", "third"]), &["third", "found 2"]);
    refused(&folder, &keras(&["--cell", "lstm"]), &["--cell", "Keras"]);
    refused(&folder, &keras(&["--node", "first"]), &["--node", ".onnx"]);
    refused(&folder, &keras(&["--layer", "first", "--readout-without-activation"]), &["needs --readout"]);
    refused(&folder, &keras(&["--layer", "first", "--readout-at", "last"]), &["needs --readout"]);
    refused(&folder, &keras(&["--readout-activation", "tanh"]), &["--readout-activation", "Keras"]);
    refused(&folder, &keras(&["--layer", "first", "--config", "none.json"]), &["none.json"]);
    refused(&folder, &["run", "w.weights.h5", "--input", "x.npy"], &["w.weights.h5", "configuration"]);
    for option in [["--layer", "a"], ["--config", "a"], ["--keras-version", "2"]] {
        refused(&folder, &[&RUN[..], &option].concat(), &[option[0], "Keras"]);
    }
}

#[test]
fn missing_devices() {
    let folder = folder("devices");
    let run = ["run", "m.safetensors", "--input", "x.npy", "--output", "y.npz", "--device"];
    let on = |device: &'static str| [&run[..], &[device]].concat();
    refused(&folder, &on("voodoo"), &["no device matches \"voodoo\"", "found: auto, cpu, reference, "]);
    refused(&folder, &on("vulkan:voodoo"), &["vulkan:voodoo", "found:"]);
}

#[test]
fn arrays_that_do_not_fit() {
    let folder = folder("arrays");
    let run = |input: &'static str| ["run", "m.safetensors", "--input", input, "--output", "y.npz"];
    let x = || ("x", npy(&[1, 3, 2], &values(9, 6)));
    folder.write("wide.npy", npy(&[1, 2, 3], &values(9, 6)));
    folder.write("lstm.safetensors", model(4, 2, 4));
    let lstm = ["run", "lstm.safetensors", "--input", "x.npy", "--reset", "before"];
    refused(&folder, &lstm, &["--reset, --update", "are for a GRU", "rnn.weight_hh_l0"]);
    refused(&folder, &run("wide.npy"), &["wide.npy: x [1, 2, 3] has 3 features, the model reads 2"]);
    folder.write("flat.npy", npy(&[3, 2], &values(9, 6)));
    refused(&folder, &run("flat.npy"), &["expected 3 dimensions", "[3, 2]", "[1, 3, 2]"]);
    for (name, shape) in [("b0", [0, 3, 2]), ("t0", [1, 0, 2]), ("i0", [1, 3, 0])] {
        let file = format!("{name}.npy");
        folder.write(&file, npy(&shape, &[]));
        let args = ["run", "m.safetensors", "--input", &file, "--output", "y.npz"];
        refused(&folder, &args, &["must be at least 1, got 0"]);
    }
    folder.write("state.npz", npz(&[x(), ("h0", npy(&[1, 1, 5], &values(1, 5)))]));
    refused(&folder, &run("state.npz"), &["h0", "[1, 1, 4]", "[1, 1, 5]"]);
    folder.write("cell.npz", npz(&[x(), ("c0", npy(&[1, 1, 4], &values(1, 4)))]));
    refused(&folder, &run("cell.npz"), &["c0", "no cell state"]);
    folder.write("more.npz", npz(&[x(), ("steps", npy(&[1], &[3.0]))]));
    refused(&folder, &run("more.npz"), &["\"steps\""]);
    folder.write("nan.npz", npz(&[("x", npy(&[1, 3, 2], &[0.0, 1.0, f32::NAN, 0.0, 0.0, 0.0]))]));
    refused(&folder, &run("nan.npz"), &["element [0, 1, 0] of [1, 3, 2] is NaN"]);
    folder.write("half.npz", npz(&[x(), ("lengths", npy(&[1], &[2.5]))]));
    refused(&folder, &run("half.npz"), &["lengths: element 0 is 2.5"]);
    folder.write("long.npz", npz(&[x(), ("lengths", npy(&[1], &[4.0]))]));
    refused(&folder, &run("long.npz"), &["sequence 0 has 4 steps, x has 3"]);
    folder.write("two.npz", npz(&[x(), ("lengths", npy(&[2], &[3.0, 1.0]))]));
    refused(&folder, &run("two.npz"), &["lengths: expected [1], got [2]"]);
    folder.write("none.npz", npz(&[("h0", npy(&[1, 1, 4], &values(1, 4)))]));
    refused(&folder, &run("none.npz"), &["no array \"x\"; the file has h0"]);
    folder.write("state-nan.npz", npz(&[x(), ("h0", npy(&[1, 1, 4], &[0.0, 0.0, f32::NAN, 0.0]))]));
    refused(&folder, &run("state-nan.npz"), &["h0: element [0, 0, 2] of [1, 1, 4] is NaN"]);

    let good = npy(&[1, 3, 2], &values(9, 6));
    folder.write("short.npy", &good[..good.len() - 3]);
    refused(
        &folder,
        &run("short.npy"),
        &["short.npy", "[1, 3, 2] of float32 takes 24 bytes, the file has 21"],
    );
    for (descriptor, words) in
        [("<c8", "complex numbers <c8"), ("|O8", "Python objects |O8"), ("<U1", "text <U1")]
    {
        let mut other = good.clone();
        let at = other.windows(3).position(|bytes| bytes == b"<f4").expect("the type stands in the header");
        other[at..at + 3].copy_from_slice(descriptor.as_bytes());
        folder.write("other.npy", other);
        refused(&folder, &run("other.npy"), &["other.npy", words, "expected floats of 16, 32 or 64 bits"]);
    }
    folder.write("junk.npz", "this is no archive");
    refused(&folder, &run("junk.npz"), &["junk.npz", "not a readable .npz"]);
    folder.write("x.txt", "1 2 3");
    refused(&folder, &run("x.txt"), &["x.txt", "ending .txt", "expected .npz, .npy, .npy.gz"]);
    refused(&folder, &run("absent.npy"), &["absent.npy", "os error 2"]);

    // Headers that claim more than any memory holds, over six numbers: one product overflows, one does not.
    for size in [4_611_686_018_427_387_904u64, 100_000_000_000] {
        let text =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': (1, {size}, {}), }}\n", size.min(4));
        let mut huge = b"\x93NUMPY\x01\x00".to_vec();
        huge.extend((text.len() as u16).to_le_bytes());
        huge.extend(text.bytes());
        huge.extend([0; 24]);
        folder.write("huge.npy", huge);
        refused(&folder, &run("huge.npy"), &["huge.npy", "of float32 takes", "the file has 24"]);
    }
}

#[test]
fn csv_that_is_no_table_of_numbers() {
    let folder = folder("csv");
    let run = ["run", "m.safetensors", "--input", "in.csv", "--output", "y.npz"];
    folder.write("in.csv", "a,b\n1,2\n3,four\n");
    refused(&folder, &run, &["line 3", "column b", "\"four\""]);
    folder.write("in.csv", "a,b\n1,2\n3,NaN\n");
    refused(&folder, &run, &["line 3", "column b", "NaN"]);
    folder.write("in.csv", "a,b\n1,2\n3\n");
    refused(&folder, &run, &["in.csv"]);
    folder.write("in.csv", "a,b\n");
    refused(&folder, &run, &["in.csv", "no rows"]);
    folder.write("in.csv", "");
    refused(&folder, &run, &["in.csv"]);
    folder.write("in.csv", "a,b,c\n1,2,3\n");
    refused(&folder, &run, &["2 features", "3 columns", "--columns"]);
    folder.write("in.csv", "1,2\n3,4\n");
    refused(&folder, &run, &["in.csv", "header", "(1, 2)", "--header no"]);
    let long = "x".repeat(100_000);
    folder.write("in.csv", format!("a,{long}\n1,{long}\n"));
    refused(&folder, &run, &["in.csv", "line 2", "x…x"]);
    let many: Vec<String> = (0..5000).map(|column| format!("c{column}")).collect();
    folder.write("in.csv", format!("{}\n{}0\n", many.join(","), "0,".repeat(4999)));
    refused(&folder, &run, &["5000 columns", "c19 and 4980 more"]);
    folder.write("in.csv", "a,a\n3,4\n");
    refused(&folder, &run, &["in.csv", "columns 1 and 2", "\"a\""]);
    folder.write("in.csv", "a|b\n3|4\n");
    refused(&folder, &run, &["in.csv", "\"3|4\" is not a finite number", "commas, semicolons or tabs"]);
    folder.write("in.csv.gz", "a,b\n1,2\n");
    refused(&folder, &["run", "m.safetensors", "--input", "in.csv.gz"], &["in.csv.gz", "unpacked"]);
    folder.write("in.csv", "a,b,c\n1,2,3\n");
    let with = |options: &[&'static str]| [&run[..], options].concat();
    refused(&folder, &with(&["--columns", "a,z"]), &["no column \"z\""]);
    refused(&folder, &with(&["--columns", "a,b", "--window", "2"]), &["a window of 2 steps from 1 row"]);
    refused(&folder, &with(&["--columns", "a,b", "--window", "0"]), &["a window of 0 steps"]);
    refused(&folder, &with(&["--columns", "a,b", "--stride", "0"]), &["--stride"]);
}

#[test]
fn a_forecast_without_a_forecaster() {
    let folder = folder("forecast");
    folder.write("in.csv", "year,month,v\n2000,1,1\n2000,2,2\n");
    let run = ["forecast", "m.safetensors", "--data", "in.csv", "--plot", "p.svg"];
    refused(&folder, &run, &["m.safetensors", "not a forecaster"]);
    refused(&folder, &["forecast", "m.safetensors", "--plot", "p.png"], &["p.png", ".svg"]);
}

#[test]
fn matrices_without_f16() {
    let folder = folder("matrices");
    let run = |more: &[&'static str]| [&RUN[..], &["--matrices"], more].concat();
    let words = ["--matrices", "weights and activations in f16"];
    refused(&folder, &run(&[]), &words);
    refused(&folder, &run(&["--weights", "f16"]), &words);
    refused(&folder, &run(&["--weights", "bf16", "--activations", "bf16"]), &words);
    refused(&folder, &["explain", "gru-b1-t9-i2-h2", "--device", "cpu", "--matrices"], &words);
    let bench =
        ["bench", "--device", "cpu", "--case", "gru-b1-t9-i2-h2", "--any-reduction-order", "--matrices"];
    refused(&folder, &bench, &["--matrices with gru-b1-t9-i2-h2", "f16"]);
}
