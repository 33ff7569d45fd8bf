//! PyTorch safetensors files, made in memory: what is read, what is refused and in which words, and that no
//! broken file makes the importer panic.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView, serialize};
use wgru::model::{Activation, Activations};
use wgru::{Batch, Cell, Device, Direction, Error, Imported, Model, PyTorch, ReadoutSteps};

/// One tensor of a file.
#[derive(Clone)]
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A safetensors file in the making.
#[derive(Clone, Default)]
struct File {
    tensors: Vec<(String, Tensor)>,
    metadata: HashMap<String, String>,
}

/// Element `i` of a tensor of `len`: small, different, and exact in f16, bf16, f32 and f64.
fn value(i: usize) -> f32 {
    (i % 17) as f32 / 16.0 - 0.5
}

impl File {
    /// Sets a tensor, also over an earlier one of its name.
    fn set(&mut self, name: &str, tensor: Tensor) -> &mut Self {
        self.tensors.retain(|(other, _)| other != name);
        self.tensors.push((name.into(), tensor));
        self
    }

    fn f32(&mut self, name: &str, shape: &[usize]) -> &mut Self {
        let data: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        self.data(name, shape, &data)
    }

    fn data(&mut self, name: &str, shape: &[usize], data: &[f32]) -> &mut Self {
        let bytes = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.set(name, Tensor { dtype: Dtype::F32, shape: shape.to_vec(), bytes })
    }

    fn without(&self, name: &str) -> Self {
        let mut file = self.clone();
        file.tensors.retain(|(other, _)| other != name);
        assert!(file.tensors.len() < self.tensors.len(), "there is no {name} to leave out");
        file
    }

    /// One direction of one layer; `rows` is G·H.
    fn layer(&mut self, prefix: &str, end: &str, rows: usize, input: usize, hidden: usize) -> &mut Self {
        self.f32(&format!("{prefix}weight_ih_{end}"), &[rows, input])
            .f32(&format!("{prefix}weight_hh_{end}"), &[rows, hidden])
            .f32(&format!("{prefix}bias_ih_{end}"), &[rows])
            .f32(&format!("{prefix}bias_hh_{end}"), &[rows])
    }

    /// A stack of `gates`, I = 2 and H = 3.
    fn stack(gates: usize, layers: usize) -> Self {
        let mut file = Self::default();
        for index in 0..layers {
            file.layer("", &format!("l{index}"), gates * 3, if index == 0 { 2 } else { 3 }, 3);
        }
        file
    }

    fn bytes(&self) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, tensor)| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
            (name, view.expect("the bytes fit the shape"))
        });
        serialize(views, Some(self.metadata.clone())).expect("a file can be made")
    }

    fn read(&self) -> Result<Imported, Error> {
        self.read_with(&PyTorch::new())
    }

    fn read_with(&self, how: &PyTorch) -> Result<Imported, Error> {
        how.parse("test.safetensors", &self.bytes())
    }

    /// The error, and that it can be printed.
    fn refused(&self) -> Error {
        self.refused_with(&PyTorch::new())
    }

    fn refused_with(&self, how: &PyTorch) -> Error {
        let error = self.read_with(how).expect_err("it must be refused");
        assert!(!error.to_string().is_empty());
        error
    }
}

fn missing(name: &str) -> Error {
    Error::MissingTensor { name: name.into(), source: "test.safetensors".into() }
}

fn shape(name: &str, expected: &[usize], got: &[usize]) -> Error {
    Error::Shape { name: name.into(), expected: expected.to_vec(), got: got.to_vec() }
}

#[test]
fn cells_are_told_by_their_rows() {
    for (gates, cell) in [(1, Cell::Rnn), (3, Cell::GRU), (4, Cell::LSTM)] {
        let Imported { model, report } = File::stack(gates, 2).read().expect("a whole file");
        assert_eq!(model.cell(), cell, "{gates} gates");
        assert_eq!([model.input(), model.hidden(), model.layers().len()], [2, 3, 2], "{gates} gates");
        assert_eq!(report.decisions, [format!("cell {cell}: weight_hh_l0 has {gates}·3 rows")]);
        assert_eq!(report.used.len(), 8);
        assert!(report.left_over.is_empty(), "{:?}", report.left_over);
    }
    let error = File::stack(2, 1).refused();
    assert!(matches!(&error, Error::Format { name, .. } if name == "weight_hh_l0"), "{error}");
    assert!(error.to_string().contains("[6, 3]"), "{error}");
}

