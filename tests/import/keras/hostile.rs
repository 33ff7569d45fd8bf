//! Files that are truncated, corrupted or contradictory: an error, quickly, and never a panic.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::Value;
use wgru::import::Keras;
use wgru::{Error, ReadoutSteps};

use super::{bytes, hdf5, stack_config};
use crate::common::onnx_file::of_file;

/// Far more than any small file may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

fn stack() -> Keras {
    Keras::new().layers(["first", "second"]).readout("head", ReadoutSteps::Last)
}

fn back() -> Keras {
    Keras::new().layers(["back", "on_back"]).readout("head", ReadoutSteps::Every)
}

/// Every kind of file, with a function that reads everything in it.
fn kinds() -> Vec<(&'static str, Keras, Vec<u8>)> {
    vec![
        ("stack.keras", stack(), bytes("stack.keras")),
        ("stack.weights.h5", stack().config(stack_config().to_string()), bytes("stack.weights.h5")),
        ("branches.keras", Keras::new().layer("inner/deep"), bytes("branches.keras")),
        ("branches.h5", Keras::new().layer("bidirectional_lstm"), bytes("branches.h5")),
        ("keras1.h5", Keras::new().layer("lstm_1"), bytes("keras1.h5")),
        ("graphs.keras", back(), bytes("graphs.keras")),
        ("nested.h5", Keras::new().layer("inner/gru_1"), bytes("nested.h5")),
        ("bfloat16.keras", Keras::new(), bytes("bfloat16.keras")),
    ]
}

fn parse(how: &Keras, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let start = Instant::now();
    let result = how.parse(name, bytes);
    assert!(start.elapsed() < TIME_LIMIT, "{name} took {:?}", start.elapsed());
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(of_file(error)),
    }
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    for (name, how, whole) in kinds() {
        parse(&how, name, &whole).expect("the whole file is fine");
        let step = (whole.len() / 300).max(1);
        for len in (0..whole.len()).step_by(step) {
            let result = parse(&how, name, &whole[..len]);
            assert!(result.is_err(), "{name}: {len} of {} bytes are read", whole.len());
        }
    }
}

#[test]
fn flipped_bytes_give_a_model_or_an_error() {
    let mut rng = crate::common::seed::Random::new();
    for (name, how, whole) in kinds() {
        let (mut read, mut refused) = (0, 0);
        for round in 0..600 {
            let mut broken = whole.clone();
            // The headers are at the front; most of what follows is numbers, where every byte is valid.
            let end = if round % 3 == 0 { whole.len() } else { whole.len().min(6000) };
            for _ in 0..rng.usize(1..=6) {
                let odd = [0, 1, 0x7f, 0x80, 0xff, rng.u8(..), rng.u8(..)];
                broken[rng.usize(..end)] = odd[rng.usize(..odd.len())];
            }
            match parse(&how, name, &broken) {
                Ok(()) => read += 1,
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 20, "{name}: {read} read, {refused} refused: the flips reach nothing");
    }
}

#[test]
fn files_that_are_not_keras_are_refused() {
    for bytes in [&[][..], b"P", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", &[0; 4096], &[0xff; 4096], b"{}"] {
        let error = Keras::new().parse("odd", bytes).expect_err("nothing in it");
        assert!(matches!(&error, Error::Format { name, .. } if name.contains("odd")), "{error}");
    }
}

/// A zip of entries, deflated.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).and_then(|()| Ok(writer.write_all(content)?)).expect("a zip");
    }
    writer.finish().expect("a zip").into_inner()
}

