//! Files in the layouts of Keras 1 and 2, written here: lists of weights of nested models, configurations of graphs.
//! Also tests that reading takes time proportional to the file.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wgru::import::Keras;
use wgru::import::Limits;
use wgru::{Error, Imported};

use super::hdf5::Group;
use crate::common::onnx_file::of_file;

/// A GRU of one unit on one feature.
fn gru(name: &str) -> Value {
    json!({"class_name": "GRU", "config": {
        "name": name, "units": 1, "activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": true,
        "return_sequences": true,
    }})
}

fn layer(class: &str, config: Value) -> Value {
    json!({"class_name": class, "config": config})
}

fn sequential(name: &str, layers: &[Value]) -> Value {
    layer("Sequential", json!({"name": name, "layers": layers}))
}

/// A layer of a functional model, called on others: `[["x", 0, 0, {}], …]`.
fn called(mut layer: Value, on: Value) -> Value {
    layer["name"] = layer["config"]["name"].clone();
    layer["inbound_nodes"] = json!([on]);
    layer
}

fn functional(name: &str, layers: &[Value], output: &str) -> Value {
    let config = json!({"name": name, "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [[output, 0, 0]]});
    layer("Functional", config)
}

fn input() -> Value {
    let mut input = layer("InputLayer", json!({"name": "x"}));
    input["name"] = json!("x");
    input["inbound_nodes"] = json!([]);
    input
}

const PARTS: [(&str, [usize; 2]); 3] =
    [("kernel:0", [1, 3]), ("recurrent_kernel:0", [1, 3]), ("bias:0", [2, 3])];

/// The arrays of a GRU of one unit under a scope, with all numbers equal to `value`.
fn weights(group: &mut Group, names: &mut Vec<String>, scope: &str, value: f32) {
    for (part, shape) in PARTS {
        let name = format!("{scope}/{part}");
        group.array(&name, &shape, &vec![value; shape[0] * shape[1]]);
        names.push(name);
    }
}

/// A file of Keras 2 with the weights of each layer of the outermost model: scopes with the value of their weights.
fn file(config: &Value, layers: &[(&str, &[(&str, f32)])]) -> Vec<u8> {
    let mut root = Group::default();
    root.text("keras_version", "2.4.0").text("model_config", &config.to_string());
    let names: Vec<String> = layers.iter().map(|(name, _)| (*name).to_owned()).collect();
    let all = root.at("model_weights").list("layer_names", &names);
    for (layer, scopes) in layers {
        let (group, mut names) = (all.at(layer), Vec::new());
        scopes.iter().for_each(|(scope, value)| weights(group, &mut names, scope, *value));
        group.list("weight_names", &names);
    }
    root.file()
}

fn parse(how: &Keras, bytes: &[u8]) -> Result<Imported, Error> {
    how.parse("laid_out.h5", bytes)
}

/// The value of all weights of the layer.
fn value(layer: &str, bytes: &[u8]) -> f32 {
    let model =
        parse(&Keras::new().layer(layer), bytes).unwrap_or_else(|error| panic!("{layer}: {error}")).model;
    let weights = &model.layers()[0].weights()[0];
    let first = weights.w_ih[0];
    assert!(weights.w_ih.iter().chain(&weights.w_hh).all(|v| *v == first), "{layer}");
    assert_eq!(weights.b_ih.as_deref(), Some(&[first; 3][..]), "{layer}");
    first
}

#[test]
fn a_list_of_weights_counts_in_its_order_whatever_its_names() {
    let inner = |layers: &[Value]| sequential("outer", &[sequential("enc", layers)]);
    let two = inner(&[gru("gru_1"), gru("gru_2")]);
    // Names of the layers, of a scope that has another layer's name, and of a group with the layer's name.
    for scopes in [["gru_1/cell", "gru_2/cell"], ["enc/gru", "enc/gru_1"], ["gru_2", "gru_1"]] {
        let bytes = file(&two, &[("enc", &[(scopes[0], 1.0), (scopes[1], 2.0)])]);
        assert_eq!([value("enc/gru_1", &bytes), value("enc/gru_2", &bytes)], [1.0, 2.0], "{scopes:?}");
    }
    // Frozen layers' weights come after all others.
    let mut frozen = gru("gru_1");
    frozen["config"]["trainable"] = json!(false);
    let bytes = file(&inner(&[frozen, gru("gru_2")]), &[("enc", &[("a", 2.0), ("b", 1.0)])]);
    assert_eq!([value("enc/gru_1", &bytes), value("enc/gru_2", &bytes)], [1.0, 2.0]);
    // Deeper models, and layers without weights between them.
    let dropout = layer("Dropout", json!({"name": "d"}));
    let deep = inner(&[gru("a"), dropout, sequential("deep", &[gru("a"), gru("b")]), gru("c")]);
    let bytes = file(&deep, &[("enc", &[("s", 1.0), ("t", 2.0), ("u", 3.0), ("v", 4.0)])]);
    let values = ["enc/a", "enc/deep/a", "enc/deep/b", "enc/c"].map(|layer| value(layer, &bytes));
    assert_eq!(values, [1.0, 2.0, 3.0, 4.0]);
    // The outermost layer of the same name is a different one.
    let both = sequential("outer", &[sequential("enc", &[gru("gru_1")]), gru("gru_1")]);
    let bytes = file(&both, &[("enc", &[("gru_1", 1.0)]), ("gru_1", &[("gru_1", 2.0)])]);
    assert_eq!([value("enc/gru_1", &bytes), value("gru_1", &bytes)], [1.0, 2.0]);
}

#[test]
fn beside_a_layer_of_unknown_weights_names_must_agree() {
    let custom = layer("pkg>Attention", json!({"name": "attention"}));
    let config = sequential("outer", &[sequential("enc", &[custom, gru("gru_1"), gru("gru_2")])]);
    let scopes = |names: [&'static str; 3]| [(names[0], 0.0), (names[1], 1.0), (names[2], 2.0)];
    let bytes = file(&config, &[("enc", &scopes(["attention", "gru_1", "gru_2"]))]);
    assert_eq!([value("enc/gru_1", &bytes), value("enc/gru_2", &bytes)], [1.0, 2.0]);
    let bytes = file(&config, &[("enc", &scopes(["enc/attention", "enc/gru", "enc/gru_1"]))]);
    let error = parse(&Keras::new().layer("enc/gru_1"), &bytes).expect_err("which is it?").to_string();
    assert!(error.contains("weight_names") && error.contains("enc/gru_1/kernel:0"), "{error}");
}

#[test]
fn classes_of_other_packages_are_known_in_old_files_too() {
    let foreign = layer("audiokit>GRU", gru("rec")["config"].clone());
    let nameless = layer("pkg>Scale", json!({"factor": 2}));
    let config = sequential("outer", &[nameless, foreign, gru("own")]);
    let bytes = file(&config, &[("rec", &[("rec", 1.0)]), ("own", &[("own", 2.0)])]);
    assert_eq!(value("own", &bytes), 2.0);
    let error = parse(&Keras::new().layer("rec"), &bytes).expect_err("another package's").to_string();
    assert!(error.contains("class audiokit>GRU of layer \"rec\""), "{error}");
    // A module that is not Keras' own makes a class foreign as well, inside a wrapper too.
    let mut wrapped = gru("both");
    wrapped["module"] = json!("mine.layers");
    let config = json!({"name": "both", "layer": wrapped, "merge_mode": "concat"});
    let config = sequential("outer", &[layer("Bidirectional", config)]);
    for how in [Keras::new().layer("both"), Keras::new()] {
        let error = parse(&how, &file(&config, &[("both", &[("f", 1.0)])])).expect_err("foreign").to_string();
        assert!(error.contains("mine.layers>GRU"), "{error}");
    }
    let bare = sequential("outer", &[layer("Dense", json!({"name": "d", "units": 1}))]);
    let error = parse(&Keras::new(), &file(&bare, &[("d", &[("d", 1.0)])])).expect_err("none").to_string();
    assert!(error.contains("no recurrent layer") && error.contains("Dense layer \"d\""), "{error}");
}

#[test]
fn merge_mode_none_is_refused() {
    for mode in [Value::Null, json!("max")] {
        let config = json!({"name": "both", "layer": gru("g"), "merge_mode": mode});
        let config = sequential("outer", &[layer("Bidirectional", config)]);
        let error = parse(&Keras::new(), &file(&config, &[("both", &[("f", 1.0)])])).expect_err("refused");
        assert!(error.to_string().contains("merge_mode"), "{error}");
    }
}

/// The decision about masks for a layer.
fn mask(config: &Value, layer: &str, version: u32) -> Option<String> {
    let (outer, _) = layer.split_once('/').unwrap_or((layer, ""));
    let scopes: &[(&str, f32)] = &[("b", 1.0), ("c", 1.0)];
    let scopes = if layer == "pair" { scopes } else { &scopes[..1] };
    let how = Keras::new().layer(layer).keras_version(version);
    let report =
        parse(&how, &file(config, &[(outer, scopes)])).unwrap_or_else(|error| panic!("{error}")).report;
    report.decisions.into_iter().find(|line| line.contains("mask"))
}

#[test]
fn masks_are_followed_through_graphs_and_models_inside_them() {
    let masking = || layer("Masking", json!({"name": "m", "mask_value": 0.0}));
    let x = || json!([["x", 0, 0, {}]]);
    let on = |name: &str| json!([[name, 0, 0, {}]]);
    let pass = |class: &str| layer(class, json!({"name": "p"}));
    // In a sequence: layers that pass on a mask, and layers that do not.
    for (class, told) in [
        ("Dense", true),
        ("LayerNormalization", true),
        ("pkg>Odd", true),
        ("Conv1D", false),
        ("Reshape", false),
    ] {
        let config = sequential("s", &[masking(), pass(class), gru("g")]);
        assert_eq!(mask(&config, "g", 2).is_some(), told, "{class}");
    }
    let embedding = |zero: bool| layer("Embedding", json!({"name": "e", "mask_zero": zero}));
    for zero in [true, false] {
        let told = mask(&sequential("s", &[embedding(zero), gru("g")]), "g", 3);
        assert_eq!(told.is_some_and(|line| line.contains("Embedding layer \"e\"")), zero);
    }
    // A recurrent layer that outputs the last step alone ends it.
    for sequences in [true, false] {
        let mut below = gru("below");
        below["config"]["return_sequences"] = json!(sequences);
        assert_eq!(mask(&sequential("s", &[masking(), below, gru("g")]), "g", 3).is_some(), sequences);
    }
    // Into a model and out of it, in a sequence and in a graph.
    let inside = sequential("in", &[gru("g")]);
    assert!(mask(&sequential("s", &[masking(), inside]), "in/g", 3).is_some());
    let inside = sequential("in", &[masking(), pass("Dropout")]);
    assert!(mask(&sequential("s", &[inside, gru("g")]), "g", 3).is_some());
    let inside = || functional("in", &[input(), called(gru("g"), x())], "g");
    for (below, told) in [("m", true), ("x", false)] {
        let config = functional("s", &[input(), called(masking(), x()), called(inside(), on(below))], "in");
        assert_eq!(mask(&config, "in/g", 2).is_some(), told, "on {below}");
    }
    // A mask that the layer gets as a named argument.
    let given = called(gru("g"), json!([["x", 0, 0, {"mask": ["x", 0, 0]}]]));
    let told = mask(&functional("s", &[input(), given], "g"), "g", 2).expect("given");
    assert!(told.contains("the input \"x\""), "{told}");
    // Keras 3 records that there is none, unless the tensor comes out of a nested model.
    let noted = |layer: Value, on: &[&str]| {
        let tensor = |name: &&str| json!({"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}});
        let args: Vec<Value> = on.iter().map(tensor).collect();
        let mut layer = called(layer, json!([]));
        layer["inbound_nodes"] = json!([{"args": [args], "kwargs": {"mask": null}}]);
        layer
    };
    let sum = || noted(layer("Add", json!({"name": "sum"})), &["m", "x"]);
    let of_a_sum = [input(), called(masking(), x()), sum(), noted(gru("g"), &["sum"])];
    assert!(mask(&functional("s", &of_a_sum, "g"), "g", 3).is_none());
    let inner = || noted(functional("in", &[input(), called(masking(), x())], "m"), &["x"]);
    let of_a_model = [input(), inner(), noted(pass("Dropout"), &["in"]), noted(gru("g"), &["p"])];
    assert!(mask(&functional("s", &of_a_model, "g"), "g", 3).is_some());
    // Keras 1 and 2 do not put 0 where a Bidirectional is masked, unless the file says so.
    let pair = |zero: bool| {
        let mut one = gru("g");
        one["config"]["zero_output_for_mask"] = json!(zero);
        let pair = layer("Bidirectional", json!({"name": "pair", "layer": one, "merge_mode": "concat"}));
        sequential("s", &[masking(), pair])
    };
    for (version, zero, rule) in [(2, false, "repeats"), (2, true, "gives 0"), (3, false, "gives 0")] {
        let told = mask(&pair(zero), "pair", version).expect("masked");
        assert!(told.contains(rule), "{told}");
    }
}

#[test]
fn initial_states_of_old_graphs_are_found() {
    let states = json!([["x", 0, 0, {}], ["reader", 0, 1, {}]]);
    let constant = json!([["x", 0, 0, {"initial_state": [[0.5]]}]]);
    for (on, origin) in [(states, "GRU layer \"reader\""), (constant, "an array in the configuration")] {
        let reader = called(gru("reader"), json!([["x", 0, 0, {}]]));
        let config = functional("s", &[input(), reader, called(gru("g"), on)], "g");
        let bytes = file(&config, &[("reader", &[("r", 1.0)]), ("g", &[("g", 2.0)])]);
        let error = parse(&Keras::new().layer("g"), &bytes).expect_err("not given").to_string();
        assert!(error.contains("initial_state") && error.contains(origin), "{error}");
        assert!(parse(&Keras::new().layer("g").states_given(), &bytes).is_ok());
        assert_eq!(value("reader", &bytes), 1.0);
    }
}

#[test]
fn a_mask_with_go_backwards_is_refused() {
    let mut back = gru("back");
    back["config"]["go_backwards"] = json!(true);
    let masking = layer("Masking", json!({"name": "m", "mask_value": 0.0}));
    let stack = Keras::new().layers(["back", "g"]);
    let bytes =
        |layers: &[Value]| file(&sequential("s", layers), &[("back", &[("b", 1.0)]), ("g", &[("g", 2.0)])]);
    assert!(parse(&stack, &bytes(&[back.clone(), gru("g")])).is_ok());
    let error = parse(&stack, &bytes(&[masking, back, gru("g")])).expect_err("Keras mixes steps up");
    assert!(error.to_string().contains("go_backwards"), "{error}");
}

/// A stack of `count` layers, each a group of its own or all in one nested model; its configuration is separate.
fn large(count: usize, nested: bool) -> (Vec<u8>, String, Vec<String>) {
    let own: Vec<String> = (0..count).map(|index| format!("g{index}")).collect();
    let grus: Vec<Value> = own.iter().map(|name| gru(name)).collect();
    let mut root = Group::default();
    root.text("keras_version", "2.4.0");
    let all = root.at("model_weights");
    let config = if nested {
        all.list("layer_names", &["in".into()]);
        let (group, mut names) = (all.at("in"), Vec::new());
        own.iter().for_each(|name| weights(group, &mut names, name, 0.5));
        group.list("weight_names", &names);
        sequential("s", &[sequential("in", &grus)])
    } else {
        all.list("layer_names", &own);
        for name in &own {
            let (group, mut names) = (all.at(name), Vec::new());
            weights(group, &mut names, name, 0.5);
            group.list("weight_names", &names);
        }
        sequential("s", &grus)
    };
    let names = own.iter().map(|name| if nested { format!("in/{name}") } else { name.clone() }).collect();
    (root.file(), config.to_string(), names)
}

/// The same as a zip, where weights are stored by class.
fn large_zip(count: usize) -> Vec<u8> {
    let mut root = Group::default();
    let grus: Vec<Value> = (0..count).map(|index| gru(&format!("g{index}"))).collect();
    for index in 0..count {
        let suffix = if index == 0 { String::new() } else { format!("_{index}") };
        for (place, (_, shape)) in PARTS.iter().enumerate() {
            let path = format!("layers/gru{suffix}/cell/vars/{place}");
            root.array(&path, shape, &vec![0.5; shape[0] * shape[1]]);
        }
    }
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let config = sequential("s", &grus).to_string();
    let facts = r#"{"keras_version": "3.0.0"}"#;
    let parts = [
        ("config.json", config.into_bytes()),
        ("metadata.json", facts.into()),
        ("model.weights.h5", root.file()),
    ];
    for (name, content) in parts {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(name, options).and_then(|()| Ok(writer.write_all(&content)?)).expect("a zip");
    }
    writer.finish().expect("a zip").into_inner()
}

/// The CPU time of this thread, which other work on the machine does not lengthen; the wall clock if the system does
/// not provide it.
fn clock(start: Instant) -> Duration {
    // Linux updates the CPU time of a thread when it yields.
    std::thread::yield_now();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.as_deref().and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// The shortest of five times.
fn best(work: impl Fn()) -> Duration {
    let start = Instant::now();
    let time = |_| {
        let before = clock(start);
        work();
        clock(start) - before
    };
    (0..5).map(time).min().unwrap_or_default()
}

#[test]
fn time_grows_as_the_file_does() {
    // Both are larger than the L1 and L2 caches.
    const SMALL: usize = 3000;
    let check = |what: &str, times: &dyn Fn() -> [Duration; 2]| {
        // In instructions it is 4.0; the rest are caches and other work on the machine: another try, not another
        // bound.
        let mut ratios = Vec::new();
        while ratios.len() < 3 && ratios.last().is_none_or(|ratio| *ratio >= 6.0) {
            let [small, large] = times();
            ratios.push(large.as_secs_f64() / small.as_secs_f64().max(1e-9));
        }
        println!("{what}: {ratios:.1?}");
        assert!(ratios.last() < Some(&6.0), "{what}: four times the layers take {ratios:.1?} times as long");
    };
    for nested in [false, true] {
        let files = [SMALL, 4 * SMALL].map(|count| large(count, nested));
        // All layers as one stack, one of them, and a list of them.
        check("stack", &|| {
            files.each_ref().map(|(bytes, config, names)| {
                let how = Keras::new().config(config).layers(names);
                best(|| assert_eq!(parse(&how, bytes).expect("a stack").report.used.len(), 3 * names.len()))
            })
        });
        check("one", &|| {
            files.each_ref().map(|(bytes, config, names)| {
                let how = Keras::new().config(config).layer(&names[names.len() - 1]);
                best(|| {
                    assert_eq!(parse(&how, bytes).expect("one").report.left_over.len(), 3 * names.len() - 3)
                })
            })
        });
        check("list", &|| {
            files.each_ref().map(|(bytes, config, names)| {
                let how = Keras::new().config(config);
                best(|| match parse(&how, bytes).expect_err("which?") {
                    Error::Ambiguous { found, .. } => assert_eq!(found.len(), names.len()),
                    other => panic!("{other}"),
                })
            })
        });
    }
    let files = [SMALL, 4 * SMALL].map(large_zip);
    check("zip", &|| {
        files.each_ref().map(|bytes| {
            let how = Keras::new().layers((0..SMALL).map(|index| format!("g{index}")));
            best(|| {
                assert_eq!(how.parse("large.keras", bytes).expect("a stack").report.used.len(), 3 * SMALL)
            })
        })
    });
}

#[test]
fn limits_are_held_and_named() {
    let (bytes, config, _) = large(10, false);
    let zip = large_zip(10);
    let small = Limits::default().tensors(29);
    let header = Limits::default().header(100);
    let unfolded = Limits::default().decompressed(4000);
    for (limits, bytes, words) in [
        (small, &bytes, "needs 30 tensors"),
        (header, &bytes, "Limits::header allows 100"),
        (small, &zip, "Limits::tensors allows 29"),
        (header, &zip, "Limits::header allows 100"),
        (unfolded, &zip, "Limits::decompressed allows 4000"),
    ] {
        let how = Keras::new().config(&config).limits(limits);
        let error = parse(&how.layer("g1"), bytes).expect_err(words);
        assert!(matches!(error, Error::TooLarge { .. }), "{words}: {error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    // An array that consists of its shape alone is not allocated before its shape is checked against the layer's.
    let mut root = Group::default();
    root.text("keras_version", "2.4.0").text("model_config", &sequential("s", &[gru("g")]).to_string());
    let group = root.at("model_weights").list("layer_names", &["g".into()]).at("g");
    let mut names = Vec::new();
    weights(group, &mut names, "g", 1.0);
    group.array("g/kernel:0", &[1, 6], &[1.0; 6]).list("weight_names", &names);
    let error = of_file(parse(&Keras::new(), &root.file()).expect_err("another shape"));
    assert!(matches!(&error, Error::Shape { expected, .. } if expected == &[1, 3]), "{error}");
}
