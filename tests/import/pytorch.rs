//! PyTorch safetensors files, created in memory: supported ones, refusals with their messages, and that no corrupted
//! file makes the importer panic.

mod belongs;
mod file;
mod forms;
mod hostile;
mod scale;
mod shards;
mod stored;
mod values;

use wgru::import::PyTorch;
use wgru::model::{Activation, Activations};
use wgru::{Batch, Cell, Device, Direction, Error, Imported, Model, ReadoutActivation, ReadoutSteps};

use file::{File, assert_missing, fields, shape, value};

#[test]
fn cells_are_recognised_by_their_rows() {
    for (gates, cell) in [(1, Cell::Rnn), (3, Cell::GRU), (4, Cell::LSTM)] {
        let Imported { model, report } = File::stack(gates, 2).read().expect("a whole file");
        assert_eq!(model.cell(), cell, "{gates} gates");
        assert_eq!([model.input(), model.hidden(), model.layers().len()], [2, 3, 2], "{gates} gates");
        assert_eq!(report.decisions[0], format!("cell {cell}: weight_hh_l0 has {gates}·3 rows"));
        assert_eq!(report.decisions.len(), if cell == Cell::Rnn { 2 } else { 1 });
        assert_eq!(report.used.len(), 8);
        assert!(report.left_over.is_empty(), "{:?}", report.left_over);
    }
    let error = File::stack(2, 1).refused();
    assert!(matches!(&error, Error::Format { name, .. } if name == "weight_hh_l0"), "{error}");
    assert!(error.to_string().contains("[6, 3]"), "{error}");
}

#[test]
fn a_given_cell_is_checked_against_the_rows() {
    for cell in [Cell::GRU, Cell::ORIGINAL_GRU] {
        let imported = File::stack(3, 1).read_with(&PyTorch::new().cell(cell)).expect("three gates");
        assert_eq!(imported.model.cell(), cell);
        assert_eq!(imported.report.decisions, [format!("cell {cell}: as given by the caller")]);
    }
    let relu = PyTorch::new().nonlinearity(Activation::RELU);
    let imported = File::stack(1, 1).read_with(&relu).expect("one gate");
    assert!(imported.report.decisions.contains(&"nonlinearity Relu: as given by the caller".into()));
    let expected = Activations { gate: Activation::RELU, ..Activations::of(Cell::Rnn) };
    assert_eq!(imported.model.layers()[0].activations(), [expected]);
    let error = File::stack(3, 1).refused_with(&relu);
    assert!(error.to_string().contains("nonlinearity"), "{error}");
    let error = File::stack(3, 1).refused_with(&PyTorch::new().cell(Cell::LSTM));
    assert_eq!(fields(error), shape("weight_hh_l0 for LSTM", &[12, 3], &[9, 3]));
}

#[test]
fn numbers_are_unchanged() {
    let mut file = File::stack(3, 1);
    let ramp = |len: usize, scale: f32| (0..len).map(|i| i as f32 * scale).collect::<Vec<_>>();
    file.data("weight_ih_l0", &[9, 2], &ramp(18, 0.25)).data("bias_hh_l0", &[9], &ramp(9, -0.5));
    let model = file.read().expect("a whole file").model;
    let weights = &model.layers()[0].weights()[0];
    assert_eq!(weights.w_ih, ramp(18, 0.25));
    assert_eq!(weights.b_hh, Some(ramp(9, -0.5)));
    assert_eq!(weights.w_hh, (0..27).map(value).collect::<Vec<_>>());
}

#[test]
fn the_prefix_is_found_or_given_with_and_without_its_dot() {
    let mut file = File::default();
    file.layer("encoder.gru.", "l0", 9, 2, 3).f32("encoder.norm.weight", &[5]);
    let found = file.read().expect("one stack");
    assert_eq!(found.report.left_over, ["encoder.norm.weight"]);
    assert!(found.report.used.contains(&"encoder.gru.weight_hh_l0".into()), "{:?}", found.report.used);
    for prefix in ["encoder.gru", "encoder.gru."] {
        assert_eq!(file.read_with(&PyTorch::new().prefix(prefix)).expect(prefix), found);
    }
    let named = [
        ("decoder.gru", "decoder.gru."),
        ("encoder", "encoder."),
        ("encoder.gru..", "encoder.gru.."),
        ("", ""),
    ];
    for (prefix, name) in named {
        let error = file.refused_with(&PyTorch::new().prefix(prefix));
        assert_missing(&error, &format!("{name}weight_ih_l0"));
    }
}

