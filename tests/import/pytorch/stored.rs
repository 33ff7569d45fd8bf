//! Weights stored as the tensors that PyTorch computes them from, and names under module wrappers.

use fastrand::Rng;
use wgru::import::PyTorch;
use wgru::{Device, Direction, Error, ReadoutSteps};

use super::file::{File, assert_missing};

/// A weight that is computed from tensors with these suffixes to its name.
struct Made {
    tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
    weight: Vec<f64>,
}

/// The index in g of an element's factor, by row and column.
type Place<'a> = Box<dyn Fn(usize, usize) -> usize + 'a>;

fn random(rng: &mut Rng, len: usize) -> Vec<f32> {
    (0..len).map(|_| rng.f32() * 2.0 - 1.0).collect()
}

/// The forms of a weight of `[rows, columns]` (of a bias, `[rows]`), by definition.
fn made(rng: &mut Rng, form: usize, leaf: &str, shape: &[usize]) -> Option<Made> {
    let (rows, columns) = (shape[0], shape.get(1).copied().unwrap_or(1));
    let at = |row: usize, column: usize| row * columns + column;
    let matrix = random(rng, rows * columns);
    let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    let (old, new) = (format!("{leaf}_"), format!("parametrizations.{leaf}."));
    let is_vector = shape.len() == 1;
    let norm = |named: [String; 2], along: &str, rng: &mut Rng| {
        let (g_shape, place): (Vec<usize>, Place<'_>) = match along {
            "rows" if is_vector => (vec![rows], Box::new(|row, _| row)),
            "rows" => (vec![rows, 1], Box::new(|row, _| row)),
            "columns" => (vec![1, columns], Box::new(|_, column| column)),
            _ => (vec![], Box::new(|_, _| 0)),
        };
        let g = random(rng, g_shape.iter().product());
        let mut weight = wide(&matrix);
        for row in 0..rows {
            for column in 0..columns {
                let own = place(row, column);
                let mut sum = 0.0;
                for r in 0..rows {
                    for c in 0..columns {
                        if place(r, c) == own {
                            sum += f64::from(matrix[at(r, c)]).powi(2);
                        }
                    }
                }
                weight[at(row, column)] *= f64::from(g[own]) / f64::sqrt(sum);
            }
        }
        let [v_name, g_name] = named;
        Made { tensors: vec![(v_name, shape.to_vec(), matrix.clone()), (g_name, g_shape, g)], weight }
    };
    let spectral = |named: [String; 3], swapped: bool, rng: &mut Rng| {
        let (u_len, v_len) = if swapped { (columns, rows) } else { (rows, columns) };
        let (u, v) = (random(rng, u_len), random(rng, v_len));
        let (left, right) = if swapped { (&v, &u) } else { (&u, &v) };
        let mut sigma = 0.0;
        for row in 0..rows {
            for column in 0..columns {
                sigma += f64::from(left[row]) * f64::from(matrix[at(row, column)]) * f64::from(right[column]);
            }
        }
        let weight = wide(&matrix).iter().map(|w| w / sigma).collect();
        let [w_name, u_name, v_name] = named;
        let tensors = vec![
            (w_name, shape.to_vec(), matrix.clone()),
            (u_name, vec![u_len], u),
            (v_name, vec![v_len], v),
        ];
        Made { tensors, weight }
    };
    let ends = |start: &str, ends: [&str; 2]| ends.map(|end| format!("{start}{end}"));
    Some(match form {
        0 => Made { tensors: vec![(leaf.into(), shape.to_vec(), matrix.clone())], weight: wide(&matrix) },
        1 => norm(ends(&old, ["v", "g"]), "rows", rng),
        2 => norm(ends(&new, ["original1", "original0"]), "rows", rng),
        3 if !is_vector => norm(ends(&old, ["v", "g"]), "columns", rng),
        4 => norm(ends(&new, ["original1", "original0"]), "all", rng),
        5 if !is_vector => spectral(["orig", "u", "v"].map(|end| format!("{old}{end}")), false, rng),
        6 if !is_vector => {
            spectral(["original", "0._u", "0._v"].map(|end| format!("{new}{end}")), false, rng)
        }
        7 if !is_vector && rows != columns => {
            spectral(["orig", "u", "v"].map(|end| format!("{old}{end}")), true, rng)
        }
        8 => {
            let mask: Vec<f32> = (0..matrix.len()).map(|_| f32::from(rng.bool())).collect();
            let weight = matrix.iter().zip(&mask).map(|(w, mask)| f64::from(w * mask)).collect();
            let tensors = [("orig", &matrix), ("mask", &mask)]
                .map(|(end, data)| (format!("{old}{end}"), shape.to_vec(), data.clone()));
            Made { tensors: tensors.into(), weight }
        }
        _ => return None,
    })
}

