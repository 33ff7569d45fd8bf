//! ONNX files, created in memory: every cell and direction number by number, and the refusals with their messages.

mod arithmetic;
mod folding;
mod hostile;
mod linear;
mod open;
mod stacks;
mod states;
mod weights;

use crate::common::onnx_file::{self, Graph, Layer, Message, Node, claim, floats, ints, ramp};
use wgru::import::{Onnx, OnnxInput};
use wgru::model::{Activation, Reset, Update};
use wgru::{Cell, Direction, Error};

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::Reverse, Direction::Bidirectional];

/// The index of each of the crate's gates (r z n, i f g o, one) in ONNX's order (z r h, i o f c, one).
fn places(op: &str) -> &'static [usize] {
    match op {
        "GRU" => &[1, 0, 2],
        "LSTM" => &[0, 2, 3, 1],
        _ => &[0],
    }
}

#[test]
fn every_cell_and_direction_number_by_number() {
    for op in ["GRU", "LSTM", "RNN"] {
        for direction in DIRECTIONS {
            let layer = Layer::new(op, direction, 2, 3);
            let imported = layer.graph().read().expect("a whole file");
            let model = &imported.model.layers()[0];
            assert_eq!((model.direction(), model.input(), model.hidden()), (direction, 2, 3), "{op}");
            let rows = layer.gates * 3;
            for (d, set) in model.weights().iter().enumerate() {
                let (b_ih, b_hh) = (set.b_ih.as_ref().expect("a bias"), set.b_hh.as_ref().expect("a bias"));
                for row in 0..rows {
                    // The same unit of the same gate, in ONNX's order.
                    let there = places(op)[row / 3] * 3 + row % 3;
                    for i in 0..2 {
                        assert_eq!(
                            set.w_ih[row * 2 + i],
                            layer.w[(d * rows + there) * 2 + i],
                            "{op} {direction}"
                        );
                    }
                    for h in 0..3 {
                        assert_eq!(
                            set.w_hh[row * 3 + h],
                            layer.r[(d * rows + there) * 3 + h],
                            "{op} {direction}"
                        );
                    }
                    assert_eq!(b_ih[row], layer.b[2 * d * rows + there], "{op} {direction}");
                    assert_eq!(b_hh[row], layer.b[(2 * d + 1) * rows + there], "{op} {direction}");
                }
            }
            assert_eq!(imported.report.used, ["B", "R", "W"]);
            assert!(imported.report.left_over.is_empty());
        }
    }
}

#[test]
fn a_bias_may_be_left_out() {
    let layer = Layer::gru();
    for inputs in [&["X", "W", "R"][..], &["X", "W", "R", ""], &["X", "W", "R", "", "", ""]] {
        let imported = layer.graph_of(&layer.node_on(inputs)).read().expect("no bias");
        let weights = &imported.model.layers()[0].weights()[0];
        assert_eq!((&weights.b_ih, &weights.b_hh), (&None, &None));
        assert_eq!(imported.report.left_over, ["B"]);
        assert_eq!(imported.sequence_lens, OnnxInput::Absent);
        assert_eq!(imported.initial_h, OnnxInput::Absent);
    }
}

#[test]
fn the_reset_is_the_attributes_or_the_callers_and_the_report_says_which() {
    let layer = Layer::gru();
    let absent = "attribute linear_before_reset absent, ONNX's default";
    for (attribute, caller, reset, decision) in [
        (None, None, Reset::Before, format!("reset before: {absent}")),
        (Some(0), None, Reset::Before, "reset before: attribute linear_before_reset = 0".into()),
        (Some(1), None, Reset::After, "reset after: attribute linear_before_reset = 1".into()),
        (None, Some(true), Reset::After, format!("reset after: overridden by the caller ({absent})")),
        (
            Some(1),
            Some(false),
            Reset::Before,
            "reset before: overridden by the caller (attribute linear_before_reset = 1)".into(),
        ),
    ] {
        let node = attribute.map_or(layer.node(), |value| layer.node().int("linear_before_reset", value));
        let how = caller.map_or_else(Onnx::new, |after| Onnx::new().linear_before_reset(after));
        let imported = layer.graph_of(&node).read_with(&how).expect("a whole file");
        assert_eq!(imported.model.cell(), Cell::Gru { reset, update: Update::Keeps });
        let decisions = &imported.report.decisions;
        assert!(decisions.contains(&decision), "{decision} is not in {decisions:?}");
    }
    for op in ["LSTM", "RNN"] {
        let graph = Layer::new(op, Direction::Forward, 2, 3).graph();
        let error = graph.read_with(&Onnx::new().linear_before_reset(true)).expect_err("no reset");
        assert!(error.to_string().contains("linear_before_reset"), "{error}");
    }
}