#[test]
fn several_stacks_are_listed_and_one_can_be_named() {
    let mut file = File::stack(3, 1);
    file.layer("a.", "l0", 12, 4, 3).layer("b.lstm.", "l0", 3, 5, 3);
    let error = file.refused();
    let Error::Ambiguous { what, found } = &error else { panic!("{error}") };
    assert!(what.contains("test.safetensors"), "{what}");
    let mut found = found.clone();
    found.sort();
    assert_eq!(found, ["\"\"", "\"a.\"", "\"b.lstm.\""]);
    for (prefix, input) in [("", 2), ("a", 4), ("b.lstm.", 5)] {
        let imported = file.read_with(&PyTorch::new().prefix(prefix)).expect(prefix);
        assert_eq!(imported.model.input(), input, "prefix \"{prefix}\"");
        assert_eq!((imported.report.used.len(), imported.report.left_over.len()), (4, 8));
    }
}

#[test]
fn a_file_without_a_stack_says_so() {
    let mut linear = File::default();
    linear.f32("fc.weight", &[4, 4]).f32("gru.weight_ih_l1", &[9, 2]);
    let nothing = b"\x02\0\0\0\0\0\0\0{}".to_vec();
    for bytes in [nothing, linear.bytes()] {
        let error = PyTorch::new().parse("no.safetensors", &bytes).expect_err("no stack in it");
        assert!(matches!(&error, Error::Ambiguous { found, .. } if found.is_empty()), "{error}");
        assert!(error.to_string().ends_with("none found"), "{error}");
        let named = error.to_string().contains("which has fc.weight, gru.weight_ih_l1");
        assert!(named || error.to_string().contains("which has no tensors"), "{error}");
    }
}

#[test]
fn a_missing_tensor_is_named() {
    let file = File::stack(3, 2);
    assert_missing(&file.without("weight_hh_l0").refused(), "weight_hh_l0");
    assert_missing(&file.without("weight_hh_l1").refused(), "weight_hh_l1");
    for bias in ["bias_ih_l0", "bias_hh_l0", "bias_ih_l1", "bias_hh_l1"] {
        assert_missing(&file.without(bias).refused(), bias);
    }
}

#[test]
fn biases_may_be_absent_layer_by_layer() {
    let file = File::stack(3, 2).without("bias_ih_l1").without("bias_hh_l1");
    let model = file.read().expect("bias=False").model;
    let biased = |layer: usize| {
        let weights = &model.layers()[layer].weights()[0];
        (weights.b_ih.is_some(), weights.b_hh.is_some())
    };
    assert_eq!((biased(0), biased(1)), ((true, true), (false, false)));
}

#[test]
fn layers_that_do_not_fit_each_other_are_refused() {
    // An LSTM above a GRU: 12 rows where 9 are needed.
    let error = File::stack(3, 1).layer("", "l1", 12, 3, 3).refused();
    assert_eq!(fields(error), shape("weight_ih_l1", &[9, 3], &[12, 3]));
    // Another H, and an input that the layer below does not output.
    let error = File::stack(3, 1).layer("", "l1", 12, 3, 4).refused();
    assert!(matches!(&error, Error::Mismatch { name, .. } if name == "H of layer 1"), "{error}");
    let error = File::stack(3, 1).layer("", "l1", 9, 5, 3).refused();
    assert!(matches!(&error, Error::Mismatch { name, .. } if name == "input of layer 1"), "{error}");
}

#[test]
fn a_gap_in_the_layers_is_refused() {
    let error = File::stack(3, 1).layer("", "l2", 9, 3, 3).refused();
    assert!(matches!(&error, Error::Format { name, .. } if name.ends_with("_l2")), "{error}");
    let error = File::stack(3, 2).f32("weight_hh_l2", &[9, 3]).refused();
    assert!(matches!(&error, Error::Format { name, .. } if name == "weight_hh_l2"), "{error}");
}

#[test]
fn more_than_nine_layers_are_read_in_order() {
    let mut file = File::stack(3, 12);
    for index in 0..12 {
        file.data(&format!("bias_ih_l{index}"), &[9], &[index as f32; 9]);
    }
    let model = file.read().expect("twelve layers").model;
    assert_eq!(model.layers().len(), 12);
    for (index, layer) in model.layers().iter().enumerate() {
        assert_eq!(layer.weights()[0].b_ih, Some(vec![index as f32; 9]), "layer {index}");
    }
}