const FORMS: usize = 9;

#[test]
fn computed_weights_are_those_of_the_definition() {
    let mut rng = crate::common::seed::Random::new();
    let mut seen = [0; FORMS];
    for round in 0..40 {
        // A bidirectional LSTM of two layers with a projection, H = 4, P = 3: every kind of tensor.
        let (mut stored, mut plain) = (File::default(), File::default());
        let mut expected = Vec::new();
        for (layer, input) in [(0, 2), (1, 6)] {
            for end in ["", "_reverse"] {
                for (part, shape) in [
                    ("weight_ih", &[16, input][..]),
                    ("weight_hh", &[16, 3]),
                    ("bias_ih", &[16]),
                    ("bias_hh", &[16]),
                    ("weight_hr", &[3, 4]),
                ] {
                    let leaf = format!("{part}_l{layer}{end}");
                    let form = (round + rng.usize(..FORMS)) % FORMS;
                    let (form, made) = match made(&mut rng, form, &leaf, shape) {
                        Some(made) => (form, made),
                        None => (1, made(&mut rng, 1, &leaf, shape).expect("the old weight_norm")),
                    };
                    seen[form] += 1;
                    for (name, shape, data) in &made.tensors {
                        stored.data(&format!("rnn.{name}"), shape, data);
                    }
                    let rounded: Vec<f32> = made.weight.iter().map(|w| *w as f32).collect();
                    plain.data(&format!("rnn.{leaf}"), shape, &rounded);
                    expected.push(made.weight);
                }
            }
        }
        let imported = stored.read().expect("a stack");
        assert!(imported.report.left_over.is_empty(), "{:?}", imported.report.left_over);
        let layers = imported.model.layers();
        assert!(layers.iter().all(|layer| layer.direction() == Direction::Bidirectional));
        let sets = layers.iter().flat_map(|layer| layer.weights());
        let got = sets.flat_map(|set| {
            let optional =
                [&set.b_ih, &set.b_hh, &set.w_hr].map(|values| values.as_ref().expect("it has them"));
            [&set.w_ih, &set.w_hh, optional[0], optional[1], optional[2]]
        });
        for (got, expected) in got.zip(&expected) {
            assert_eq!(got.len(), expected.len());
            for (got, expected) in got.iter().zip(expected) {
                // One rounding to f32 of the same number, apart from the reduction order in f64.
                let bound = f64::from(f32::EPSILON) * expected.abs();
                assert!((f64::from(*got) - expected).abs() <= bound, "{got} is not {expected}");
            }
        }
        // The model runs as that of the plain weights does.
        let x = random(&mut rng, 2 * 5 * 2);
        let batch = wgru::Batch::new(&x, [2, 5, 2]).expect("x fits");
        let run = |model| Device::cpu().load(model).and_then(|engine| engine.run(&batch)).expect("it runs").y;
        let plain = plain.read().expect("a stack").model;
        for (got, expected) in run(&imported.model).iter().zip(run(&plain)) {
            assert!((got - expected).abs() <= 1e-4, "{got} is not {expected}");
        }
        for what in ["weight_norm", "spectral_norm", "pruning"] {
            let said = imported.report.decisions.iter().any(|decision| decision.contains(what));
            let used = |end: &str| imported.report.used.iter().any(|name| name.ends_with(end));
            let there = match what {
                "weight_norm" => used("_g") || used("original0"),
                "spectral_norm" => used("_u"),
                _ => used("_mask"),
            };
            assert_eq!(said, there, "{what}: {:?}", imported.report.decisions);
        }
    }
    assert!(seen.iter().all(|&count| count > 10), "a form was not tried: {seen:?}");
}

