//! Layers that are called in unusual ways: Keras' results, or a refusal that names the reason.

use wgru::import::Keras;
use wgru::model::Merge;
use wgru::{Batch, Device, Error, Imported, Model, Output, Padding, ReadoutSteps};

use super::{array, assert_near, golden};
use crate::common::everywhere;

fn expected(name: &str) -> (Vec<usize>, Vec<f32>) {
    array("graphs.json", name)
}

/// Layers of a file as one stack.
fn read(file: &str, layers: &str) -> Imported {
    let imported = Keras::new().layers(layers.split(',')).read(golden(file));
    imported.unwrap_or_else(|error| panic!("{layers} of {file}: {error}"))
}

fn refused(file: &str, layers: &str) -> String {
    let result = Keras::new().layers(layers.split(',')).read(golden(file));
    result.expect_err(layers).to_string()
}

fn run(device: &Device, model: &Model, batch: &Batch<'_>) -> Output {
    device.load(model).and_then(|engine| engine.run(batch)).unwrap_or_else(|error| panic!("{error}"))
}

/// `[B, T, F]` with the steps reversed.
fn turned([_, steps, features]: [usize; 3], y: &[f32]) -> Vec<f32> {
    let turn = |y: &[f32]| y.chunks(features).rev().flatten().copied().collect::<Vec<_>>();
    y.chunks(steps * features).flat_map(turn).collect()
}

/// Runs a model on an array of graphs.json on all devices, and compares y with another array.
fn check_y(model: &Model, x: &str, y: &str, mask: Option<(&[u32], Padding)>, reversed: bool) {
    let (shape, x) = expected(x);
    let mut batch = Batch::new(&x, [shape[0], shape[1], shape[2]]).expect("x fits");
    if let Some((lengths, fill)) = mask {
        batch = batch.lengths(lengths).padding(fill);
    }
    let (shape, mut want) = expected(y);
    if reversed {
        want = turned([shape[0], shape[1], shape[2]], &want);
    }
    for device in everywhere() {
        let out = run(&device, model, &batch);
        assert_near(model, &batch, &out.y, &want, &format!("{y} on {}", device.info()));
    }
}

#[test]
fn merge_modes_give_keras_numbers_and_layers_read_merged_ones() {
    for (layers, y, merge) in [
        ("sum", "sum", Merge::Sum),
        ("mul", "mul", Merge::Mul),
        ("ave", "ave", Merge::Average),
        ("ave,sum_on_ave", "sum_on_ave", Merge::Sum),
    ] {
        let model = read("graphs.keras", layers).model;
        assert_eq!(model.layers().last().expect("a layer").merge(), merge, "{layers}");
        assert_eq!(model.output(), model.hidden(), "{layers}");
        check_y(&model, "x", y, None, false);
    }
    // Without sequences Keras merges the last outputs; h_n has them apart.
    let Imported { model, report } = read("graphs.keras", "last_sum");
    assert!(report.decisions.iter().any(|line| line.contains("sum of both directions")), "{report:?}");
    let (shape, x) = expected("x");
    let batch = Batch::new(&x, [shape[0], shape[1], shape[2]]).expect("x fits");
    let h_n = run(&Device::reference(), &model, &batch).h_n;
    let (forward, backward) = h_n.split_at(h_n.len() / 2);
    let sums: Vec<f32> = forward.iter().zip(backward).map(|(f, b)| f + b).collect();
    assert_near(&model, &batch, &sums, &expected("last_sum").1, "last_sum");
}

#[test]
fn stacks_of_layers_that_go_backwards_run_as_in_keras() {
    for (layers, y, reversed) in [
        ("back", "back", true),
        ("back,on_back", "on_back", true),
        ("back,back_on_back", "back_on_back", false),
    ] {
        let Imported { model, report } = read("graphs.keras", layers);
        check_y(&model, "x", y, None, reversed);
        let told = report.decisions.iter().any(|line| line.contains("Keras' is reversed"));
        assert_eq!(told, reversed, "{layers}: {report:?}");
    }
    // The last step that Keras' Dense would read is the first here.
    let stack = || Keras::new().layers(["back", "on_back"]);
    let error =
        stack().readout("head", ReadoutSteps::Last).read(golden("graphs.keras")).expect_err("reversed");
    assert!(error.to_string().contains("final state of a reverse layer"), "{error}");
}

#[test]
fn a_dense_on_every_step_is_a_readout() {
    let how = Keras::new().layers(["back", "on_back"]).readout("head", ReadoutSteps::Every);
    let model = how.read(golden("graphs.keras")).expect("TimeDistributed(Dense)").model;
    let (shape, x) = expected("x");
    let batch = Batch::new(&x, [shape[0], shape[1], shape[2]]).expect("x fits");
    let (shape, want) = expected("head");
    let want = turned([shape[0], shape[1], shape[2]], &want);
    for device in everywhere() {
        let out = run(&device, &model, &batch).out.expect("a readout");
        assert_near(&model, &batch, &out, &want, &device.info().to_string());
    }
}

