//! Standard input and output as `-`, what the program has inside, and the names that it suggests.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::common::{Folder, model, npy, npz, root, safetensors, stderr, stdout, values};

/// Runs `wgru` in `folder` with `input` on standard input.
fn fed(folder: &Folder, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wgru"))
        .args(args)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // A command that refuses its options does not read its input.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("the command ends")
}

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("m.safetensors", model(3, 2, 4));
    folder
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory can be written to");
    encoder.finish().expect("the archive")
}

/// The arrays of a run go from standard input to standard output, in every format with the bits that files give.
#[test]
fn arrays_pass_through_pipes() {
    let folder = folder("pipes");
    let x = values(9, 3 * 2);
    let csv: String = std::iter::once("a,b\n".to_owned())
        .chain(x.chunks(2).map(|row| format!("{},{}\n", row[0], row[1])))
        .collect();
    let array = npy(&[1, 3, 2], &x);
    folder.write("x.npy", &array);
    let run = ["run", "m.safetensors", "--device", "cpu", "--readout", "head"];
    let file = folder.wgru(&[&run[..], &["--input", "x.npy", "--output", "y.npz"]].concat());
    assert!(file.status.success(), "{}", stderr(&file));
    let expected = fs::read(folder.path().join("y.npz")).unwrap();
    let inputs = [
        ("npy", array.clone()),
        ("npy.gz", gz(&array)),
        ("npz", npz(&[("x", array)])),
        ("safetensors", safetensors(&[("x", &[1, 3, 2], &x)])),
        ("csv", csv.clone().into_bytes()),
        ("csv.gz", gz(csv.as_bytes())),
    ];
    for (format, input) in inputs {
        let output = fed(&folder, &[&run[..], &["--input", "-", "--output", "-"]].concat(), &input);
        assert!(output.status.success(), "{format}: {}", stderr(&output));
        assert_eq!(output.stdout, expected, "{format}");
        assert!(stderr(&output).contains("written as .npz: y [1, 3, 4]"), "{format}: {}", stderr(&output));
    }
    assert_eq!(folder.names(), ["m.safetensors", "x.npy", "y.npz"]);
}

#[test]
fn words_and_series_pass_through_pipes() {
    let folder = folder("pipes-of-text");
    let words = fed(&folder, &["g2p", "--file", "-", "--output", "-", "--device", "cpu"], b"world\n");
    assert_eq!(stdout(&words), "world W ER1 L D\n", "{}", stderr(&words));
    let series = fs::read(root().join("data/co2_mauna_loa.csv")).unwrap();
    let forecast = fed(&folder, &["forecast", "--data", "-", "--plot", "-", "--device", "cpu"], &series);
    assert!(
        stdout(&forecast).starts_with("<svg") && stderr(&forecast).contains("seasonal naive"),
        "{forecast:?}"
    );
    assert_eq!(folder.names(), ["m.safetensors"]);
}

#[test]
fn pipes_without_what_is_needed() {
    let folder = folder("bad-pipes");
    let run = ["run", "m.safetensors", "--device", "cpu", "--input", "-"];
    let both = [&run[..], &["--output", "-", "--json"]].concat();
    for (args, input, word) in [
        (&run[..], &b""[..], "standard input: the file is empty"),
        (&run, b"a,b\n1,x\n", "standard input: line 2, column b"),
        (&run, b"PK\x03\x04", "standard input"),
        (&both, b"a,b\n1,2\n", "--json"),
        (&["g2p", "--file", "-"], b"\xff", "standard input: not UTF-8"),
        (&["forecast", "--plot", "-", "--json"], b"", "--json"),
    ] {
        let output = fed(&folder, args, input);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(word) && output.stdout.is_empty(), "{args:?}: {}", stderr(&output));
    }
}

/// An installed command has no repository around it.
#[test]
fn the_forecaster_is_in_the_program() {
    let folder = Folder::new("installed");
    let output = folder.wgru(&["forecast", "--device", "cpu"]);
    assert!(output.status.success() && folder.has("forecast.svg"), "{}", stderr(&output));
    for (inside, outside) in [
        ("co2_gru.safetensors", "models/co2_gru.safetensors"),
        ("co2_mauna_loa.csv", "data/co2_mauna_loa.csv"),
    ] {
        let read = |path: &str| fs::read(root().join(path)).expect("the file is there");
        assert!(
            read(&format!("cli/forecast/{inside}")) == read(outside),
            "cli/forecast/{inside} is not {outside}"
        );
    }
}

#[test]
fn a_linear_that_fits_is_named() {
    let folder = folder("hint");
    let run = ["run", "m.safetensors", "--input", "-", "--device", "cpu"];
    let said = |more: &[&str]| stdout(&fed(&folder, &[&run[..], more].concat(), b"a,b\n1,2\n"));
    assert!(said(&[]).contains("head fits as a readout: add --readout head"), "{}", said(&[]));
    assert!(!said(&["--readout", "head"]).contains("add --readout"));
    // Of another width.
    let (w, head) = (values(1, 48), values(2, 10));
    let other = safetensors(&[
        ("weight_ih_l0", &[12, 2], &w[..24]),
        ("weight_hh_l0", &[12, 4], &w),
        ("model.head.weight", &[2, 5], &head),
    ]);
    folder.write("m.safetensors", other);
    assert!(
        said(&[]).contains("not used: model.head.weight") && !said(&[]).contains("add --readout"),
        "{}",
        said(&[])
    );
}

#[test]
fn close_names_are_suggested() {
    let folder = folder("suggestions");
    folder.write("in.csv", "time,load\n1,2\n");
    let run = ["run", "m.safetensors", "--input", "in.csv"];
    for (more, name) in [
        (&["--readout", "haed", "--device", "cpu"][..], "head.weight"),
        (&["--prefix", "rn", "--device", "cpu"], "rnn.weight_ih_l0"),
        (&["--columns", "time,loaf", "--device", "cpu"], "load"),
        (&["--device", "referench"], "reference"),
    ] {
        let output = folder.wgru(&[&run[..], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        let expected = format!("did you mean \"{name}\"?");
        assert!(stderr(&output).contains(&expected), "{more:?}: {}", stderr(&output));
    }
    let cuda = folder.wgru(&[&run[..], &["--device", "cuda"]].concat());
    assert!(stderr(&cuda).contains("a GPU of any vendor is reached by vulkan"), "{}", stderr(&cuda));
    let golden = root().join("tests/goldens/onnxruntime.onnx").display().to_string();
    let output = folder.wgru(&["run", &golden, "--input", "in.csv", "--node", "rnn_clop"]);
    assert!(stderr(&output).contains("did you mean \"rnn_clip\"?"), "{}", stderr(&output));
}