#[test]
fn a_cell_that_is_told_is_held_against_the_rows() {
    for cell in [Cell::GRU, Cell::ORIGINAL_GRU] {
        let imported = File::stack(3, 1).read_with(&PyTorch::new().cell(cell)).expect("three gates");
        assert_eq!(imported.model.cell(), cell);
        assert_eq!(imported.report.decisions, [format!("cell {cell}: as told")]);
    }
    let relu = PyTorch::new().nonlinearity(Activation::RELU);
    let imported = File::stack(1, 1).read_with(&relu).expect("one gate");
    let expected = Activations { gate: Activation::RELU, ..Activations::of(Cell::Rnn) };
    assert_eq!(imported.model.layers()[0].activations(), [expected]);
    let error = File::stack(3, 1).refused_with(&relu);
    assert!(error.to_string().contains("nonlinearity"), "{error}");
    let error = File::stack(3, 1).refused_with(&PyTorch::new().cell(Cell::LSTM));
    assert_eq!(error, shape("weight_hh_l0 for LSTM", &[12, 3], &[9, 3]));
}

#[test]
fn numbers_pass_through_as_they_are() {
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
        assert_eq!(error, missing(&format!("{name}weight_ih_l0")));
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
    linear.f32("fc.weight", &[4, 4]).f32("gru_cell.weight_ih", &[9, 2]);
    let nothing = b"\x02\0\0\0\0\0\0\0{}".to_vec();
    for bytes in [nothing, linear.bytes()] {
        let error = PyTorch::new().parse("no.safetensors", &bytes).expect_err("no stack in it");
        assert!(matches!(&error, Error::Ambiguous { found, .. } if found.is_empty()), "{error}");
        assert!(error.to_string().ends_with("none found"), "{error}");
    }
}