#[test]
fn a_zip_that_lacks_a_part_or_decompresses_without_end_is_refused() {
    let config = stack_config().to_string();
    let facts = br#"{"keras_version": "3.0.0"}"#;
    let large = vec![0; 64 << 20];
    let limits = wgru::import::Limits::default().header(1 << 20);
    for (entries, words) in [
        (vec![], "readable"),
        (vec![("config.json", config.as_bytes())], "metadata.json"),
        (vec![("config.json", config.as_bytes()), ("metadata.json", facts)], "model.weights.h5"),
        (vec![("config.json", b"[[".as_slice())], "config.json"),
        (vec![("config.json", &large)], "Limits::header allows 1048576"),
    ] {
        let how = Keras::new().limits(limits);
        let error = how.parse("odd.keras", &zip(&entries)).expect_err("not whole").to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn odd_configurations_are_refused() {
    let weights = bytes("stack.weights.h5");
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(50_000), close.repeat(50_000));
    for config in [
        String::new(),
        "{".into(),
        "null".into(),
        "[]".into(),
        "[1]".into(),
        "{}".into(),
        r#"{"class_name": "Sequential"}"#.into(),
        r#"{"class_name": "Sequential", "config": {"layers": [{"class_name": "GRU", "config": {}}]}}"#.into(),
        r#"{"class_name": "Sequential", "config": {"layers": [{"class_name": "GRU", "config": {"name": 1}}]}}"#.into(),
        r#"[{"class_name": "GRU", "config": {"name": "first"}}]"#.into(),
        r#"[{"class_name": "LSTM", "config": {"name": "first", "units": -4, "activation": "tanh", "recurrent_activation": "tanh"}}]"#.into(),
        r#"[{"class_name": "LSTM", "config": {"name": "first", "units": 9223372036854775807, "activation": "tanh", "recurrent_activation": "tanh"}}]"#.into(),
        r#"[{"class_name": "Bidirectional", "config": {"name": "first"}}]"#.into(),
        r#"[{"class_name": "RNN", "config": {"name": "first", "cell": 4}}]"#.into(),
        deep("[", "]"),
        deep(r#"{"config":"#, "}"),
    ] {
        let result = Keras::new().config(config.clone()).parse("odd", &weights);
        let text: String = config.chars().take(80).collect();
        let error = result.expect_err(&text).to_string();
        assert!(!error.is_empty());
    }
    // Zero units: sizes that fit nothing.
    let mut config = stack_config();
    config["config"]["layers"][1]["config"]["units"] = 0.into();
    let error = Keras::new().layer("first").config(config.to_string()).parse("odd", &weights);
    assert!(error.is_err());
}

/// A cycle of layers that read each other must end.
#[test]
fn layers_that_read_each_other_are_refused() {
    let mut config = stack_config();
    for (layer, below) in [(1, "second"), (2, "dropout"), (3, "dropout")] {
        config["config"]["layers"][layer]["inbound_nodes"] = serde_json::json!([[[below, 0, 0, {}]]]);
        if layer == 2 {
            config["config"]["layers"][2]["name"] = "dropout".into();
        }
    }
    let how = stack().config(config.to_string());
    let error = how.parse("odd", &bytes("stack.weights.h5")).expect_err("it goes round").to_string();
    assert!(error.contains("does not read"), "{error}");
}

/// The configuration in a `.keras`.
fn config_of(name: &str) -> Value {
    let mut whole = zip::ZipArchive::new(std::io::Cursor::new(bytes(name))).expect("a zip");
    serde_json::from_reader(whole.by_name("config.json").expect("a configuration")).expect("JSON")
}

/// The paths of all values within one.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| places(item, &format!("{at}/{index}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| {
                places(field, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            });
        }
        _ => {}
    }
}

/// Graphs with parts exchanged, so that layers read themselves, others' outputs, or nothing.
#[test]
fn mixed_up_graphs_give_a_model_or_an_error() {
    let mut rng = crate::common::seed::Random::new();
    for (name, config, layers) in [
        ("graphs.keras", config_of("graphs.keras"), ["back", "writer", "on_masked", "head"]),
        ("branches.keras", config_of("branches.keras"), ["gru_after", "inner/deep", "lstm", "inner"]),
    ] {
        let (file, mut all) = (bytes(name), Vec::new());
        places(&config, "", &mut all);
        // The inputs of layers, and the inputs and outputs of a model, more often than the rest.
        let joints: Vec<&String> =
            all.iter().filter(|at| at.contains("inbound_nodes") || at.contains("put_layers")).collect();
        let (mut read, mut refused) = (0, 0);
        for _ in 0..150 {
            let mut mixed = config.clone();
            for _ in 0..rng.usize(1..=8) {
                let mut any = || match rng.bool() {
                    true => joints[rng.usize(..joints.len())],
                    false => &all[rng.usize(..all.len())],
                };
                let (to, from) = (any(), any());
                let value = config.pointer(from).expect("a place").clone();
                if let Some(place) = mixed.pointer_mut(to) {
                    *place = value;
                }
            }
            let layer = layers[rng.usize(..layers.len())];
            let how =
                Keras::new().layer(layer).readout("head", ReadoutSteps::Every).config(mixed.to_string());
            for how in
                [Keras::new().layers(["back", "on_back"]).config(mixed.to_string()), how.states_given()]
            {
                match parse(&how, name, &file) {
                    Ok(()) => read += 1,
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 20 && read + refused == 300, "{name}: {read} read, {refused} refused");
    }
}

/// A nested model that is called on itself and outputs its own input.
#[test]
fn a_model_that_reads_itself_ends() {
    let input = serde_json::json!({"class_name": "InputLayer", "config": {"name": "x"}, "name": "x", "inbound_nodes": []});
    let on = |name: &str| serde_json::json!([[[name, 0, 0, {}], [name, 0, 0, {}]]]);
    let inner =
        serde_json::json!({"layers": [input], "input_layers": [["x", 0, 0]], "output_layers": [["x", 0, 0]]});
    let mut config = stack_config();
    let mut first = config["config"]["layers"][1].clone();
    first["inbound_nodes"] = on("inner");
    let model = serde_json::json!({"class_name": "Functional", "config": inner, "name": "inner", "inbound_nodes": on("inner")});
    config["config"]["layers"] = serde_json::json!([model, first]);
    let how = Keras::new().layer("first").config(config.to_string());
    let error =
        how.parse("odd", &bytes("stack.weights.h5")).expect_err("its state comes from itself").to_string();
    assert!(error.contains("initial_state"), "{error}");
}

/// Each group contains the next one twice, so that there are 2³⁰ paths through some forty groups.
#[test]
fn groups_that_are_in_a_file_more_than_once_do_not_multiply() {
    let mut root = hdf5::Group::default();
    root.text("keras_version", "2.4.0").list("layer_names", &["a".into()]);
    root.doubled(&"a/".repeat(30));
    let start = Instant::now();
    let error = Keras::new().config("[]").parse("odd", &root.file()).expect_err("twice").to_string();
    assert!(error.contains("more than once"), "{error}");
    assert!(start.elapsed() < TIME_LIMIT);
}