#[test]
fn computed_weights_may_be_of_cells_and_readouts() {
    let mut rng = crate::common::seed::Random::new();
    for form in 1..FORMS {
        let (mut file, mut plain) = (File::default(), File::default());
        for (prefix, leaf, shape) in
            [("", "weight_ih", [9, 2]), ("", "weight_hh", [9, 3]), ("fc.", "weight", [5, 3])]
        {
            let made = made(&mut rng, form, leaf, &shape).expect("a matrix");
            for (name, shape, data) in &made.tensors {
                file.data(&format!("{prefix}{name}"), shape, data);
            }
            let rounded: Vec<f32> = made.weight.iter().map(|w| *w as f32).collect();
            plain.data(&format!("{prefix}{leaf}"), &shape, &rounded);
        }
        let how = PyTorch::new().readout("fc", ReadoutSteps::Last);
        let imported = file.read_with(&how).unwrap_or_else(|error| panic!("form {form}: {error}"));
        let plain = plain.read_with(&how).expect("plain").model;
        let both = [&imported.model, &plain].map(|model| model.readout().expect("fc").w().to_vec());
        assert!(both[0].iter().zip(&both[1]).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs()), "form {form}");
        assert!(imported.report.left_over.is_empty());
    }
}

#[test]
fn tensors_that_do_not_fit_each_other_are_refused() {
    let with = |end: &str, shape: &[usize], more: &[(&str, &[usize])]| {
        let mut file = File::stack(3, 1).without("weight_hh_l0");
        file.f32(&format!("weight_hh_l0{end}"), shape);
        for (end, shape) in more {
            file.f32(&format!("weight_hh_l0{end}"), shape);
        }
        file
    };
    for shape in [&[2, 1][..], &[9, 3], &[1, 2], &[9], &[0, 1], &[1, 1, 1], &[0, 1 << 20, 1 << 40]] {
        let error = with("_v", &[9, 3], &[("_g", shape)]).refused();
        assert!(error.to_string().starts_with("weight_hh_l0_g"), "{shape:?}: {error}");
    }
    for (u, v) in [(2, 3), (9, 4), (3, 3), (0, 0)] {
        let error = with("_orig", &[9, 3], &[("_u", &[u]), ("_v", &[v])]).refused();
        assert!(error.to_string().starts_with("weight_hh_l0_u"), "{u} {v}: {error}");
    }
    let error = with("_orig", &[9, 3], &[("_mask", &[9, 4])]).refused();
    assert!(matches!(&error, Error::Shape { name, .. } if name == "weight_hh_l0_mask"), "{error}");
    // A norm of zero: PyTorch's result is not finite either.
    let mut file = with("_v", &[9, 3], &[("_g", &[9, 1])]);
    file.data("weight_hh_l0_v", &[9, 3], &[0.0; 27]);
    assert!(matches!(file.refused(), Error::NotFinite { name, .. } if name == "weight_hh_l0"));
    let mut file = with("_orig", &[9, 3], &[("_u", &[9]), ("_v", &[3])]);
    file.data("weight_hh_l0_u", &[9], &[0.0; 9]);
    assert!(matches!(file.refused(), Error::NotFinite { name, .. } if name == "weight_hh_l0"));
    // Two forms of one weight: one of them would be ignored.
    for end in ["_g", "_orig", "_mask", "_raw"] {
        let error = File::stack(3, 1).f32(&format!("weight_hh_l0{end}"), &[9, 3]).refused();
        assert!(error.to_string().contains(&format!("weight_hh_l0{end}")), "{error}");
    }
}

#[test]
fn other_parametrisations_are_refused_by_their_tensors() {
    let new = "parametrizations.weight_hh_l0.";
    for tensors in [
        // orthogonal, with and without a base; spectral_norm of version 1; weight_norm that lacks its g; a chain.
        &["parametrizations.weight_hh_l0.original", "parametrizations.weight_hh_l0.0.base"][..],
        &["parametrizations.weight_hh_l0.original"],
        &["weight_hh_l0_orig", "weight_hh_l0_u"],
        &["weight_hh_l0_v"],
        &["weight_hh_l0_raw"],
        &["parametrizations.weight_hh_l0.original0"],
        &["parametrizations.weight_hh_l0.original", "parametrizations.weight_hh_l0.0.original"],
    ] {
        for prefix in ["", "enc.rnn."] {
            let mut file = File::default();
            file.f32(&format!("{prefix}weight_ih_l0"), &[3, 2]);
            for name in tensors {
                file.f32(&format!("{prefix}{name}"), &[3, 3]);
            }
            let error = file.refused();
            assert!(matches!(error, Error::Unsupported { .. }), "{error}");
            let text = error.to_string();
            tensors
                .iter()
                .for_each(|name| assert!(text.contains(&format!("{prefix}{name}")), "{name}: {text}"));
            assert_eq!(text.contains("remove_parametrizations"), tensors[0].starts_with(new), "{text}");
        }
    }
    // In addition to weight_norm: both originals exist, and another tensor.
    let mut file = File::default();
    file.f32("weight_ih_l0", &[3, 2]).f32(&format!("{new}original0"), &[3, 1]);
    file.f32(&format!("{new}original1"), &[3, 3]).f32(&format!("{new}1._u"), &[3]);
    assert!(file.refused().to_string().contains(&format!("{new}1._u")));
    // A stack is found where only its input weight is parametrised.
    let mut file = File::default();
    file.f32("weight_hh_l0", &[3, 3]).f32("parametrizations.weight_ih_l0.original", &[3, 3]);
    assert!(file.refused().to_string().contains("parametrizations.weight_ih_l0.original"));
}

