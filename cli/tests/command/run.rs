//! The command as a user types it: devices, run and forecast, on every device of the machine.

use std::fs;

use crate::common::{
    Folder, model, npy, npz, root, safetensors, stderr, stdout, values, wgru_in, wgru_uncached,
};
use ndarray_npy::ReadNpyExt;
use serde_json::Value;

/// The selectors that `wgru devices --json` lists.
fn selectors() -> Vec<String> {
    let output = wgru_in(root(), &["devices", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let devices = list.as_array().expect("a list").iter();
    devices.map(|device| device["device"].as_str().expect("a name").replacen(": ", ":", 1)).collect()
}

#[test]
fn devices_lists_an_adapter_and_the_cpu_paths() {
    let selectors = selectors();
    assert!(selectors.iter().any(|name| name == "cpu") && selectors.iter().any(|name| name == "reference"));
    assert!(selectors.len() > 2, "no adapter found; `cargo xtask test` installs software drivers");
    let output = wgru_in(root(), &["devices"]);
    for name in selectors {
        assert!(stdout(&output).contains(&name.replacen(':', ": ", 1)), "{name}");
    }
}

#[test]
fn a_normal_run_prints_nothing_on_stderr() {
    let folder = Folder::new("quiet");
    folder.write("m.safetensors", model(3, 2, 4)).write("x.npy", npy(&[1, 3, 2], &values(9, 6)));
    for device in selectors() {
        let run = ["run", "m.safetensors", "--input", "x.npy", "--device", &device];
        for args in [&["devices"][..], &run] {
            let output = folder.wgru(args);
            assert!(output.status.success(), "{device}: {}", stderr(&output));
            assert_eq!(stderr(&output), "", "{device}");
        }
    }
}

/// Drivers compile a kernel when it is created or when it first runs; neither is part of the run's time.
#[test]
fn the_time_of_a_run_has_no_compilation_in_it() {
    let folder = Folder::new("times");
    folder.write("m.safetensors", model(4, 24, 40)).write("x.npy", npy(&[2, 3, 24], &values(9, 144)));
    for device in selectors().into_iter().filter(|name| name.contains(':')) {
        let run = ["run", "m.safetensors", "--input", "x.npy", "--json", "--device", &device];
        let output = wgru_uncached(folder.path(), &run);
        assert!(output.status.success(), "{device}: {}", stderr(&output));
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let [prepare, run] = ["prepare_s", "run_s"].map(|name| json[name].as_f64().expect("seconds"));
        assert!(run < prepare / 4.0, "{device}: prepared in {prepare} s, run in {run} s");
    }
}

/// A cache folder does not change the run; a device either writes a file there or gives the reason why not.
#[test]
fn compiled_kernels_are_cached_in_a_folder_or_the_reason_is_printed() {
    let folder = Folder::new("pipelines");
    folder.write("m.safetensors", model(3, 2, 4)).write("x.npy", npy(&[1, 3, 2], &values(9, 6)));
    for device in selectors() {
        let args = ["run", "m.safetensors", "--input", "x.npy", "--verify", "--device", &device];
        let kept = folder.path().join("kept");
        for _ in 0..2 {
            let output = folder.wgru(&[&args[..], &["--pipeline-cache", "kept"]].concat());
            assert!(output.status.success(), "{device}: {}", stderr(&output));
            let said = stderr(&output).contains("--pipeline-cache kept: ");
            assert_ne!(kept.exists(), said, "{device}: {}", stderr(&output));
        }
        if kept.exists() {
            let files: Vec<_> = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert_eq!(files.len(), 1, "{device}");
            // The library's own message about it is a warning.
            fs::write(&files[0], b"of another making").unwrap();
            let output = folder.wgru(&[&args[..], &["--pipeline-cache", "kept"]].concat());
            let said = stderr(&output);
            let name = files[0].file_name().unwrap().to_string_lossy();
            assert!(output.status.success() && said.contains("wgru: warning: "), "{device}: {said}");
            assert!(said.contains(&*name) && said.contains("ignored"), "{device}: {said}");
            fs::remove_dir_all(&kept).unwrap();
            // If the cache cannot be written, a message says so, and the run succeeds.
            let output = folder.wgru(&[&args[..], &["--pipeline-cache", "x.npy"]].concat());
            assert!(output.status.success() && stderr(&output).contains("x.npy"), "{}", stderr(&output));
            assert_eq!(stderr(&output).matches("it is no folder").count(), 1, "{}", stderr(&output));
        }
    }
}

#[test]
fn every_cell_is_verified_on_every_device() {
    let folder = Folder::new("cells");
    folder.write("x.npz", npz(&[("x", npy(&[5, 7, 3], &values(9, 105)))]));
    for device in selectors() {
        for (gates, options) in [
            (3, &[][..]),
            (3, &["--reset", "before", "--update", "takes"]),
            (4, &[]),
            (1, &[]),
            (1, &["--cell", "rnn-relu"]),
        ] {
            folder.write("m.safetensors", model(gates, 3, 6));
            let mut args = vec!["run", "m.safetensors", "--input", "x.npz", "--device", &device, "--verify"];
            args.extend(options);
            let output = folder.wgru(&args);
            let text = stdout(&output);
            assert!(output.status.success(), "{device} {gates} {options:?}: {text} {}", stderr(&output));
            assert!(text.contains("verify y: largest error") && text.contains("sequences/s"), "{text}");
            assert!(text.contains("not used: head.bias, head.weight"), "{text}");
        }
    }
}

/// The same numbers in every container, with the shapes that the help describes.
#[test]
fn inputs_and_outputs_of_every_format_agree() {
    let folder = Folder::new("formats");
    let (x, h0, c0) = (values(9, 2 * 5 * 3), values(10, 2 * 4), values(11, 2 * 4));
    let arrays: [(&str, &[usize], &[f32]); 3] =
        [("x", &[2, 5, 3], &x), ("h0", &[1, 2, 4], &h0), ("c0", &[1, 2, 4], &c0)];
    let members: Vec<(&str, Vec<u8>)> =
        arrays.iter().map(|(name, shape, data)| (*name, npy(shape, data))).collect();
    folder
        .write("m.safetensors", model(4, 3, 4))
        .write("in.npz", npz(&members))
        .write("in.safetensors", safetensors(&arrays));
    for input in ["in.npz", "in.safetensors"] {
        for ending in ["npz", "safetensors"] {
            let out = format!("{input}.out.{ending}");
            let mut args = vec!["run", "m.safetensors", "--input", input, "--output", &out];
            args.extend(["--device", "cpu", "--readout", "head", "--readout-at", "every"]);
            let output = folder.wgru(&args);
            assert!(output.status.success(), "{}", stderr(&output));
        }
    }
    let bytes = fs::read(folder.path().join("in.npz.out.safetensors")).unwrap();
    assert_eq!(bytes, fs::read(folder.path().join("in.safetensors.out.safetensors")).unwrap());
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shapes = [("y", &[2, 5, 4][..]), ("h_n", &[1, 2, 4]), ("c_n", &[1, 2, 4]), ("out", &[2, 5, 2])];
    assert_eq!(file.len(), shapes.len());
    let npz = fs::File::open(folder.path().join("in.npz.out.npz")).unwrap();
    let mut npz = zip::ZipArchive::new(npz).unwrap();
    assert_eq!(npz.len(), shapes.len());
    for (name, shape) in shapes {
        let tensor = file.tensor(name).unwrap();
        assert_eq!(tensor.shape(), shape, "{name}");
        let member = npz.by_name(&format!("{name}.npy")).unwrap();
        let data = ndarray::ArrayD::<f32>::read_npy(member).unwrap();
        assert_eq!(data.shape(), shape, "{name}");
        let bytes: Vec<u8> = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(bytes, tensor.data(), "{name}");
    }
}

/// Where `resets` is not 0 a sequence restarts: the numbers are those of the separate parts, with `--verify` and for
/// a file in the other layout too. An array of another shape is refused.
#[test]
fn resets_cut_a_sequence() {
    let folder = Folder::new("resets");
    let (x, resets) = (values(12, 6 * 3), npy(&[1, 6], &[0.0, 0.0, 1.0, 0.0, 7.0, 0.0]));
    let of_time = npy(&[6, 1], &[0.0, 0.0, 1.0, 0.0, 7.0, 0.0]);
    folder
        .write("m.safetensors", model(3, 3, 4))
        .write("whole.npz", npz(&[("x", npy(&[1, 6, 3], &x)), ("resets", resets.clone())]))
        .write("time.npz", npz(&[("x", npy(&[6, 1, 3], &x)), ("resets", of_time)]))
        .write("cut.npz", npz(&[("x", npy(&[3, 2, 3], &x))]))
        .write("bad.npz", npz(&[("x", npy(&[6, 1, 3], &x)), ("resets", resets)]));
    let run = |input: &str, more: &[&str]| {
        let args =
            ["run", "m.safetensors", "--input", input, "--output", "out.safetensors", "--device", "cpu"];
        let output = folder.wgru(&[&args[..], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let bytes = fs::read(folder.path().join("out.safetensors")).unwrap();
        safetensors::SafeTensors::deserialize(&bytes).unwrap().tensor("y").unwrap().data().to_vec()
    };
    let cut = run("cut.npz", &[]);
    assert_eq!(run("whole.npz", &["--verify"]), cut);
    assert_eq!(run("time.npz", &["--layout", "time"]), cut);
    let output =
        folder.wgru(&["run", "m.safetensors", "--input", "bad.npz", "--layout", "time", "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("resets: expected [6, 1], got [1, 6]"), "{}", stderr(&output));
}

/// NumPy also stores column-major arrays and 64-bit ones.
#[test]
fn column_major_and_double_precision_arrays_are_read_alike() {
    use ndarray::{ArrayD, ShapeBuilder};
    let folder = Folder::new("orders");
    let x = values(9, 2 * 3 * 2);
    let row_major = ArrayD::from_shape_vec(vec![2, 3, 2], x).unwrap();
    let mut column_major = ArrayD::<f64>::zeros(ndarray::IxDyn(&[2, 3, 2]).f());
    column_major.zip_mut_with(&row_major, |to, &from| *to = f64::from(from));
    let (mut a, mut b) = (Vec::new(), Vec::new());
    ndarray_npy::WriteNpyExt::write_npy(&row_major, &mut a).unwrap();
    ndarray_npy::WriteNpyExt::write_npy(&column_major, &mut b).unwrap();
    folder.write("m.safetensors", model(3, 2, 4)).write("a.npy", a).write("b.npy", b);
    for input in ["a.npy", "b.npy"] {
        let out = format!("{input}.safetensors");
        let args = ["run", "m.safetensors", "--input", input, "--output", &out, "--device", "cpu"];
        assert!(folder.wgru(&args).status.success());
    }
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("a.npy.safetensors"), read("b.npy.safetensors"));
}

#[test]
fn csv_is_cut_into_windows() {
    let folder = Folder::new("csv");
    folder.write("m.safetensors", model(3, 2, 4)).write("in.csv", "t,a,b\n1,2,3\n2,4,6\n3,8,12\n4,16,24\n");
    let json = |options: &[&str]| -> Value {
        let mut args = vec!["run", "m.safetensors", "--input", "in.csv", "--device", "cpu", "--json"];
        args.extend(["--columns", "b,a"]);
        args.extend(options);
        let output = folder.wgru(&args);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let sizes = |json: &Value| (json["sequences"].as_u64().unwrap(), json["steps"].as_u64().unwrap());
    assert_eq!(sizes(&json(&[])), (1, 4));
    assert_eq!(sizes(&json(&["--window", "3"])), (2, 3));
    assert_eq!(sizes(&json(&["--window", "2", "--stride", "2"])), (2, 2));
    assert!(json(&["--verify"])["verify"][0]["passed"].as_bool().unwrap());
}

#[test]
fn a_model_in_several_files_is_run_from_its_index_or_folder() {
    let folder = Folder::new("shards");
    let values = values(1, 6 * 6);
    let part = |name: &str, shape: &[usize]| safetensors(&[(name, shape, &values[..shape.iter().product()])]);
    fs::create_dir(folder.path().join("model")).expect("it can be made");
    folder
        .write("model/1.safetensors", part("module.rnn.weight_ih_l0", &[6, 2]))
        .write("model/2.safetensors", part("module.rnn.weight_hh_l0", &[6, 6]))
        .write("in.npy", npy(&[1, 3, 2], &values[..6]))
        .write(
            "model/model.safetensors.index.json",
            r#"{"weight_map": {"module.rnn.weight_ih_l0": "1.safetensors", "module.rnn.weight_hh_l0": "2.safetensors"}}"#,
        );
    for model in ["model", "model/model.safetensors.index.json"] {
        let output = folder.wgru(&["run", model, "--prefix", "rnn", "--input", "in.npy", "--device", "cpu"]);
        let text = stdout(&output);
        assert!(output.status.success(), "{}", stderr(&output));
        // For an RNN the line gives what the weights do not show.
        for words in ["RNN 2→6", "prefix \"module.rnn.\" for \"rnn\"", "nonlinearity Tanh: assumed"] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
    let output = folder.wgru(&["run", ".", "--input", "in.npy", "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("it has in.npy, model"), "{}", stderr(&output));
}

/// README's first command. The errors must equal PyTorch's, which are in the repository.
#[test]
fn the_forecaster_gives_the_errors_that_pytorch_gave() {
    let expected: Value =
        serde_json::from_slice(&fs::read(root().join("models/co2_gru_expected.json")).unwrap()).unwrap();
    let folder = Folder::new("forecast");
    for device in selectors() {
        let plot = folder.path().join("plot.svg").display().to_string();
        let args = ["forecast", "--device", &device, "--verify", "--json", "--plot", &plot];
        let output = wgru_in(root(), &args);
        assert!(output.status.success(), "{device}: {}", stderr(&output));
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(json["held_out_windows"], expected["windows"]);
        let names = ["gru", "persistence", "seasonal_naive", "seasonal_naive_drift"];
        for (index, name) in names.into_iter().enumerate() {
            let want = expected["held_out"].as_object().unwrap();
            let (_, want) = want
                .iter()
                .find(|(key, _)| key.as_str() == name)
                .unwrap_or_else(|| panic!("{name} among {:?}", want.keys()));
            let score = &json["held_out"][index];
            for figure in ["mae", "rmse"] {
                let (got, want) = (score[figure].as_f64().unwrap(), want["all"][figure].as_f64().unwrap());
                assert!((got - want).abs() < 1e-4, "{device}: {figure} of {name}: {got}, PyTorch {want}");
            }
            assert!(
                (score["mae_by_horizon"][0].as_f64().unwrap() - want["h1"]["mae"].as_f64().unwrap()).abs()
                    < 1e-4
            );
        }
        let svg = fs::read_to_string(folder.path().join("plot.svg")).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("forecast") && svg.trim_end().ends_with("</svg>"));
    }
}

/// A recurrent node of an ONNX file, by the graph's names and in its layouts, against ONNX Runtime's numbers.
#[test]
fn an_onnx_node_gives_the_numbers_of_its_own_engine() {
    let golden = |name: &str| root().join("tests/goldens").join(name);
    let model = golden("onnxruntime.onnx").display().to_string();
    let bytes = fs::read(golden("onnxruntime.safetensors")).unwrap();
    let io = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for case in ["gru_before_ragged_both_ways", "gru_clip_reset_after", "lstm_peepholes", "rnn_clip"] {
        let inputs = ["X", "sequence_lens", "initial_h", "initial_c"];
        let views: Vec<_> = inputs
            .into_iter()
            .filter_map(|name| Some((name, io.tensor(&format!("{case}.{name}")).ok()?)))
            .collect();
        let folder = Folder::new(case);
        folder.write("in.safetensors", safetensors::serialize(views, None).unwrap());
        let mut args = vec!["run", &model, "--node", case, "--input", "in.safetensors"];
        args.extend(["--output", "out.safetensors", "--device", "cpu", "--verify"]);
        let output = folder.wgru(&args);
        assert!(output.status.success(), "{case}: {} {}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains("reset") || !case.contains("gru"), "{}", stdout(&output));

        let bytes = fs::read(folder.path().join("out.safetensors")).unwrap();
        let out = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for name in ["Y", "Y_h"] {
            let (got, expected) = (out.tensor(name), io.tensor(&format!("{case}.{name}")));
            let (got, expected) = (got.unwrap(), expected.unwrap());
            assert_eq!(got.shape(), expected.shape(), "{case}: {name}");
            let floats = |data: &[u8]| -> Vec<f32> {
                data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            };
            let pairs = floats(got.data()).into_iter().zip(floats(expected.data()));
            let error = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < 2e-5, "{case}: {name} is off by {error}");
        }
    }
    let folder = Folder::new("nodes");
    folder.write("x.npz", npz(&[("X", npy(&[2, 1, 8], &values(1, 16)))]));
    let output = folder.wgru(&["run", &model, "--input", "x.npz", "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("GRU bidirectional [3·6, 3→6]"), "{}", stderr(&output));
}

/// `nn.LSTM(3, 4, proj_size=2)`: h has 2 features, c has 4.
#[test]
fn a_projected_lstm_is_run_from_its_states() {
    let folder = Folder::new("projection");
    let projected = safetensors(&[
        ("weight_ih_l0", &[16, 3], &values(1, 48)),
        ("weight_hh_l0", &[16, 2], &values(2, 32)),
        ("weight_hr_l0", &[2, 4], &values(3, 8)),
    ]);
    let array = |shape: &[usize]| npy(shape, &values(9, shape.iter().product()));
    let members = [("x", array(&[2, 5, 3])), ("h0", array(&[1, 2, 2])), ("c0", array(&[1, 2, 4]))];
    folder.write("m.safetensors", projected).write("in.npz", npz(&members));
    let args =
        ["run", "m.safetensors", "--input", "in.npz", "--device", "cpu", "--verify", "--output", "out.npz"];
    let output = folder.wgru(&args);
    let text = stdout(&output);
    assert!(output.status.success(), "{text} {}", stderr(&output));
    assert!(text.contains("projection to 2: weight_hr_l0 gives H = 4"), "{text}");
}

/// An exported model runs with the same bits. One sequence, so that ONNX's `[T, D, B, H]` has the memory order of
/// `[B, T, D·H]`.
#[test]
fn an_export_gives_the_numbers_of_its_model() {
    let folder = Folder::new("export");
    folder.write("x.npz", npz(&[("x", npy(&[1, 7, 3], &values(9, 21)))]));
    folder.write("X.npz", npz(&[("X", npy(&[7, 1, 3], &values(9, 21)))]));
    let y = |model: &str, input: &str, options: &[&str], name: &str| {
        let args = ["run", model, "--input", input, "--device", "cpu", "--output", "y.safetensors"];
        let output = folder.wgru(&[&args[..], options].concat());
        assert!(output.status.success(), "{model}: {}", stderr(&output));
        let bytes = fs::read(folder.path().join("y.safetensors")).unwrap();
        safetensors::SafeTensors::deserialize(&bytes).unwrap().tensor(name).unwrap().data().to_vec()
    };
    let export = |args: &[&str]| {
        let output = folder.wgru(&[&["export"], args].concat());
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    for (gates, options) in
        [(3, &[][..]), (3, &["--update", "takes"]), (4, &[]), (1, &["--cell", "rnn-relu"])]
    {
        folder.write("m.safetensors", model(gates, 3, 4));
        let own = y("m.safetensors", "x.npz", options, "y");
        let text = export(&[&["m.safetensors", "out.safetensors"], options].concat());
        assert!(
            text.contains("not used: head.bias, head.weight") && text.contains("out.safetensors: "),
            "{text}"
        );
        export(&[&["m.safetensors", "out.onnx"], options].concat());
        let (torch, onnx) = (y("out.safetensors", "x.npz", &[], "y"), y("out.onnx", "X.npz", &[], "Y"));
        if options.contains(&"takes") {
            // 1 − σ(a) and σ(−a) are rounded separately; both files hold the same cell.
            assert_eq!(torch, onnx);
        } else {
            assert_eq!((&torch, &onnx), (&own, &own), "{gates} {options:?}");
        }
        export(&["out.onnx", "back.safetensors"]);
        let file = |name: &str| fs::read(folder.path().join(name)).unwrap();
        assert_eq!(file("out.safetensors"), file("back.safetensors"), "{gates} {options:?}: over ONNX");
    }
    // A Linear in the stack's own module is a readout if an option names it; otherwise it makes another cell of it.
    let [w_ih, w_hh] = [values(1, 36), values(2, 48)];
    let own: [(&str, &[usize], &[f32]); 4] = [
        ("enc.weight_ih_l0", &[12, 3], &w_ih),
        ("enc.weight_hh_l0", &[12, 4], &w_hh),
        ("enc.fc.weight", &[1, 4], &[0.5; 4]),
        ("enc.fc.bias", &[1], &[0.25]),
    ];
    folder.write("own.safetensors", safetensors(&own));
    let named = ["run", "own.safetensors", "--input", "x.npz", "--device", "cpu", "--readout", "enc.fc"];
    assert!(folder.wgru(&named).status.success(), "{}", stderr(&folder.wgru(&named)));
    assert!(stderr(&folder.wgru(&named[..6])).contains("enc.fc.weight"));
    // A readout is exported with the model, and is applied as the file states.
    folder.write("m.safetensors", model(3, 3, 4));
    let readout = ["--readout", "head", "--readout-at", "every"];
    let own = y("m.safetensors", "x.npz", &readout, "out");
    export(&[&["m.safetensors", "out.safetensors"], &readout[..]].concat());
    assert_eq!(y("out.safetensors", "x.npz", &[], "out"), own);
    // So is its activation.
    let activated = [&readout[..], &["--readout-activation", "tanh"]].concat();
    let own_tanh = y("m.safetensors", "x.npz", &activated, "out");
    assert_ne!(own_tanh, own);
    export(&[&["m.safetensors", "tanh.safetensors"], &activated[..]].concat());
    assert_eq!(y("tanh.safetensors", "x.npz", &[], "out"), own_tanh);
    assert_eq!(y("tanh.safetensors", "x.npz", &["--readout-activation", "linear"], "out"), own);
}

/// Layers of Keras files, from the command line as from the crate.
#[test]
fn keras_layers_run_by_their_names() {
    let golden = |name: &str| root().join("tests/goldens/keras").join(name).display().to_string();
    let folder = Folder::new("keras");
    folder.write("x.npy", npy(&[2, 5, 3], &values(3, 30)));
    let run = |model: &str, more: &[&str]| {
        let args = [&["run", model, "--input", "x.npy", "--device", "cpu", "--verify"], more].concat();
        let output = folder.wgru(&args);
        assert!(output.status.success(), "{more:?}: {} {}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    let stack = ["--layer", "first,second", "--readout", "head"];
    let text = run(&golden("stack.keras"), &[&stack[..], &["--output", "whole.npz"]].concat());
    assert!(text.contains("LSTM 3→4, 2 forward layers") && text.contains("Keras 3"), "{text}");
    let config = golden("stack.json");
    let of_weights = [&stack[..], &["--config", &config, "--output", "weights.npz"]].concat();
    run(&golden("stack.weights.h5"), &of_weights);
    let written = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(written("whole.npz"), written("weights.npz"));
    let text = run(&golden("keras1.h5"), &["--layer", "gru_1", "--keras-version", "3"]);
    assert!(text.contains("as given by the caller"), "{text}");
}

/// The other inputs that the file's graph gives to a layer of Keras: an initial state must be given by name, and a
/// mask is reported.
#[test]
fn states_and_masks_of_keras_graphs_are_not_ignored() {
    let model = root().join("tests/goldens/keras/graphs.keras").display().to_string();
    let folder = Folder::new("keras-graphs");
    let (x, h0) = (npy(&[2, 5, 3], &values(3, 30)), npy(&[1, 2, 4], &values(4, 8)));
    folder.write("x.npy", &x).write("fed.npz", npz(&[("x", x.clone()), ("h0", h0)]));
    let command = |args: &[&str]| {
        let output = folder.wgru(args);
        (output.status.code(), stdout(&output) + &stderr(&output))
    };
    let run = |layer: &str, input: &str| {
        command(&["run", &model, "--input", input, "--device", "cpu", "--layer", layer])
    };
    let (status, text) = run("from_input", "x.npy");
    assert_eq!(status, Some(2), "{text}");
    assert!(
        ["h0", "initial_state", "from_input", "the input \"ctx\""].iter().all(|word| text.contains(word)),
        "{text}"
    );
    let (status, text) = run("from_input", "fed.npz");
    assert!(status == Some(0) && text.contains("ctx"), "{text}");
    // An LSTM needs its c too.
    let (status, text) = run("writer", "fed.npz");
    assert!(status == Some(2) && text.contains("c0") && text.contains("reader"), "{text}");
    let (status, text) = run("masked", "x.npy");
    assert!(status == Some(0) && text.contains("mask") && text.contains("lengths"), "{text}");
    let export = |more: &[&str]| command(&[&["export", &model, "--layer", "from_input"], more].concat());
    let (status, text) = export(&["out.safetensors"]);
    assert!(status == Some(2) && text.contains("ctx") && text.contains("--with-states"), "{text}");
    let (status, text) = export(&["out.onnx", "--with-states"]);
    assert_eq!(status, Some(0), "{text}");
}