#[test]
fn an_initial_state_that_the_graph_computes_is_given_or_refused() {
    for (layer, origin) in [("writer", "LSTM layer \"reader\""), ("from_input", "the input \"ctx\"")] {
        let error = refused("graphs.keras", layer);
        for words in ["initial_state", layer, origin, "h0", "states_given"] {
            assert!(error.contains(words), "no {words}: {error}");
        }
        let given = Keras::new().layer(layer).states_given().read(golden("graphs.keras")).expect("given");
        let [state] = &given.report.initial_states[..] else { panic!("{:?}", given.report) };
        assert!(state.contains(layer) && state.contains(origin), "{state}");
        let h0 = expected(if layer == "writer" { "h" } else { "ctx" }).1;
        let c0 = expected("c").1;
        let (shape, x) = expected("x");
        let mut batch = Batch::new(&x, [shape[0], shape[1], shape[2]]).expect("x fits").h0(&h0);
        if layer == "writer" {
            batch = batch.c0(&c0);
        }
        for device in everywhere() {
            let out = run(&device, &given.model, &batch);
            let context = format!("{layer} on {}", device.info());
            assert_near(&given.model, &batch, &out.y, &expected(layer).1, &context);
        }
    }
    // Nothing is required for a layer that begins at 0.
    let plain = Keras::new().layer("back").states_given().read(golden("graphs.keras")).expect("plain");
    assert!(plain.report.initial_states.is_empty());
}

#[test]
fn a_mask_that_reaches_a_layer_is_reported_with_its_rule() {
    let lengths = [3, 5];
    for (layers, y, fill, rule) in [
        ("masked", "masked", Padding::Last, "repeats the last output"),
        ("masked,on_masked", "on_masked", Padding::Last, "repeats the last output"),
        ("on_masked", "", Padding::Last, "repeats the last output"),
        ("masked_pair", "masked_pair", Padding::Zero, "gives 0"),
    ] {
        let Imported { model, report } = read("graphs.keras", layers);
        let told = report.decisions.iter().find(|line| line.contains("mask of Masking layer \"masking\""));
        let told = told.unwrap_or_else(|| panic!("{layers}: {report:?}"));
        assert!(told.contains("give lengths") && told.contains(rule), "{told}");
        if !y.is_empty() {
            check_y(&model, "padded", y, Some((&lengths, fill)), false);
        }
    }
    for layer in ["unmasked", "sum"] {
        let report = read("graphs.keras", layer).report;
        assert!(!report.decisions.iter().any(|line| line.contains("the mask of")), "{layer}: {report:?}");
    }
    let Imported { model, .. } = read("graphs.keras", "unmasked");
    check_y(&model, "padded", "unmasked", None, false);
}

#[test]
fn weights_of_a_model_inside_the_model_are_taken_in_their_order() {
    // The frozen GRU's weights come last, after those of all other layers and the statistics of the normalization.
    for (layer, x, y) in [("inner/gru", "first", "gru"), ("inner/gru_1", "norm", "gru_1")] {
        check_y(&read("nested.h5", layer).model, x, y, None, false);
    }
    let error = refused("nested.h5", "inner/gru,inner/gru_1");
    assert!(error.contains("BatchNormalization") && error.contains("between"), "{error}");
}

#[test]
fn a_custom_layer_is_ignored_and_a_foreign_gru_is_not_keras() {
    // The only GRU of Keras is found without a name, whatever other layers the file has.
    let imported = Keras::new().read(golden("foreign.keras")).expect("one GRU of Keras");
    assert_eq!(imported.model, read("foreign.keras", "rec").model);
    check_y(&imported.model, "x", "rec", None, false);
    let error = refused("foreign.keras", "other");
    assert!(error.contains("audiokit>GRU") && error.contains("not Keras' own GRU"), "{error}");
    let below = refused("foreign.keras", "rec,other");
    assert!(below.contains("audiokit>GRU"), "{below}");
}

#[test]
fn weights_in_bfloat16_are_read_as_they_are() {
    let Imported { model, report } = read("bfloat16.keras", "narrow");
    let weights = &model.layers()[0].weights()[0];
    // The numbers there have eight digits; the last two bytes of bfloat16 are 0.
    let expected = |name: &str| -> Vec<f32> {
        let whole = |v: f32| f32::from_bits((v.to_bits() + 0x8000) & 0xffff_0000);
        expected(name).1.into_iter().map(whole).collect()
    };
    let bias = expected("narrow.bias");
    let (b_ih, b_hh) = bias.split_at(bias.len() / 2);
    // Keras has z before r.
    let swap = |b: &[f32]| {
        let h = b.len() / 3;
        [&b[h..2 * h], &b[..h], &b[2 * h..]].concat()
    };
    assert_eq!(weights.b_ih.as_deref(), Some(&swap(b_ih)[..]));
    assert_eq!(weights.b_hh.as_deref(), Some(&swap(b_hh)[..]));
    let (mut got, mut want) = (weights.w_ih.clone(), expected("narrow.kernel"));
    got.sort_by(f32::total_cmp);
    want.sort_by(f32::total_cmp);
    assert_eq!(got, want);
    assert!(report.decisions.iter().any(|line| line.contains("its dtype is \"bfloat16\"")), "{report:?}");
}

#[test]
fn missing_layers_are_reported_with_those_found() {
    let ambiguous = |error: Error| match error {
        Error::Ambiguous { what, found } => (what, found),
        other => panic!("{other}"),
    };
    let read = |how: Keras| ambiguous(how.read(golden("graphs.keras")).expect_err("not there"));
    let (what, found) = read(Keras::new().layer("masking"));
    assert!(what.contains("is a Masking layer") && found.len() > 10, "{what}: {found:?}");
    let (_, found) = read(Keras::new().layer("back").readout("dense", ReadoutSteps::Last));
    assert_eq!(found, ["head"]);
    for how in [Keras::new(), Keras::new().layer("nothing")] {
        let text = how.read(golden("graphs.keras")).expect_err("not there").to_string();
        assert!(text.len() < 2048 && !text.contains("Some("), "{text}");
    }
}