#[test]
fn activations_that_are_the_operators_own_are_read_in_any_case() {
    for (op, names) in
        [("GRU", &["sigmoid", "TANH"][..]), ("LSTM", &["Sigmoid", "tanh", "Tanh"]), ("RNN", &["tanh"])]
    {
        for direction in DIRECTIONS {
            let layer = Layer::new(op, direction, 2, 3);
            let names = names.repeat(direction.count());
            let node = layer.node().texts("activations", &names).floats("activation_alpha", &[0.3]);
            let report = layer.graph_of(&node).read().expect("its own").report;
            assert!(report.decisions.iter().any(|text| text.contains("activation_alpha")), "{report:?}");
        }
    }
    for names in [&["Relu"][..], &["relu", "RELU"]] {
        let layer = Layer::new("RNN", Direction::Forward, 2, 3);
        let model = layer.graph_of(&layer.node().texts("activations", names)).read().expect("relu").model;
        assert_eq!(model.layers()[0].activations()[0].gate, Activation::RELU);
    }
}

/// Every attribute that would change numbers is refused by its name and its value.
#[test]
fn unsupported_attributes_are_refused_by_name() {
    let forward = |op| Layer::new(op, Direction::Forward, 2, 3);
    let (gru, lstm, rnn) = (forward("GRU"), forward("LSTM"), forward("RNN"));
    let both = Layer::new("RNN", Direction::Bidirectional, 2, 3);
    let cases = [
        (&gru, gru.node().texts("activations", &["Sigmoid", "Gelu"]), &["activations", "Gelu"][..]),
        (&both, both.node().texts("activations", &["Tanh", "Sine"]), &["activations", "Sine"]),
        (&gru, gru.node().int("input_forget", 0), &["input_forget"]),
        (&lstm, lstm.node().int("linear_before_reset", 1), &["linear_before_reset"]),
        (&rnn, rnn.node().int("linear_before_reset", 0), &["linear_before_reset"]),
        (&gru, gru.node().int("output_sequence", 1), &["output_sequence"]),
        (&gru, gru.node().int("layout", 2), &["layout", "2"]),
        (&gru, gru.node().text("direction", "backward"), &["direction", "backward"]),
        (&gru, gru.node_on(&["X", "W", "R", "B", "", "", "W"]), &["input 6"]),
        (&gru, gru.node().attribute("clip", 1, |a| a.float(2, 1.0).bytes(21, "c")), &["clip", "function"]),
    ];
    for (layer, node, words) in cases {
        let error = layer.graph_of(&node).refused();
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        for word in words.iter().chain(&["\"rec\""]) {
            assert!(error.to_string().contains(word), "{word} is not in: {error}");
        }
    }
    let decisions = gru.graph_of(&gru.node().float("clip", 0.0)).read().expect("no clip").report.decisions;
    assert!(decisions.iter().any(|text| text.contains("clip = 0")), "{decisions:?}");
}