#[test]
fn a_readout_is_read_by_its_name() {
    let mut file = File::stack(3, 1);
    file.f32("head.weight", &[5, 3]).f32("head.bias", &[5]).f32("plain.weight", &[4, 3]);
    let how = |name: &str| PyTorch::new().readout(name, ReadoutSteps::Last);

    let Imported { model, report } = file.read_with(&how("head")).expect("a readout with a bias");
    let readout = model.readout().expect("a readout");
    assert_eq!((readout.outputs(), readout.steps()), (5, ReadoutSteps::Last));
    assert_eq!(readout.b().map(<[f32]>::len), Some(5));
    assert_eq!(report.left_over, ["plain.weight"]);

    let Imported { model, report } = file.read_with(&how("plain")).expect("a readout without a bias");
    let readout = model.readout().expect("a readout");
    assert_eq!((readout.outputs(), readout.b()), (4, None));
    assert_eq!(report.left_over, ["head.bias", "head.weight"]);

    let without = file.read().expect("no readout asked for");
    assert_eq!(without.model.readout(), None);
    assert_eq!(without.report.left_over, ["head.bias", "head.weight", "plain.weight"]);

    let alone = PyTorch::new().readout_activation(ReadoutActivation::Softmax);
    assert!(
        matches!(file.refused_with(&alone), Error::Mismatch { name, .. } if name == "readout_activation")
    );
    assert_missing(&file.refused_with(&how("tail")), "tail.weight");
    let error = file.clone().f32("head.weight", &[5, 4]).refused_with(&how("head"));
    assert_eq!(fields(error), shape("head.weight", &[5, 3], &[5, 4]));
    let error = file.clone().f32("head.bias", &[4]).refused_with(&how("head"));
    assert_eq!(fields(error), shape("head.bias", &[5], &[4]));
    let error = file.clone().f32("head.weight", &[]).refused_with(&how("head"));
    assert!(matches!(&error, Error::Shape { name, .. } if name == "head.weight"), "{error}");
    let error = file.clone().f32("head.weight", &[0, 3]).f32("head.bias", &[0]).refused_with(&how("head"));
    assert!(matches!(&error, Error::Zero { .. }), "{error}");
}

#[test]
fn the_report_tells_what_was_used_and_the_files_metadata() {
    let mut file = File::stack(3, 1);
    file.f32("embedding.weight", &[2, 2]);
    file.metadata.insert("trained_on".into(), "tides".into());
    let report = file.read().expect("a whole file").report;
    let mut used = report.used.clone();
    used.sort();
    assert_eq!(used, ["bias_hh_l0", "bias_ih_l0", "weight_hh_l0", "weight_ih_l0"]);
    assert_eq!(report.left_over, ["embedding.weight"]);
    assert_eq!(report.metadata.get("trained_on").map(String::as_str), Some("tides"));
}

#[test]
fn bidirectional_stacks_are_imported_and_run() {
    let mut file = File::default();
    for (index, input) in [(0, 2), (1, 6)] {
        file.layer("", &format!("l{index}"), 9, input, 3);
        file.layer("", &format!("l{index}_reverse"), 9, input, 3);
    }
    let model = file.read().expect("a bidirectional stack").model;
    assert_eq!((model.num_states(), model.output()), (4, 6));
    for layer in model.layers() {
        assert_eq!((layer.direction(), layer.weights().len()), (Direction::Bidirectional, 2));
    }
    let x = [0.5; 2 * 3 * 2];
    let batch = Batch::new(&x, [2, 3, 2]).expect("x fits");
    assert_eq!(
        Device::cpu().load(&model).and_then(|engine| engine.run(&batch)).expect("it runs").y.len(),
        36
    );

    // Parts of a reverse direction are parts of the stack.
    assert_missing(&file.without("weight_hh_l1_reverse").refused(), "weight_hh_l1_reverse");
    let error = file.without("weight_ih_l1_reverse").refused();
    assert!(matches!(&error, Error::Mismatch { .. } | Error::Format { .. }), "{error}");
    let error = File::stack(3, 1).f32("bias_hh_l0_reverse", &[9]).refused();
    assert!(matches!(&error, Error::Format { name, .. } if name == "bias_hh_l0_reverse"), "{error}");
}

#[test]
fn a_file_is_read_from_its_path() {
    let path = std::env::temp_dir().join(format!("wgru-import-{}.safetensors", std::process::id()));
    std::fs::write(&path, File::stack(4, 1).bytes()).expect("a file can be written");
    let imported = Model::from_pytorch(&path);
    let parsed = PyTorch::new().read(&path);
    std::fs::remove_file(&path).expect("the file can be removed");
    let imported = imported.expect("a whole file");
    assert_eq!(imported, parsed.expect("a whole file"));
    assert_eq!(imported, File::stack(4, 1).read().expect("the same bytes"));
    let x = [0.5; 2];
    let batch = Batch::new(&x, [1, 1, 2]).expect("x fits");
    let engine = Device::cpu().load(&imported.model).expect("an LSTM");
    assert_eq!(engine.run(&batch).expect("it runs").y.len(), 3);

    let error = Model::from_pytorch(&path).expect_err("it was removed");
    let Error::Io { path: named, .. } = &error else { panic!("{error}") };
    assert_eq!(named, &path.display().to_string());
}