#[test]
fn a_missing_tensor_is_named() {
    let file = File::stack(3, 2);
    assert_eq!(file.without("weight_hh_l0").refused(), missing("weight_hh_l0"));
    assert_eq!(file.without("weight_hh_l1").refused(), missing("weight_hh_l1"));
    for bias in ["bias_ih_l0", "bias_hh_l0", "bias_ih_l1", "bias_hh_l1"] {
        assert_eq!(file.without(bias).refused(), missing(bias));
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
fn a_wrong_shape_is_named_with_its_numbers() {
    for (name, got, expected) in [
        ("weight_ih_l0", &[8, 2][..], &[9, 2][..]),
        ("weight_ih_l0", &[9, 2, 1], &[9, 1]),
        ("weight_ih_l0", &[18], &[9, 18]),
        ("bias_ih_l0", &[8], &[9]),
        ("bias_hh_l0", &[9, 1], &[9]),
        ("bias_hh_l0", &[], &[9]),
        ("weight_ih_l1", &[12, 3], &[9, 3]),
        ("weight_hh_l1", &[12, 3], &[9, 3]),
    ] {
        assert_eq!(File::stack(3, 2).f32(name, got).refused(), shape(name, expected, got));
    }
    // H of a layer is read off its weight_hh, so another H shows at the first tensor that contradicts it.
    let error = File::stack(3, 2).f32("weight_hh_l1", &[9, 4]).refused();
    assert_eq!(error, shape("weight_ih_l1", &[12, 3], &[9, 3]));
    for got in [&[27][..], &[9, 3, 1], &[]] {
        let error = File::stack(3, 1).f32("weight_hh_l0", got).refused();
        assert!(matches!(&error, Error::Format { name, .. } if name == "weight_hh_l0"), "{error}");
        assert!(error.to_string().contains(&format!("{got:?}")), "{error}");
    }
}

#[test]
fn layers_that_do_not_fit_each_other_are_refused() {
    // An LSTM above a GRU: 12 rows where 9 are needed.
    let error = File::stack(3, 1).layer("", "l1", 12, 3, 3).refused();
    assert_eq!(error, shape("weight_ih_l1", &[9, 3], &[12, 3]));
    // Another H, and an input that the layer below does not give.
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
fn a_projection_is_not_supported_and_named() {
    // nn.LSTM(2, 6, proj_size=3), as PyTorch saves it.
    let mut file = File::default();
    file.layer("", "l0", 24, 2, 3).f32("weight_hr_l0", &[3, 6]);
    for how in [PyTorch::new(), PyTorch::new().cell(Cell::LSTM)] {
        let error = file.refused_with(&how);
        assert!(matches!(&error, Error::Unsupported { what } if what.contains("weight_hr_l0")), "{error}");
    }
}

#[test]
fn sizes_of_zero_are_refused() {
    for cell in [None, Some(Cell::GRU)] {
        let how = cell.map_or_else(PyTorch::new, |cell| PyTorch::new().cell(cell));
        let error = File::default().layer("", "l0", 0, 2, 0).refused_with(&how);
        assert!(matches!(&error, Error::Zero { name } if name.contains("weight_hh_l0")), "{error}");
        let error = File::default().layer("", "l0", 9, 0, 3).refused_with(&how);
        assert!(matches!(&error, Error::Zero { name } if name.contains("input")), "{error}");
    }
    let error = File::default().layer("", "l0", 0, 2, 3).refused();
    assert!(matches!(&error, Error::Format { .. }), "{error}");
}

#[test]
fn weights_that_are_not_finite_are_named_with_their_place() {
    for (bad, index) in [(f32::NAN, 0), (f32::INFINITY, 7), (f32::NEG_INFINITY, 17)] {
        let mut data: Vec<f32> = (0..18).map(value).collect();
        data[index] = bad;
        let error = File::stack(3, 1).data("weight_ih_l0", &[9, 2], &data).refused();
        let Error::NotFinite { name, index: at, value } = &error else { panic!("{error}") };
        assert_eq!((name.as_str(), *at, value.to_bits()), ("weight_ih_l0", index, bad.to_bits()));
    }
    // Finite as f64, infinite as f32.
    let bytes = [1e300f64; 9].iter().flat_map(|v| v.to_le_bytes()).collect();
    let large = Tensor { dtype: Dtype::F64, shape: vec![9], bytes };
    let error = File::stack(3, 1).set("bias_ih_l0", large).refused();
    assert!(matches!(&error, Error::NotFinite { name, index: 0, .. } if name == "bias_ih_l0"), "{error}");
}

/// 1, −2 and 0.5 in every storage type, by hand.
#[test]
fn floats_of_every_width_are_read() {
    let f64s = [1.0f64, -2.0, 0.5].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (dtype, bytes) in [
        (Dtype::F16, vec![0x00, 0x3c, 0x00, 0xc0, 0x00, 0x38]),
        (Dtype::BF16, vec![0x80, 0x3f, 0x00, 0xc0, 0x00, 0x3f]),
        (Dtype::F64, f64s),
    ] {
        let bias = Tensor { dtype, shape: vec![3], bytes };
        let model = File::stack(1, 1).set("bias_ih_l0", bias).read().expect("a float").model;
        assert_eq!(model.layers()[0].weights()[0].b_ih, Some(vec![1.0, -2.0, 0.5]), "{dtype:?}");
    }
}

#[test]
fn integers_are_no_weights() {
    for (dtype, width) in [(Dtype::I8, 1), (Dtype::U8, 1), (Dtype::I32, 4), (Dtype::I64, 8), (Dtype::BOOL, 1)]
    {
        let bias = Tensor { dtype, shape: vec![9], bytes: vec![0; 9 * width] };
        let error = File::stack(3, 1).set("bias_ih_l0", bias).refused();
        assert!(matches!(&error, Error::Format { name, .. } if name == "bias_ih_l0"), "{error}");
        assert!(error.to_string().contains(&format!("{dtype:?}")), "{error}");
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

    assert_eq!(file.refused_with(&how("tail")), missing("tail.weight"));
    let error = file.clone().f32("head.weight", &[5, 4]).refused_with(&how("head"));
    assert_eq!(error, shape("head.weight", &[5, 3], &[5, 4]));
    let error = file.clone().f32("head.bias", &[4]).refused_with(&how("head"));
    assert_eq!(error, shape("head.bias", &[5], &[4]));
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
    assert_eq!((model.states(), model.output()), (4, 6));
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
    assert_eq!(file.without("weight_hh_l1_reverse").refused(), missing("weight_hh_l1_reverse"));
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
    let error = Model::from_pytorch(std::env::temp_dir()).expect_err("a folder");
    assert!(matches!(&error, Error::Io { .. }), "{error}");
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let bytes = File::stack(3, 1).bytes();
    for len in 0..bytes.len() {
        let error = PyTorch::new().parse("cut", &bytes[..len]).expect_err("it is not whole");
        assert!(matches!(&error, Error::Format { name, .. } if name == "cut"), "{len} bytes: {error}");
    }
    PyTorch::new().parse("whole", &bytes).expect("the whole file is fine");
    let error = PyTorch::new().parse("longer", &[&bytes[..], &[0]].concat()).expect_err("a byte too many");
    assert!(matches!(&error, Error::Format { .. }), "{error}");
}

#[test]
fn a_header_that_lies_about_its_length_is_refused() {
    let bytes = File::stack(3, 1).bytes();
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    for length in [0, 1, header - 1, header + 1, bytes.len() as u64, 1 << 20, 1 << 40, u64::MAX - 7, u64::MAX]
    {
        let lying = [&length.to_le_bytes()[..], &bytes[8..]].concat();
        let error = PyTorch::new().parse("lying", &lying).expect_err("another length");
        assert!(matches!(&error, Error::Format { .. }), "length {length}: {error}");
    }
}

/// A file of a header in clear text and 72 bytes of data.
fn with_header(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 72]].concat()
}

#[test]
fn a_header_that_lies_about_its_tensors_is_refused() {
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        let entry = format!(r#""dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}"#);
        with_header(&format!(r#"{{"weight_ih_l0":{{{entry}}}}}"#))
    };
    // As it should be: this one is refused only since weight_hh is missing.
    let error = PyTorch::new().parse("whole", &tensor("F32", "[9,2]", "[0,72]")).expect_err("one tensor");
    assert!(matches!(&error, Error::MissingTensor { name, .. } if name == "weight_hh_l0"), "{error}");
    for (dtype, shape, offsets) in [
        ("F32", "[9,2]", "[0,76]"),
        ("F32", "[9,2]", "[4,76]"),
        ("F32", "[9,2]", "[72,0]"),
        ("F32", "[9,2]", "[0,36]"),
        ("F32", "[9,2]", "[1000000,1000072]"),
        ("F32", "[9,2]", "[0,18446744073709551615]"),
        ("F32", "[9,2]", "[18446744073709551615,71]"),
        ("F32", "[9,3]", "[0,72]"),
        ("F32", "[4611686018427387904,4]", "[0,72]"),
        ("F32", "[18446744073709551615,18446744073709551615]", "[0,72]"),
        ("F32", "[4611686018427387922]", "[0,72]"),
        ("F32", "[-9,-2]", "[0,72]"),
        ("F32", "[9.0,2]", "[0,72]"),
        ("F32", "null", "[0,72]"),
        ("F128", "[9,2]", "[0,72]"),
        ("F64", "[9,2]", "[0,72]"),
    ] {
        let result = PyTorch::new().parse("lying", &tensor(dtype, shape, offsets));
        let error = result.expect_err("a lie").to_string();
        assert!(error.starts_with("lying: not a readable"), "{dtype} {shape} {offsets}: {error}");
    }
    for header in ["", "{", "{}", "[]", "null", "\"weight_ih_l0\"", "{\"weight_ih_l0\":1}", "\u{0}", "{}{}"] {
        let error = PyTorch::new().parse("odd", &with_header(header)).expect_err("no tensors");
        assert!(matches!(&error, Error::Format { .. } | Error::Ambiguous { .. }), "{header}: {error}");
    }
    let deep = "[".repeat(100_000);
    PyTorch::new().parse("deep", &with_header(&deep)).expect_err("a hundred thousand brackets");
}

#[test]
fn flipped_bytes_give_a_model_or_an_error() {
    let mut file = File::stack(3, 2);
    file.f32("head.weight", &[2, 3]).metadata.insert("k".into(), "v".into());
    let bytes = file.bytes();
    let how = PyTorch::new().readout("head", ReadoutSteps::Every);
    how.parse("whole", &bytes).expect("the file as it is");
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let mut rng = fastrand::Rng::with_seed(20_140_603);
    let (mut read, mut refused) = (0, 0);
    for round in 0..6000 {
        let mut broken = bytes.clone();
        // Two thirds of the rounds spoil the header alone, where there is more to misread.
        let end = if round % 3 == 0 { bytes.len() } else { header };
        for _ in 0..rng.usize(1..=4) {
            broken[rng.usize(..end)] = rng.u8(..);
        }
        match how.parse("flipped", &broken) {
            Ok(_) => read += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(read > 0 && refused > 1000, "{read} read, {refused} refused: the flips reach nothing");
}

#[test]
fn an_empty_file_is_refused() {
    for bytes in [&[][..], &[0; 7], &[0; 8], &[0; 9], &[0xff; 64]] {
        let error = PyTorch::new().parse("empty", bytes).expect_err("nothing in it");
        assert!(matches!(&error, Error::Format { .. }), "{} bytes: {error}", bytes.len());
    }
}