#[test]
fn attributes_of_another_type_and_number_are_refused_by_name() {
    let gru = Layer::gru();
    for (node, word) in [
        (gru.node().float("layout", 1.0), "layout"),
        (gru.node().int("direction", 1), "direction"),
        (gru.node().int("clip", 1), "clip"),
        (gru.node().text("activations", "Tanh"), "activations"),
        (gru.node().texts("activations", &["Sigmoid"]), "activations"),
        (gru.node().texts("activations", &[]), "activations"),
        (gru.node().float("activation_alpha", 1.0), "activation_alpha"),
        (gru.node().int("activation_beta", 1), "activation_beta"),
        (gru.node().int("hidden_size", 3), "hidden_size"),
        (Node::new("GRU", &["X", "W", "R"], &["Y"]).int("hidden_size", 4), "hidden_size"),
    ] {
        let error = gru.graph_of(&node).refused();
        assert!(matches!(error, Error::Format { .. } | Error::Mismatch { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// The functions that have α and β take them in order, in either direction, and a clip is kept.
#[test]
fn activations_with_their_parameters_and_clips_are_read() {
    use wgru::model::{Activation, Function};
    let both = Layer::new("GRU", Direction::Bidirectional, 2, 3);
    let node = both
        .node()
        .texts("activations", &["hardsigmoid", "Tanh", "LeakyRelu", "ScaledTanh"])
        .floats("activation_alpha", &[0.25, 0.125, 2.0])
        .floats("activation_beta", &[0.75])
        .float("clip", 1.5);
    let model = both.graph_of(&node).read().expect("every function is ONNX's").model;
    let layer = &model.layers()[0];
    let new = |function, alpha, beta| Activation::new(function, alpha, beta).unwrap();
    let [forward, reverse] = layer.activations() else { panic!("two directions") };
    assert_eq!(forward.gate, new(Function::HardSigmoid, 0.25, 0.75));
    assert_eq!(forward.candidate, Activation::TANH);
    assert_eq!(reverse.gate, new(Function::LeakyRelu, 0.125, 0.0));
    assert_eq!(reverse.candidate, new(Function::ScaledTanh, 2.0, 1.0));
    assert_eq!(layer.clip(), Some(1.5));
    let error = both.graph_of(&both.node().float("clip", -1.0)).refused();
    assert!(error.to_string().contains("clip: needs a positive finite number, got -1"), "{error}");
}

/// The files of the first versions have no attribute types; those of proto3 leave zeros out.
#[test]
fn attributes_are_read_as_every_writer_writes_them() {
    let gru = Layer::gru();
    let untyped = gru.node().attribute("linear_before_reset", 0, |a| a.int(3, 1));
    assert_eq!(gru.graph_of(&untyped).read().expect("untyped").model.cell(), Cell::GRU);
    let zero = gru.node().attribute("linear_before_reset", 2, |a| a);
    let cell = gru.graph_of(&zero).read().expect("a zero left out").model.cell();
    assert_eq!(cell, Cell::Gru { reset: Reset::Before, update: Update::Keeps });
}

#[test]
fn opsets_before_seven_are_refused_and_layout_needs_fourteen() {
    let gru = Layer::gru();
    let read = |graph: &Graph, opset| Onnx::new().parse_graph(onnx_file::SOURCE, &graph.model(opset), None);
    for opset in [7, 11, 14, 22, 25] {
        assert_eq!(read(&gru.graph(), opset).expect("a known opset").layout, 0);
    }
    for opset in [-1, 0, 1, 6] {
        let error = read(&gru.graph(), opset).expect_err("too old");
        assert!(
            matches!(&error, Error::Unsupported { what } if what.contains(&format!("opset {opset}"))),
            "{error}"
        );
    }
    let turned = gru.graph_of(&gru.node().int("layout", 1));
    assert_eq!(read(&turned, 14).expect("layout 1").layout, 1);
    let error = read(&turned, 13).expect_err("no layout yet");
    assert!(error.to_string().contains("layout"), "{error}");
    // No opset at all.
    let bytes = Message::default().message(7, &gru.graph().0).0;
    let error = Onnx::new().parse_graph(onnx_file::SOURCE, &bytes, None).expect_err("no opset");
    assert!(matches!(&error, Error::Format { reason, .. } if reason.contains("opset")), "{error}");
}

#[test]
fn arrays_have_the_graphs_names_if_it_is_one_node() {
    let lstm = Layer::new("LSTM", Direction::Forward, 2, 3);
    let inputs = ["x", "W", "R", "B", "len", "h0", "c0"];
    let node = Node::new("LSTM", &inputs, &["all", "", "c_last"]).name("rec");
    let graph = |outputs: &[&str]| {
        lstm.tensors(Graph::default().node(&node).inputs(&["x", "len", "h0", "c0"]).outputs(outputs))
    };
    let array = |name: &str| OnnxInput::Array(name.into());
    let whole = graph(&["all", "c_last"]).read().expect("one node");
    assert!(whole.whole_graph);
    assert_eq!((whole.op.as_str(), whole.node.as_str(), whole.x.as_str()), ("LSTM", "rec", "x"));
    assert_eq!(whole.sequence_lens, OnnxInput::Array("len".into()));
    assert_eq!((&whole.initial_h, &whole.initial_c), (&array("h0"), &array("c0")));
    assert_eq!((whole.y.as_deref(), whole.y_h, whole.y_c.as_deref()), (Some("all"), None, Some("c_last")));
    // An output of the node that the graph does not output.
    assert_eq!(graph(&["c_last"]).read().expect("one node").y, None);
    // X that the file itself stores is no array of the graph.
    let held = Layer::gru().graph().tensor(&floats("X", &[1, 1, 2], &[0.0; 2])).read().expect("a held X");
    assert!(!held.whole_graph);
    // One node among others.
    let part = graph(&["all"]).node(&Node::new("Relu", &["all"], &["out"])).read().expect("a part");
    assert!(!part.whole_graph);
    assert_eq!(part.x, "X");
    assert_eq!(part.sequence_lens, OnnxInput::Array("sequence_lens".into()));
    assert_eq!((&part.initial_h, &part.initial_c), (&array("initial_h"), &array("initial_c")));
    assert_eq!((part.y.as_deref(), part.y_h, part.y_c.as_deref()), (Some("Y"), None, Some("Y_c")));
}

#[test]
fn constant_states_and_lengths_are_read() {
    let gru = Layer::gru();
    let node = gru.node_on(&["X", "W", "R", "B", "len", "h0"]);
    let graph = |h0: &[i64]| {
        let data = ramp(7, h0.iter().product::<i64>() as usize);
        gru.graph_of(&node).tensor(&ints("len", &[2], &[4, 0])).tensor(&floats("h0", h0, &data))
    };
    let imported = graph(&[1, 2, 3]).read().expect("constants");
    assert!(imported.whole_graph);
    assert_eq!(imported.sequence_lens, OnnxInput::Constant(vec![4, 0]));
    let OnnxInput::Constant(h0) = imported.initial_h else { panic!("{:?}", imported.initial_h) };
    assert_eq!((h0.shape, h0.data), (vec![1, 2, 3], ramp(7, 6)));
    for wrong in [&[1, 2, 4][..], &[2, 2, 3], &[2, 3]] {
        let error = graph(wrong).refused();
        assert!(matches!(&error, Error::Mismatch { name, .. } if name.contains("initial_h")), "{error}");
    }
    // Layout 1 transposes the states too.
    let graph = gru.graph_of(&node.clone().int("layout", 1)).tensor(&ints("len", &[2], &[4, 0]));
    let imported = graph.tensor(&floats("h0", &[2, 1, 3], &ramp(7, 6))).read().expect("layout 1");
    assert!(matches!(imported.initial_h, OnnxInput::Constant(h0) if h0.shape == [2, 1, 3]));
    // int32 lengths, as in the specification.
    let lengths = claim("len", 6, &[2]).int(5, 3).int(5, 1);
    let graph = gru.graph_of(&gru.node_on(&["X", "W", "R", "B", "len"])).tensor(&lengths);
    assert_eq!(graph.read().expect("int32").sequence_lens, OnnxInput::Constant(vec![3, 1]));
    let graph = gru.graph_of(&gru.node_on(&["X", "W", "R", "B", "W"]));
    assert!(graph.refused().to_string().contains("sequence_lens"));
    let graph = gru.graph_of(&gru.node_on(&["X", "W", "R", "B", "len"])).tensor(&ints("len", &[2], &[3, -1]));
    assert!(graph.refused().to_string().contains("sequence_lens"));
}

#[test]
fn weights_that_are_missing_or_of_another_shape_are_named() {
    let gru = Layer::gru();
    for (inputs, letter) in
        [(&["X"][..], "R"), (&["X", "W", ""], "R"), (&["X", "", "R"], "W"), (&["", "W", "R"], "X")]
    {
        let error = gru.graph_of(&gru.node_on(inputs)).refused();
        assert!(matches!(&error, Error::MissingTensor { name, .. } if name.starts_with(letter)), "{error}");
    }
    for (inputs, dims, words) in [
        (["X", "V", "R", "B"], &[1, 8, 2][..], ["W of", "[1, 9, 2]"]),
        (["X", "V", "R", "B"], &[2, 9, 2], ["W of", "[1, 9, 2]"]),
        (["X", "V", "R", "B"], &[9, 2], ["W of", "3 dimensions"]),
        (["X", "W", "V", "B"], &[1, 3, 9], ["hidden_size", "[1, 3, 9]"]),
        (["X", "W", "R", "V"], &[1, 9], ["B of", "[1, 18]"]),
        (["X", "W", "R", "V"], &[18], ["B of", "[1, 18]"]),
    ] {
        let data = ramp(0, dims.iter().product::<i64>() as usize);
        let error = gru.graph_of(&gru.node_on(&inputs)).tensor(&floats("V", dims, &data)).refused();
        for word in words {
            assert!(error.to_string().contains(word), "{word} is not in: {error}");
        }
    }
    for dims in [[1, 9, 0], [1, 0, 2], [0, 9, 2]] {
        let graph = gru.graph_of(&gru.node_on(&["X", "V", "R"])).tensor(&floats("V", &dims, &[]));
        assert!(matches!(graph.refused(), Error::Shape { .. } | Error::Zero { .. }));
    }
    let mut data = gru.w.clone();
    data[4] = f32::NAN;
    let graph = gru.graph_of(&gru.node_on(&["X", "V", "R"])).tensor(&floats("V", &[1, 9, 2], &data));
    let error = graph.refused();
    assert!(matches!(&error, Error::NotFinite { name, index: 4, .. } if name.contains("\"V\"")), "{error}");
}

#[test]
fn several_nodes_are_listed_and_one_is_named() {
    let (gru, lstm) = (Layer::gru(), Layer::new("LSTM", Direction::Reverse, 4, 5));
    let graph = Graph::default()
        .node(&Node::new("GRU", &["X", "W", "R", "B"], &["a"]).name("first"))
        .node(&Node::new("LSTM", &["a", "W2", "R2"], &["", "b"]).text("direction", "reverse"))
        .node(&Node::new("RNN", &["b", "w", "r"], &["c"]).name("last"))
        .node(&Node::new("GRU", &["c", "w", "r"], &["d"]).domain("com.example"))
        .inputs(&["X", "w", "r"])
        .outputs(&["d"]);
    let graph = gru.tensors(graph).tensor(&floats("W2", &lstm.w_dims(), &lstm.w)).tensor(&floats(
        "R2",
        &lstm.r_dims(),
        &lstm.r,
    ));
    let listed = [
        "first: GRU forward [3·3, 2→3]",
        "b: LSTM reverse [4·5, 4→5]",
        "last: RNN forward [weights that are not constants]",
    ];
    for how in [Onnx::new(), Onnx::new().node("second")] {
        let error = graph.read_with(&how).expect_err("several");
        let Error::Ambiguous { what, found } = &error else { panic!("{error:?}") };
        assert!(what.contains(onnx_file::SOURCE), "{what}");
        assert_eq!(found, &listed);
    }
    let nodes = Onnx::list_parsed(onnx_file::SOURCE, &graph.model(14), None).expect("a list");
    assert_eq!(nodes.iter().map(ToString::to_string).collect::<Vec<_>>(), listed);
    let first = graph.read_with(&Onnx::new().node("first")).expect("named");
    assert_eq!((first.model, first.whole_graph), (gru.graph().read().expect("alone").model, false));
    assert_eq!(first.report.left_over, ["R2", "W2"]);
    assert_eq!(graph.read_with(&Onnx::new().node("b")).expect("by its output").model.hidden(), 5);
    let error = graph.read_with(&Onnx::new().node("last")).expect_err("weights at run time");
    assert!(matches!(&error, Error::Unsupported { what } if what.contains("\"r\" is an input")), "{error}");
    // None at all.
    let error = Graph::default().node(&Node::new("Relu", &["X"], &["Y"])).inputs(&["X"]).refused();
    assert!(matches!(&error, Error::Ambiguous { found, .. } if found.is_empty()), "{error}");
    assert!(error.to_string().contains("1 Relu") && error.to_string().contains("none found"), "{error}");
    // A great many: the message lists the first, and the number of the others.
    let many = (0..100).fold(gru.tensors(Graph::default().inputs(&["X"])), |graph, i| {
        graph.node(&Node::new("GRU", &["X", "W", "R", "B"], &[&format!("y{i}")]))
    });
    let text = many.refused().to_string();
    assert!(text.contains("found 100: y0: GRU forward [3·3, 2→3], y1:"), "{text}");
    assert!(text.contains("and 80 more") && text.len() < 2048, "{text}");
}

#[test]
fn the_files_metadata_is_kept() {
    let graph = Layer::gru().graph();
    let bytes =
        Message(graph.model(14)).bytes(2, "pytorch").bytes(3, "2.1").message(14, &onnx_file::entry("a", "b"));
    let report = Onnx::new().parse_graph(onnx_file::SOURCE, &bytes.0, None).expect("a whole file").report;
    let metadata: Vec<(&str, &str)> = report.metadata.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(metadata, [("a", "b"), ("producer_name", "pytorch"), ("producer_version", "2.1")]);
}
