//! States and lengths that a graph computes for a node: rows that are repeated to the batch, computed values that the
//! caller must give, and inputs of the graph.

use crate::common::onnx_file::{Graph, Layer, Message, Node, SOURCE, floats, ints, ramp};
use wgru::import::{Onnx, OnnxGraph, OnnxInput};
use wgru::{Direction, Error};

/// A graph input with its sizes; -1 for one that is open.
pub(super) fn sized(graph: Graph, name: &str, sizes: &[i64]) -> Graph {
    let dim = |&size: &i64| match size {
        -1 => Message::default().bytes(2, "n"),
        size => Message::default().int(1, size),
    };
    let shape = sizes.iter().fold(Message::default(), |shape, size| shape.message(1, &dim(size)));
    let tensor = Message::default().int(1, 1).message(2, &shape);
    let info = Message::default().bytes(1, name).message(2, &Message::default().message(1, &tensor));
    Graph(graph.0.message(11, &info))
}

/// The GRU, I = 2 and H = 3, with its state at "h0" and "row" `[1, 1, 3]`.
pub(super) fn with_state(extra: Graph) -> OnnxGraph {
    let gru = Layer::gru();
    let graph = sized(extra, "X", &[-1, -1, 2]).outputs(&["Y", "Y_h"]);
    let graph = graph.node(&gru.node_on(&["X", "W", "R", "B", "", "h0"]));
    let graph = gru.tensors(graph).tensor(&floats("row", &[1, 1, 3], &ramp(7, 3)));
    graph.tensor(&ints("one", &[1], &[1])).tensor(&ints("h", &[1], &[3])).read().expect("a whole file")
}

/// "b" `[1]`: the size of the batch, from X.
pub(super) fn batch() -> Graph {
    let shape = Node::new("Shape", &["X"], &["sizes"]);
    Graph::default().node(&shape).node(&Node::new("Gather", &["sizes", "one"], &["b"]).int("axis", 0))
}

/// "to" `[3]`: 1, the batch, 3.
pub(super) fn to() -> Graph {
    batch().node(&Node::new("Concat", &["one", "b", "h"], &["to"]).int("axis", 0))
}