#[test]
fn wrappers_of_modules_need_not_be_named() {
    for (wrapped, prefix) in [
        ("module.", ""),
        ("_orig_mod.", ""),
        ("model.", ""),
        ("model._orig_mod.module.", ""),
        ("module.gru.", "gru"),
        ("model.enc.gru.", "enc.gru."),
        ("enc._orig_mod.gru.", "enc.gru"),
        ("enc.gru.module.", "module.enc.gru"),
        ("gru.", "model.gru"),
    ] {
        let mut file = File::default();
        file.layer(wrapped, "l0", 9, 2, 3).f32("model.head.weight", &[4, 3]).f32("model.head.bias", &[4]);
        let alone = file.read();
        if !prefix.is_empty() || wrapped == "_orig_mod." {
            assert!(alone.is_ok(), "{wrapped}: {alone:?}");
        }
        let how = PyTorch::new().prefix(prefix).readout("head", ReadoutSteps::Last);
        let imported = file.read_with(&how).unwrap_or_else(|error| panic!("{wrapped}: {error}"));
        assert_eq!((imported.model.readout().is_some(), imported.report.used.len()), (true, 6));
        let said =
            [format!("prefix \"{wrapped}\" for \"{prefix}\""), "readout \"model.head\" for \"head\"".into()];
        said.iter()
            .for_each(|said| assert!(imported.report.decisions.contains(said), "{said}: {imported:?}"));
    }
    // A full name is not reported.
    let mut file = File::default();
    file.layer("module.gru.", "l0", 9, 2, 3);
    let decisions = file.read_with(&PyTorch::new().prefix("module.gru")).expect("in full").report.decisions;
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    // "model" is a wrapper at the beginning alone, and no other word is one.
    let mut file = File::default();
    file.layer("enc.model.gru.", "l0", 9, 2, 3);
    assert_missing(&file.refused_with(&PyTorch::new().prefix("enc.gru")), "enc.gru.weight_ih_l0");
    assert_missing(&file.refused_with(&PyTorch::new().prefix("gru")), "gru.weight_ih_l0");
}

#[test]
fn ambiguous_prefixes_are_all_named() {
    let two = |a: &str, b: &str| {
        let mut file = File::default();
        file.layer(a, "l0", 9, 2, 3).layer(b, "l0", 9, 2, 3);
        file
    };
    for (a, b, prefix) in [
        ("model.gru.", "module.gru.", "gru"),
        ("model.gru.", "gru._orig_mod.", "gru"),
        ("module.", "_orig_mod.", ""),
        // Without its dot, and with it.
        ("gru", "gru.", "gru"),
    ] {
        let file = two(a, b);
        for how in [PyTorch::new(), PyTorch::new().prefix(prefix)] {
            let Error::Ambiguous { mut found, .. } = file.refused_with(&how) else { panic!("two stacks") };
            found.sort();
            let mut named = [format!("\"{a}\""), format!("\"{b}\"")];
            named.sort();
            assert_eq!(found, named);
        }
    }
    // A full name is unambiguous.
    let file = two("gru.", "module.gru.");
    for prefix in ["gru", "gru.", "module.gru"] {
        let used = file.read_with(&PyTorch::new().prefix(prefix)).expect(prefix).report.used;
        assert!(used.iter().all(|name| name.starts_with(prefix)), "{prefix}: {used:?}");
    }
    let mut file = File::stack(3, 1);
    file.f32("model.fc.weight", &[4, 3]).f32("module.fc.weight", &[5, 3]);
    let how = |name: &str| PyTorch::new().readout(name, ReadoutSteps::Last);
    let Error::Ambiguous { found, .. } = file.refused_with(&how("fc")) else { panic!("two layers") };
    assert_eq!(found, ["model.fc", "module.fc"]);
    let outputs = file.read_with(&how("module.fc")).expect("in full").model.readout().map(|r| r.outputs());
    assert_eq!(outputs, Some(5));
}
