//! Tensors that no cell of PyTorch has: under the stack's own prefix they make it another cell, which is refused by
//! their names; other layers of the model are left over.

use wgru::import::PyTorch;
use wgru::{Cell, Error, ReadoutSteps};

use super::file::{File, value};

/// A stack or a cell of an LSTM, I = 2 and H = 3, without biases.
fn lstm(prefix: &str, end: &str) -> File {
    let mut file = File::default();
    file.f32(&format!("{prefix}weight_ih{end}"), &[12, 2]).f32(&format!("{prefix}weight_hh{end}"), &[12, 3]);
    file
}

#[track_caller]
fn assert_refused(file: &File, how: &PyTorch, names: &[&str]) {
    let error = file.refused_with(how);
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    for name in names {
        assert!(error.to_string().contains(name), "{name} is not in: {error}");
    }
}

/// Further tensors of hand-written cells, by name and shape.
const PARTS: [(&str, &[usize]); 12] = [
    ("layernorm_h.weight", &[12]),
    ("layernorm_c.bias", &[3]),
    ("norms.0.weight", &[12]),
    ("bn.num_batches_tracked", &[]),
    ("weight_ch", &[9]),
    ("w_ci", &[3]),
    ("alpha", &[]),
    ("h0", &[1, 3]),
    ("recurrent_bias", &[12]),
    ("weight_hh_raw", &[12, 3]),
    ("weight_hh_l0_raw", &[12, 3]),
    ("parametrizations.weight_hh.1._u", &[12]),
];

#[test]
fn further_tensors_of_the_module_are_refused_by_name() {
    for end in ["", "_l0"] {
        // Outermost, under a wrapper, and as a module of a model.
        for prefix in ["", "module.", "model._orig_mod.", "cell.", "rnn.layers.0.cell."] {
            let plain = lstm(prefix, end);
            plain.read().expect("a plain stack");
            for (part, shape) in PARTS {
                let name = format!("{prefix}{part}");
                assert_refused(plain.clone().f32(&name, shape), &PyTorch::new(), &[&name]);
            }
            // All are named, up to twenty.
            let mut all = plain.clone();
            for (part, shape) in PARTS {
                all.f32(&format!("{prefix}{part}"), shape);
            }
            assert_refused(&all, &PyTorch::new(), &PARTS.map(|(part, _)| part));
        }
    }
}

#[test]
fn other_layers_of_the_model_are_left_over() {
    let others: [(&str, &[usize]); 5] = [
        ("fc.weight", &[4, 3]),
        ("fc.bias", &[4]),
        ("head.0.weight", &[4, 3]),
        ("head.1.weight", &[4]),
        ("embedding.weight", &[7, 2]),
    ];
    for prefix in ["", "module.", "_orig_mod."] {
        for end in ["", "_l0"] {
            let mut file = lstm(prefix, end);
            for (name, shape) in others {
                file.f32(&format!("{prefix}{name}"), shape);
            }
            let report = file.read().expect("a model that is a stack").report;
            assert_eq!((report.used.len(), report.left_over.len()), (2, 5));
            let how = PyTorch::new().readout("fc", ReadoutSteps::Last);
            let imported = file.read_with(&how).expect("its readout");
            assert_eq!(imported.model.readout().map(|readout| readout.outputs()), Some(4));
        }
    }
    // Beside the stack's module anything is allowed, norms too.
    let mut file = lstm("encoder.rnn.", "_l0");
    file.f32("encoder.norm.weight", &[3]).f32("encoder.bias", &[3]).f32("norm.weight", &[3]).f32("rnn", &[1]);
    assert_eq!(file.read().expect("a stack of a model").report.left_over.len(), 4);
    // Under the module of a stack, a matrix is refused unless it is the readout's.
    let mut file = lstm("encoder.", "_l0");
    file.f32("encoder.fc.weight", &[4, 3]);
    assert_refused(&file, &PyTorch::new(), &["encoder.fc.weight", "readout"]);
    file.read_with(&PyTorch::new().readout("encoder.fc", ReadoutSteps::Every)).expect("its readout");
}

#[test]
fn copies_beside_the_module_are_refused() {
    for (prefix, copy) in [
        ("rnns.0.module.", "rnns.0.weight_hh_l0_raw"),
        ("module.", "weight_hh_l0_raw"),
        ("a.b.module.", "a.weight_ih_l0_dropped"),
    ] {
        let mut file = lstm(prefix, "_l0");
        file.f32(copy, &[12, 3]);
        assert_refused(&file, &PyTorch::new(), &[copy]);
        // The trained weights alone, under their own name below the module.
        let mut raw = lstm(prefix, "_l0").without(&format!("{prefix}weight_hh_l0"));
        raw.f32(&format!("{prefix}weight_hh_l0_raw"), &[12, 3]);
        assert_refused(&raw, &PyTorch::new(), &[&format!("{prefix}weight_hh_l0_raw")]);
    }
    // A weight-normed stack around another module: its tensors are its own.
    let mut file = lstm("outer.inner.", "_l0");
    file.f32("outer.weight_ih_l0_v", &[12, 2]).f32("outer.weight_ih_l0_g", &[12, 1]);
    file.f32("outer.weight_hh_l0", &[12, 3]);
    file.read_with(&PyTorch::new().prefix("outer.inner")).expect("the inner one");
    // A name that begins like a part and is none.
    for name in ["weight_hh_scale", "weight_ih_norm", "weight_hh_lambda"] {
        let mut file = lstm("gru.", "_l0");
        file.f32(name, &[2]);
        assert_eq!(file.read().expect("no copy").report.left_over, [name]);
    }
    // And copies that belong to a module elsewhere.
    let mut file = lstm("a.module.", "_l0");
    file.f32("b.weight_hh_l0_raw", &[12, 3]);
    assert_eq!(file.read().expect("a").report.left_over, ["b.weight_hh_l0_raw"]);
}

#[test]
fn one_bias_for_both_products_is_added() {
    let bias: Vec<f32> = (0..12).map(value).collect();
    for (end, joint) in [("", "c.bias"), ("_l0", "c.bias_l0")] {
        let mut file = lstm("c.", end);
        file.data(joint, &[12], &bias);
        let imported = file.read().expect("an LSTM");
        let weights = &imported.model.layers()[0].weights()[0];
        assert_eq!((weights.b_ih.as_ref(), weights.b_hh.as_ref()), (Some(&bias), None));
        assert!(imported.report.decisions.iter().any(|decision| decision.starts_with(joint)));
        assert!(imported.report.left_over.is_empty());
        // Beside the two biases it is something else; with another length it does not fit.
        let mut both = file.clone();
        both.f32(&format!("c.bias_ih{end}"), &[12]).f32(&format!("c.bias_hh{end}"), &[12]);
        assert_refused(&both, &PyTorch::new(), &[joint]);
        assert!(
            matches!(file.clone().f32(joint, &[6]).refused(), Error::Shape { name, .. } if name == joint)
        );
    }
    // An RNN has one too; for a GRU the side of the reset gate is unknown.
    for (gates, cell) in [(1, Cell::Rnn), (3, Cell::GRU)] {
        let mut file = File::default();
        file.f32("weight_ih", &[gates * 3, 2]).f32("weight_hh", &[gates * 3, 3]).f32("bias", &[gates * 3]);
        match cell {
            Cell::Rnn => assert!(file.read().expect("an RNN").model.layers()[0].weights()[0].b_ih.is_some()),
            _ => assert_refused(&file, &PyTorch::new(), &["bias"]),
        }
    }
}
