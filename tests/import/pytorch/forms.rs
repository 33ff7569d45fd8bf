//! The other names that PyTorch's recurrent classes save: projections, the Cell classes, nonlinearities in the
//! metadata of an export, and files of `torch.save`.

use wgru::import::PyTorch;
use wgru::model::{Activation, Activations, Reset, Update};
use wgru::{Batch, Cell, Device, Direction, Error, Imported};

use super::file::{File, assert_missing, fields, shape, value};

/// `nn.LSTM(2, 6, 2, proj_size=3, bidirectional=True)`, as PyTorch saves it.
fn projected() -> File {
    let mut file = File::default();
    for (end, input) in [("l0", 2), ("l0_reverse", 2), ("l1", 6), ("l1_reverse", 6)] {
        file.layer("", end, 24, input, 3).f32(&format!("weight_hr_{end}"), &[3, 6]);
    }
    file
}

#[test]
fn a_projection_is_read_and_reported() {
    let Imported { model, report } = projected().read().expect("a projected stack");
    assert_eq!((model.cell(), model.input(), model.hidden(), model.state_size()), (Cell::LSTM, 2, 6, 3));
    assert_eq!((model.output(), model.num_states()), (6, 4));
    for layer in model.layers() {
        assert_eq!((layer.direction(), layer.projection()), (Direction::Bidirectional, Some(3)));
        for set in layer.weights() {
            assert_eq!(set.w_hr, Some((0..18).map(value).collect()));
            assert_eq!(set.w_hh.len(), 24 * 3);
        }
    }
    let decisions = ["cell LSTM: weight_hh_l0 has 4·6 rows", "projection to 3: weight_hr_l0 gives H = 6"]
        .map(String::from);
    assert_eq!(report.decisions, decisions);
    assert_eq!((report.used.len(), report.left_over.len()), (20, 0));

    let x = [0.5; 2 * 3 * 2];
    let batch = Batch::new(&x, [2, 3, 2]).expect("x fits");
    let output = Device::cpu().load(&model).and_then(|engine| engine.run(&batch)).expect("it runs");
    assert_eq!((output.y.len(), output.h_n.len()), (2 * 3 * 6, 4 * 2 * 3));
    assert_eq!(output.c_n.map(|c| c.len()), Some(4 * 2 * 6));
}

#[test]
fn a_projection_that_is_not_whole_is_refused() {
    for name in ["weight_hr_l0", "weight_hr_l0_reverse", "weight_hr_l1", "weight_hr_l1_reverse"] {
        assert_missing(&projected().without(name).refused(), name);
    }
    let error = projected().f32("weight_hr_l1", &[4, 6]).refused();
    assert_eq!(fields(error), shape("weight_hr_l1", &[3, 6], &[4, 6]));
    let error = projected().f32("weight_hr_l2", &[3, 6]).refused();
    assert!(matches!(&error, Error::Format { name, .. } if name == "weight_hr_l2"), "{error}");
    let error = projected().f32("weight_hr_l0", &[18]).refused();
    assert!(matches!(&error, Error::Format { name, .. } if name == "weight_hr_l0"), "{error}");
    let error = projected().f32("weight_hr_l0", &[3, 0]).refused();
    assert!(matches!(&error, Error::Zero { name } if name.contains("weight_hr_l0")), "{error}");
    // H is read off weight_hr, and with it the number of gates.
    let error = projected().f32("weight_hr_l0", &[3, 8]).refused();
    assert!(error.to_string().contains("4 times (an LSTM) the 8 columns of weight_hr_l0"), "{error}");
    let mut three = File::default();
    three.layer("", "l0", 24, 2, 3).f32("weight_hr_l0", &[3, 8]);
    let error = three.refused_with(&PyTorch::new().cell(Cell::GRU));
    assert!(error.to_string().contains("only an LSTM"), "{error}");
    let error = projected().refused_with(&PyTorch::new().cell(Cell::GRU));
    assert_eq!(fields(error), shape("weight_hh_l0 for GRU (reset after, update keeps)", &[18, 3], &[24, 3]));
}

/// A Cell of `gates`, I = 2 and H = 3.
fn cell(prefix: &str, gates: usize) -> File {
    let mut file = File::default();
    file.f32(&format!("{prefix}weight_ih"), &[gates * 3, 2])
        .f32(&format!("{prefix}weight_hh"), &[gates * 3, 3]);
    file.f32(&format!("{prefix}bias_ih"), &[gates * 3]).f32(&format!("{prefix}bias_hh"), &[gates * 3]);
    file
}