#[test]
fn a_row_that_is_repeated_to_the_batch_is_read() {
    let expand = Node::new("Expand", &["row", "to"], &["h0"]);
    let by = |name: &str| Node::new("Expand", &["row", "to"], &[name]);
    let zero = ints("zero", &[1], &[0]);
    let cases = [
        ("Expand", to().node(&expand)),
        (
            "Tile",
            to().node(&Node::new("Concat", &["one", "b", "one"], &["times"]).int("axis", 0))
                .node(&Node::new("Tile", &["row", "times"], &["h0"])),
        ),
        (
            "Expand of a flat row",
            to().tensor(&floats("flat", &[3], &ramp(7, 3))).node(&Node::new(
                "Expand",
                &["flat", "to"],
                &["h0"],
            )),
        ),
        // The states of two layers, as PyTorch writes them.
        (
            "Slice",
            to().tensor(&floats("both", &[2, 1, 3], &ramp(4, 6)))
                .tensor(&zero)
                .tensor(&ints("two", &[1], &[2]))
                .node(&Node::new("Concat", &["two", "b", "h"], &["all"]).int("axis", 0))
                .node(&Node::new("Expand", &["both", "all"], &["e"]))
                .node(&Node::new("Slice", &["e", "one", "two", "zero"], &["h0"])),
        ),
        (
            "Gather and Unsqueeze",
            to().tensor(&floats("both", &[2, 1, 3], &ramp(4, 6)))
                .tensor(&zero)
                .tensor(&ints("two", &[1], &[2]))
                .node(&Node::new("Constant", &[], &["at"]).int("value_int", 1))
                .node(&Node::new("Concat", &["two", "b", "h"], &["all"]).int("axis", 0))
                .node(&Node::new("Expand", &["both", "all"], &["e"]))
                .node(&Node::new("Gather", &["e", "at"], &["g"]).int("axis", 0))
                .node(&Node::new("Unsqueeze", &["g", "zero"], &["h0"])),
        ),
        (
            "Transpose",
            to().tensor(&floats("turned", &[1, 3, 1], &ramp(7, 3)))
                .node(&Node::new("Concat", &["one", "h", "b"], &["all"]).int("axis", 0))
                .node(&Node::new("Expand", &["turned", "all"], &["e"]))
                .node(&Node::new("Transpose", &["e"], &["h0"]).ints("perm", &[0, 2, 1])),
        ),
        (
            "Cast and Identity",
            to().node(&by("e")).node(&Node::new("Cast", &["e"], &["c"]).int("to", 1)).node(&Node::new(
                "Identity",
                &["c"],
                &["h0"],
            )),
        ),
        // The older exporter's form of expand(-1, b, -1).
        (
            "Where",
            batch()
                .tensor(&ints("free", &[1], &[-1]))
                .tensor(&ints("same", &[3], &[-1; 3]))
                .node(&Node::new("Concat", &["free", "b", "free"], &["asked"]).int("axis", 0))
                .node(&Node::new("Shape", &["asked"], &["rank"]))
                .node(
                    &Node::new("ConstantOfShape", &["rank"], &["ones"])
                        .tensor("value", &ints("", &[1], &[1])),
                )
                .node(&Node::new("Mul", &["ones", "free"], &["minus"]))
                .node(&Node::new("Equal", &["asked", "minus"], &["is"]))
                .node(&Node::new("Where", &["is", "ones", "asked"], &["to"]))
                .node(&expand),
        ),
    ];
    for (what, graph) in cases {
        let imported = with_state(graph);
        let OnnxInput::Repeated(h0) = &imported.initial_h else { panic!("{what}: {:?}", imported.initial_h) };
        assert_eq!((&h0.shape[..], &h0.data), (&[1, 1, 3][..], &ramp(7, 3)), "{what}");
        assert!(!imported.whole_graph, "{what}");
        let said = &imported.report.decisions;
        assert!(said.iter().any(|text| text.contains("initial_h: one row")), "{what}: {said:?}");
        assert!(said.iter().any(|text| text.contains("this node alone") && text.contains("giving Y, Y_h")));
        imported.check_given(&["X"]).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    // One row of each direction, and a batch that is first.
    let both = Layer::new("LSTM", Direction::Bidirectional, 2, 3);
    let node = both.node_on(&["X", "W", "R", "B", "", "", "c0"]).int("layout", 1);
    let graph = sized(Graph::default(), "X", &[-1, -1, 2]).outputs(&["Y"]).node(&node);
    let graph = both.tensors(graph).tensor(&floats("rows", &[1, 2, 3], &ramp(0, 6)));
    let graph = graph.tensor(&ints("zero", &[], &[0])).tensor(&ints("one", &[2], &[1, 1]));
    let graph = graph.node(&Node::new("Shape", &["X"], &["sizes"]).int("end", 1));
    let graph = graph.node(&Node::new("Concat", &["sizes", "one"], &["times"]).int("axis", 0));
    let imported = graph.node(&Node::new("Tile", &["rows", "times"], &["c0"])).read().expect("layout 1");
    let OnnxInput::Repeated(c0) = &imported.initial_c else { panic!("{:?}", imported.initial_c) };
    assert_eq!((&c0.shape[..], &c0.data), (&[1, 2, 3][..], &ramp(0, 6)));
}

/// Zeros of an unknown shape are zeros.
#[test]
fn one_number_everywhere_needs_no_shape() {
    let conv = Node::new("Conv", &["image", "kernel"], &["seen"]);
    for (op, node) in [
        ("ConstantOfShape", Node::new("ConstantOfShape", &["sizes"], &["z"])),
        ("Expand", Node::new("Expand", &["nought", "sizes"], &["z"])),
    ] {
        let graph =
            Graph::default().inputs(&["image", "kernel"]).node(&conv).tensor(&floats("nought", &[], &[0.0]));
        let graph = graph.node(&Node::new("Shape", &["seen"], &["sizes"])).node(&node);
        let graph = graph.node(&Node::new("Concat", &["z", "z"], &["zz"]).int("axis", 0));
        let imported = with_state(graph.node(&Node::new("Identity", &["zz"], &["h0"])));
        let OnnxInput::Repeated(h0) = &imported.initial_h else { panic!("{op}: {:?}", imported.initial_h) };
        assert_eq!((&h0.shape[..], &h0.data[..]), (&[1, 1, 3][..], &[0.0; 3][..]), "{op}");
    }
}

#[test]
fn a_state_that_is_computed_has_to_be_given() {
    let other = |name: &str| {
        let encoder = Layer::new("GRU", Direction::Forward, 2, 3);
        let node = Node::new("GRU", &["X", "We", "Re"], &["", "h0"]).name(name).int("hidden_size", 3);
        let graph = Graph::default().node(&node).tensor(&floats("We", &encoder.w_dims(), &encoder.w));
        graph.tensor(&floats("Re", &encoder.r_dims(), &encoder.r))
    };
    let cases = [
        ("Tanh node \"squash\"", Graph::default().node(&Node::new("Tanh", &["row"], &["h0"]).name("squash"))),
        (
            "Expand node \"grow\"",
            to().node(&Node::new("Tanh", &["row"], &["t"]).name("squash"))
                .node(&Node::new("Expand", &["t", "to"], &["h0"]).name("grow")),
        ),
        (
            "MatMul node \"mix\"",
            Graph::default().node(&Node::new("MatMul", &["row", "X"], &["h0"]).name("mix")),
        ),
        // A part of an input, which the caller must give.
        (
            "Slice node \"part\"",
            Graph::default()
                .inputs(&["all"])
                .tensor(&ints("zero", &[1], &[0]))
                .node(&Node::new("Slice", &["all", "zero", "one", "zero"], &["h0"]).name("part")),
        ),
        // Different rows, as many as the batch has.
        (
            "Gather node \"pick\"",
            Graph::default()
                .inputs(&["which"])
                .tensor(&floats("table", &[1, 4, 3], &ramp(0, 12)))
                .node(&Node::new("Gather", &["table", "which"], &["h0"]).int("axis", 1).name("pick")),
        ),
    ];
    for (maker, graph) in cases {
        let imported = with_state(graph);
        let OnnxInput::Computed { name, by } = &imported.initial_h else {
            panic!("{:?}", imported.initial_h)
        };
        assert!(name == "initial_h" && by.contains(maker), "{maker}: {by}");
        assert!(!imported.whole_graph);
        let said = &imported.report.decisions;
        assert!(said.iter().any(|text| text.contains("initial_h") && text.contains(maker)), "{said:?}");
        let error = imported.check_given(&["X"]).expect_err("not given");
        for word in ["initial_h", maker, "\"rec\""] {
            assert!(
                matches!(error, Error::Unsupported { .. }) && error.to_string().contains(word),
                "{error}"
            );
        }
        imported.check_given(&["X", "initial_h"]).expect("all are given");
    }
    // From another node: the two do not form a stack, and either is read by its name.
    let gru = Layer::gru();
    let graph = sized(other("reader"), "X", &[-1, -1, 2]).outputs(&["Y"]);
    let graph = gru.tensors(graph.node(&gru.node_on(&["X", "W", "R", "B", "", "h0"])));
    assert!(matches!(graph.refused(), Error::Ambiguous { found, .. } if found.len() == 2));
    let imported = graph.read_with(&Onnx::new().node("rec")).expect("by its name");
    let by = "GRU node \"reader\"".to_owned();
    assert_eq!(imported.initial_h, OnnxInput::Computed { name: "initial_h".into(), by });
}

/// A model alone has neither lengths nor states: those that the file gives the node are refused, those that the
/// caller must give are reported.
#[test]
fn a_model_alone_never_loses_what_the_file_gives_the_node() {
    let lstm = Layer::new("LSTM", Direction::Forward, 2, 3);
    let graph =
        |names: [&str; 3]| lstm.graph_of(&lstm.node_on(&["X", "W", "R", "B", names[0], names[1], names[2]]));
    let state = |name: &str, data: &[f32]| floats(name, &[1, 1, 3], data);
    let alone = |graph: &Graph| Onnx::new().parse(SOURCE, &graph.model(22), None);
    let plain = alone(&lstm.graph()).expect("nothing beside X");
    assert!(plain.report.initial_states.is_empty());
    // Zeros are what a run begins with.
    let zeros = graph(["", "h", "c"]).tensor(&state("h", &[0.0; 3])).tensor(&state("c", &[-0.0; 3]));
    assert_eq!(alone(&zeros).expect("zeros").model, plain.model);
    let inputs = graph(["len", "h", "c"]).inputs(&["len", "h", "c"]);
    let given = alone(&inputs).expect("inputs of the graph");
    assert_eq!(given.model, plain.model);
    let [h, c] = &given.report.initial_states[..] else { panic!("{:?}", given.report) };
    assert!(h.starts_with("initial_h of \"rec\"") && h.ends_with("\"h\""), "{h}");
    assert!(c.starts_with("initial_c of \"rec\"") && c.ends_with("\"c\""), "{c}");
    let made = |name: &str| graph(["", "", name]).node(&Node::new("Relu", &["X"], &[name]).name("maker"));
    let cases = [
        (
            graph(["len", "", ""]).tensor(&ints("len", &[1], &[2])),
            "sequence_lens",
            "give every batch lengths",
        ),
        (graph(["", "h", ""]).tensor(&state("h", &ramp(7, 3))), "initial_h", "give every batch h0"),
        (graph(["", "", "c"]).tensor(&state("c", &[0.0, 0.0, 0.5])), "initial_c", "give every batch c0"),
        (made("c"), "initial_c", "Relu node \"maker\""),
    ];
    for (graph, role, word) in cases {
        let error = alone(&graph).expect_err(role);
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        let text = error.to_string();
        for word in [role, word, "LSTM \"rec\"", "import::Onnx::read_graph"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let read = graph.read().expect("the graph has it");
        assert_eq!(read.model, plain.model);
    }
}

/// A value that a branch or a loop gets from outside is not an input of the graph.
#[test]
fn a_state_from_around_a_subgraph_has_to_be_given() {
    let gru = Layer::gru();
    let body = Graph::default().node(&gru.node_on(&["X", "W", "R", "B", "", "carried"])).inputs(&["carried"]);
    let node =
        Node::new("Loop", &["n", "", "first"], &["out"]).name("loop").graph("body", &body.outputs(&["Y_h"]));
    let graph = gru.tensors(Graph::default().node(&node).inputs(&["X", "n", "first"]).outputs(&["out"]));
    let imported = graph.read().expect("the only node");
    let OnnxInput::Computed { by, .. } = &imported.initial_h else { panic!("{:?}", imported.initial_h) };
    assert!(by.contains("\"carried\""), "{by}");
    // The graph's own input is one in a branch too.
    let body = Graph::default().node(&gru.node_on(&["X", "W", "R", "B", "", "first"]));
    let node = Node::new("If", &["n"], &["out"]).graph("then_branch", &body.outputs(&["Y_h"]));
    let graph = gru.tensors(Graph::default().node(&node).inputs(&["X", "n", "first"]).outputs(&["out"]));
    let imported = graph.read().expect("the only node");
    assert_eq!(imported.initial_h, OnnxInput::Array("initial_h".into()));
    let said = "initial_h: the graph's input \"first\"".to_owned();
    assert!(imported.report.decisions.contains(&said), "{:?}", imported.report.decisions);
}

#[test]
fn lengths_are_constants_counted_or_to_be_given() {
    let gru = Layer::gru();
    let read = |extra: Graph| {
        let graph = sized(extra, "X", &[-1, -1, 2]).outputs(&["Y", "Y_h"]);
        let graph = gru.tensors(graph.node(&gru.node_on(&["X", "W", "R", "B", "len"])));
        let graph = graph.tensor(&ints("zero", &[1], &[0])).tensor(&ints("one", &[1], &[1]));
        graph.read().expect("a whole file")
    };
    let g = Graph::default;
    let shape = Node::new("Shape", &["X"], &["sizes"]);
    let size = |at: &str, name: &str| Node::new("Gather", &["sizes", at], &[name]);
    let counted = || g().node(&shape).node(&size("zero", "t")).node(&size("one", "b"));
    let cast = Node::new("Cast", &["long"], &["len"]).int("to", 6).name("to_int32");

    let constant = read(g().tensor(&ints("long", &[2], &[3, 5])).node(&cast));
    assert_eq!(constant.sequence_lens, OnnxInput::Constant(vec![3, 5]));
    let one =
        counted().tensor(&ints("seven", &[1], &[7])).node(&Node::new("Expand", &["seven", "b"], &["len"]));
    assert_eq!(read(one).sequence_lens, OnnxInput::Repeated(vec![7]));
    // All steps of X for each sequence, as counted by TensorFlow's exporter.
    let all = counted().node(&Node::new("Cast", &["t"], &["t32"]).int("to", 6));
    let imported = read(all.node(&Node::new("Tile", &["t32", "b"], &["len"])));
    assert_eq!(imported.sequence_lens, OnnxInput::Array("sequence_lens".into()));
    assert!(imported.report.decisions.iter().any(|text| text.contains("counts all steps of X")));

    for (maker, graph) in [
        ("Cast node \"to_int32\"", g().inputs(&["long"]).node(&cast)),
        ("ReduceSum node \"count\"", g().node(&Node::new("ReduceSum", &["X"], &["len"]).name("count"))),
        // As many as the size of the batch, which is not the number of X's steps.
        ("Expand", counted().node(&Node::new("Expand", &["b", "b"], &["len"]))),
    ] {
        let imported = read(graph);
        let error = imported.check_given(&["X"]).expect_err("not given").to_string();
        assert!(error.contains("sequence_lens") && error.contains(maker), "{maker}: {error}");
        imported.check_given(&["X", "sequence_lens"]).expect("all are given");
    }
}

/// A value that several operators share is visited at each use: a small file must not make that take unbounded time.
#[test]
fn shared_values_are_charged_at_each_use() {
    let doubled = |count: usize| {
        let first = Node::new("ConstantOfShape", &["unknown"], &["c0"]);
        let graph = Graph::default().inputs(&["unknown"]).node(&first);
        let graph = (0..count).fold(graph, |graph, at| {
            let (from, to) = (format!("c{at}"), format!("c{}", at + 1));
            graph.node(&Node::new("Concat", &[&from, &from], &[&to]).int("axis", 1))
        });
        let gru = Layer::gru();
        let last = format!("c{count}");
        let graph = graph.inputs(&["X"]).outputs(&["Y", "Y_h"]);
        gru.tensors(graph.node(&gru.node_on(&["X", "W", "R", "B", "", &last]))).read()
    };
    assert!(doubled(3).is_ok());
    let error = doubled(60).expect_err("too much").to_string();
    assert!(error.contains("elements, but the file's size allows"), "{error}");
}