#[test]
fn cells_are_one_forward_layer() {
    for (gates, kind) in [(1, Cell::Rnn), (3, Cell::GRU), (4, Cell::LSTM)] {
        for prefix in ["", "decoder.cell."] {
            let imported = cell(prefix, gates).read().expect("a cell");
            assert_eq!(imported.model, File::stack(gates, 1).read().expect("the same as a layer").model);
            assert_eq!(
                imported.report.decisions[0],
                format!("cell {kind}: {prefix}weight_hh has {gates}·3 rows")
            );
            assert_eq!(cell(prefix, gates).read_with(&PyTorch::new().prefix(prefix)).ok(), Some(imported));
        }
    }
    let told = Cell::Gru { reset: Reset::After, update: Update::Takes };
    let model =
        cell("c.", 3).read_with(&PyTorch::new().prefix("c").cell(told)).expect("without its dot").model;
    assert_eq!(model.cell(), told);
    assert_missing(&cell("c.", 3).without("c.bias_hh").refused(), "c.bias_hh");
    assert_missing(&cell("c.", 3).without("c.weight_hh").refused(), "c.weight_hh");
    let model = cell("", 3).without("bias_hh").without("bias_ih").read().expect("bias=False").model;
    assert_eq!(model.layers()[0].weights()[0].b_hh, None);
    // A part that no Cell has.
    let error = cell("", 3).f32("weight_ih_reverse", &[9, 2]).refused();
    assert!(matches!(&error, Error::Format { name, .. } if name == "weight_ih_reverse"), "{error}");
}

#[test]
fn cells_and_stacks_are_told_apart_by_prefix() {
    let mut file = cell("b.", 4);
    file.layer("a.", "l0", 9, 2, 3).tensors.extend(cell("c.0.", 3).tensors);
    let Error::Ambiguous { mut found, .. } = file.refused() else { panic!("three stacks") };
    found.sort();
    assert_eq!(found, ["\"a.\"", "\"b.\" (a cell)", "\"c.0.\" (a cell)"]);
    for (prefix, kind) in [("a", Cell::GRU), ("b", Cell::LSTM), ("c.0", Cell::GRU)] {
        assert_eq!(file.read_with(&PyTorch::new().prefix(prefix)).expect(prefix).model.cell(), kind);
    }
    // Both forms under one prefix: no name tells them apart.
    let both = File { tensors: [cell("", 3).tensors, File::stack(3, 1).tensors].concat(), ..File::default() };
    for how in [PyTorch::new(), PyTorch::new().prefix("")] {
        assert!(matches!(both.refused_with(&how), Error::Ambiguous { found, .. } if found.len() == 2));
    }
}

#[test]
fn a_nonlinearity_in_the_metadata_is_used() {
    let with = |gates: usize, value: &str| {
        let mut file = File::stack(gates, 2);
        file.metadata.insert("wgru.nonlinearity".into(), value.into());
        file
    };
    let Imported { model, report } = with(1, "relu").read().expect("an RNN");
    let relu = Activations { gate: Activation::RELU, ..Activations::of(Cell::Rnn) };
    assert!(model.layers().iter().all(|layer| layer.activations() == [relu]), "{model}");
    assert_eq!(report.decisions.len(), 2);
    assert_eq!(report.decisions[1], "nonlinearity Relu: metadata wgru.nonlinearity");
    let told = PyTorch::new().nonlinearity(Activation::TANH);
    let Imported { model, report } = with(1, "relu").read_with(&told).expect("told");
    assert_eq!(report.decisions[1], "nonlinearity Tanh: as given by the caller");
    let assumed = File::stack(1, 2).read().expect("tanh");
    assert_eq!(model, assumed.model);
    assert!(assumed.report.decisions[1].starts_with("nonlinearity Tanh: assumed"), "{:?}", assumed.report);
    assert_eq!(
        with(1, "tanh").read().expect("tanh").report.decisions[1],
        "nonlinearity Tanh: metadata wgru.nonlinearity"
    );
    assert_eq!(with(1, "tanh").read().expect("tanh").model, model);
    assert!(with(1, "selu").refused().to_string().contains("got selu"));
    assert!(with(3, "relu").refused().to_string().contains("is for an nn.RNN"));
}

#[test]
fn a_pickle_is_refused_with_the_line_that_converts_it() {
    let start = "\npython -c \"import torch, safetensors.torch as s; d = torch.load('best.pt', map_location='cpu', \
                 weights_only=True);";
    let error = PyTorch::new().parse("best.pt", b"PK\x03\x04 best/data.pkl").expect_err("a zip archive");
    assert!(matches!(error, Error::Unsupported { .. }));
    assert!(error.to_string().contains("best.pt: ") && error.to_string().contains(start), "{error}");
    let old = [&[0x80, 2, 0x8a, 0x0a][..], &[7; 20]].concat();
    for (source, bytes) in
        [("weights", &old[..]), ("weights.ckpt", b"x"), ("weights.bin", b""), ("w.pth", b"")]
    {
        let error = PyTorch::new().parse(source, bytes).expect_err("a pickle");
        assert!(error.to_string().contains("python -c"), "{source}: {error}");
    }
    // The content decides, not the name.
    let bytes = File::stack(3, 1).bytes();
    assert!(PyTorch::new().parse("pytorch_model.bin", &bytes).is_ok());
}
