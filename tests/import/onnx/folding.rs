//! Weights that reach the node through other operators: every folded operator, in both of its forms, against the
//! numbers of the plain file; and nodes inside branches and model functions.

use crate::common::onnx_file::{Graph, Layer, Message, Node, SOURCE, claim, external, floats, ints, ramp};
use wgru::import::{Onnx, OnnxGraph, OnnxInput};
use wgru::{Direction, Error};

/// The GRU with R computed by `graph` under the name "V".
fn with_r(graph: Graph) -> Result<OnnxGraph, Error> {
    let gru = Layer::gru();
    gru.tensors(graph.node(&gru.node_on(&["X", "W", "V", "B"])).inputs(&["X"]).outputs(&["Y", "Y_h"])).read()
}

/// Asserts that `graph` computes "V" from R's numbers, and that the graph still counts as one node.
fn same(what: &str, graph: Graph) {
    let imported = with_r(graph).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(imported.model, Layer::gru().graph().read().expect("a whole file").model, "{what}");
    assert!(imported.whole_graph, "{what}");
}

fn refused(what: &str, graph: Graph) -> String {
    match with_r(graph) {
        Ok(_) => panic!("{what}: must be refused"),
        Err(error) => error.to_string(),
    }
}

/// An operator from `inputs` to "V".
fn to_v(op: &str, inputs: &[&str]) -> Node {
    Node::new(op, inputs, &["V"]).name("made")
}

/// R's numbers, `[1, 9, 3]`.
fn r() -> Vec<f32> {
    Layer::gru().r
}

fn transposed(data: &[f32], rows: usize) -> Vec<f32> {
    let columns = data.len() / rows;
    (0..columns).flat_map(|c| (0..rows).map(move |row| data[row * columns + c])).collect()
}

#[test]
fn constants_and_what_keeps_their_numbers() {
    let g = Graph::default;
    let flat = || g().tensor(&floats("flat", &[9, 3], &r()));
    same("Constant", g().node(&to_v("Constant", &[]).tensor("value", &floats("", &[1, 9, 3], &r()))));
    same("Identity", g().tensor(&floats("r", &[1, 9, 3], &r())).node(&to_v("Identity", &["r"])));
    same("Unsqueeze, attribute", flat().node(&to_v("Unsqueeze", &["flat"]).ints("axes", &[0])));
    let at = |axis| flat().tensor(&ints("axes", &[1], &[axis]));
    same("Unsqueeze, input", at(0).node(&to_v("Unsqueeze", &["flat", "axes"])));
    same("Unsqueeze, from the end", at(-3).node(&to_v("Unsqueeze", &["flat", "axes"])));
    let deep = || g().tensor(&floats("deep", &[1, 1, 9, 3, 1], &r()));
    same("Squeeze, attribute", deep().node(&to_v("Squeeze", &["deep"]).ints("axes", &[-1, 0])));
    let axes = deep().tensor(&ints("axes", &[2], &[1, 4]));
    same("Squeeze, input", axes.node(&to_v("Squeeze", &["deep", "axes"])));
    let plain =
        g().tensor(&floats("deep", &[9, 1, 3, 1], &r())).node(&Node::new("Squeeze", &["deep"], &["s"]));
    same("Squeeze of all", plain.node(&to_v("Unsqueeze", &["s"]).ints("axes", &[0])));
    for to in [[1, 9, 3], [1, -1, 3], [-1, 9, 3]] {
        let graph = flat().tensor(&ints("to", &[3], &to));
        same("Reshape", graph.node(&to_v("Reshape", &["flat", "to"])));
    }
    let graph = deep().node(&to_v("Reshape", &["deep", "to"]).int("allowzero", 0));
    same("Reshape that copies", graph.tensor(&ints("to", &[3], &[0, -1, 3])));
    let turned = || g().tensor(&floats("t", &[3, 9, 1], &transposed(&r(), 9)));
    same("Transpose", turned().node(&to_v("Transpose", &["t"])));
    same("Transpose, perm", turned().node(&to_v("Transpose", &["t"]).ints("perm", &[2, 1, 0])));
    let listed = to_v("Reshape", &["list", "to"]);
    let graph = g().node(&Node::new("Constant", &[], &["list"]).floats("value_floats", &r()));
    let graph = graph.node(&Node::new("Constant", &[], &["to"]).ints("value_ints", &[1, 9, 3]));
    same("Constant of lists", graph.node(&listed));
}

#[test]
fn slices_and_joins() {
    let long: Vec<f32> = ramp(500, 6).into_iter().chain(r()).chain(ramp(600, 3)).collect();
    let g = || Graph::default().tensor(&floats("long", &[1, 12, 3], &long));
    let slice = |inputs: &[&str]| to_v("Slice", inputs);
    let bounds = |starts: &[i64], ends: &[i64]| slice(&["long"]).ints("starts", starts).ints("ends", ends);
    same("Slice, attributes", g().node(&bounds(&[2], &[11]).ints("axes", &[1])));
    same("Slice, no axes", g().node(&bounds(&[0, 2], &[9, -1])));
    same("Slice, from the end", g().node(&bounds(&[-10], &[-1]).ints("axes", &[-2])));
    let inputs = g().tensor(&ints("from", &[1], &[2])).tensor(&ints("to", &[1], &[11])).tensor(&ints(
        "axes",
        &[1],
        &[1],
    ));
    same("Slice, inputs", inputs.clone().node(&slice(&["long", "from", "to", "axes"])));
    // Every number twice, of which every second is taken; then from the end to the first.
    let twice: Vec<f32> = r().iter().flat_map(|&v| [v, 99.0]).collect();
    let one = |name: &str, value: i64| ints(name, &[1], &[value]);
    let graph = Graph::default().tensor(&floats("twice", &[1, 9, 6], &twice)).tensor(&one("zero", 0));
    let graph = graph.tensor(&one("end", i64::MAX)).tensor(&one("two", 2));
    same("Slice with steps", graph.node(&slice(&["twice", "zero", "end", "two", "two"])));
    let back: Vec<f32> = r().chunks(3).rev().flatten().copied().collect();
    let graph = Graph::default().tensor(&floats("back", &[1, 9, 3], &back)).tensor(&one("last", -1));
    let graph = graph.tensor(&one("end", i64::MIN)).tensor(&one("one", 1));
    same("Slice backwards", graph.node(&slice(&["back", "last", "end", "one", "last"])));

    let parts = |axis: i64| {
        let graph = Graph::default().tensor(&floats("a", &[1, 4, 3], &r()[..12]));
        graph
            .tensor(&floats("b", &[1, 5, 3], &r()[12..]))
            .node(&to_v("Concat", &["a", "b"]).int("axis", axis))
    };
    same("Concat", parts(1));
    same("Concat, from the end", parts(-2));
    let columns: Vec<Vec<f32>> = (0..3).map(|c| r().chunks(3).map(|row| row[c]).collect()).collect();
    let graph = columns
        .iter()
        .zip(["a", "b", "c"])
        .fold(Graph::default(), |graph, (column, name)| graph.tensor(&floats(name, &[1, 9, 1], column)));
    same("Concat of columns", graph.node(&to_v("Concat", &["a", "b", "c"]).int("axis", 2)));
}

/// PyTorch writes gates one by one: split, reordered, joined, with a direction axis.
#[test]
fn a_chain_of_operators() {
    let gates = [2usize, 0, 1].map(|gate| r()[gate * 9..][..9].to_vec()).concat();
    let mut graph = Graph::default().tensor(&floats("torch", &[9, 3], &gates));
    for (name, start) in [("g0", 3), ("g1", 6), ("g2", 0)] {
        let cut = Node::new("Slice", &["torch"], &[name]).ints("starts", &[start]).ints("ends", &[start + 3]);
        graph = graph.node(&cut.ints("axes", &[0]));
    }
    let join = Node::new("Concat", &["g0", "g1", "g2"], &["joined"]).int("axis", 0);
    let cast = Node::new("Cast", &["joined"], &["cast"]).int("to", 1);
    same("a chain", graph.node(&join).node(&cast).node(&to_v("Unsqueeze", &["cast"]).ints("axes", &[0])));
}

#[test]
fn shapes_fills_and_states() {
    let gru = Layer::gru();
    let inputs = ["X", "W", "R", "B", "", "h0"];
    let base = || gru.graph_of(&gru.node_on(&inputs));
    let zeros = |graph: Graph| {
        let imported = graph.read().expect("zeros");
        let OnnxInput::Constant(h0) = imported.initial_h else { panic!("{:?}", imported.initial_h) };
        assert_eq!(h0.shape, [1, 2, 3]);
        assert!(imported.whole_graph);
        h0.data
    };
    let dims = ints("dims", &[3], &[1, 2, 3]);
    let fill = Node::new("ConstantOfShape", &["dims"], &["h0"]);
    assert_eq!(zeros(base().tensor(&dims).node(&fill)), [0.0; 6]);
    let half = fill.clone().tensor("value", &floats("", &[1], &[0.5]));
    assert_eq!(zeros(base().tensor(&dims).node(&half)), [0.5; 6]);
    // Sizes taken from a constant's own shape.
    let like = base().tensor(&floats("like", &[1, 2, 3], &ramp(0, 6)));
    let shape = Node::new("Shape", &["like"], &["dims"]);
    assert_eq!(zeros(like.node(&shape).node(&fill)), [0.0; 6]);
    let part = Node::new("Shape", &["R"], &["n"]).int("start", -1);
    let sizes = Node::new("Concat", &["ones", "n"], &["dims"]).int("axis", 0);
    let graph = base().tensor(&ints("ones", &[2], &[1, 2])).node(&part).node(&sizes).node(&fill);
    assert_eq!(zeros(graph), [0.0; 6]);
    let row = floats("row", &[1, 3], &[1.0, 2.0, 3.0]);
    let graph = base().tensor(&row).tensor(&dims).node(&Node::new("Expand", &["row", "dims"], &["h0"]));
    assert_eq!(zeros(graph), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    // Sizes of X are known only at run time: zeros for each sequence, and the graph is more than the node.
    let graph = base().node(&Node::new("Shape", &["X"], &["dims"])).node(&fill);
    let imported = graph.read().expect("a state made at run time");
    let OnnxInput::Repeated(h0) = imported.initial_h else { panic!("{:?}", imported.initial_h) };
    assert_eq!((h0.shape, h0.data), (vec![1, 1, 3], vec![0.0; 3]));
    assert!(!imported.whole_graph);
}

/// 1, −2 and 0.5 in every float type, as raw data and in the typed fields.
#[test]
fn floats_of_every_width_are_read() {
    let f16 = [0x3c00u16, 0xc000, 0x3800];
    let bf16 = [0x3f80u16, 0xc000, 0x3f00];
    let f64s = [1.0f64, -2.0, 0.5];
    let raw16 = |bits: [u16; 3]| bits.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let raw64: Vec<u8> = f64s.iter().flat_map(|v| v.to_le_bytes()).collect();
    let raw32: Vec<u8> = f64s.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect();
    let typed16 =
        |kind, bits: [u16; 3]| bits.iter().fold(claim("w", kind, &[1, 3, 1]), |t, &v| t.int(5, v.into()));
    let rnn = Layer::new("RNN", Direction::Forward, 1, 3);
    for (what, w) in [
        ("raw f16", claim("w", 10, &[1, 3, 1]).bytes(9, raw16(f16))),
        ("raw bf16", claim("w", 16, &[1, 3, 1]).bytes(9, raw16(bf16))),
        ("raw f32", claim("w", 1, &[1, 3, 1]).bytes(9, &raw32)),
        ("raw f64", claim("w", 11, &[1, 3, 1]).bytes(9, &raw64)),
        ("typed f16", typed16(10, f16)),
        ("typed bf16", typed16(16, bf16)),
        ("typed f32, packed", claim("w", 1, &[1, 3, 1]).bytes(4, &raw32)),
        ("typed f32", f64s.iter().fold(claim("w", 1, &[1, 3, 1]), |t, &v| t.float(4, v as f32))),
        ("typed f64, packed", claim("w", 11, &[1, 3, 1]).bytes(10, &raw64)),
    ] {
        let direct = rnn.graph_of(&rnn.node_on(&["X", "w", "R"])).tensor(&w);
        let model = direct.read().unwrap_or_else(|error| panic!("{what}: {error}")).model;
        assert_eq!(model.layers()[0].weights()[0].w_ih, [1.0, -2.0, 0.5], "{what}");
        let cast = rnn.graph_of(&rnn.node_on(&["X", "c", "R"])).tensor(&w);
        let cast = cast.node(&Node::new("Cast", &["w"], &["c"]).int("to", 1));
        assert_eq!(cast.read().expect(what).model, model, "{what}");
    }
    for kind in [8, 12, 13, 17, 99, -1] {
        let graph = rnn.graph_of(&rnn.node_on(&["X", "w", "R"])).tensor(&claim("w", kind, &[1, 3, 1]));
        assert!(matches!(graph.refused(), Error::Unsupported { .. }), "type {kind}");
    }
    let whole = rnn.graph_of(&rnn.node_on(&["X", "w", "R"])).tensor(&ints("w", &[1, 3, 1], &[1, 2, 3]));
    assert!(whole.refused().to_string().contains("integers"));
}

#[test]
fn what_is_not_folded_is_named() {
    let g = || Graph::default().tensor(&floats("r", &[1, 9, 3], &r()));
    let text = refused("Tanh", g().node(&to_v("Tanh", &["r"])));
    assert!(text.contains("Tanh node \"made\"") && text.contains("R of GRU node \"rec\""), "{text}");
    let text = refused("another domain", g().node(&to_v("Identity", &["r"]).domain("com.example")));
    assert!(text.contains("is not folded"), "{text}");
    let text = refused("an attribute", g().node(&to_v("Identity", &["r"]).int("strange", 1)));
    assert!(text.contains("strange"), "{text}");
    let text = refused("run time", g().node(&to_v("Identity", &["X"])));
    assert!(text.contains("\"X\" is an input of the graph"), "{text}");
    let text = refused("an undefined name", Graph::default());
    assert!(text.contains("\"V\""), "{text}");
    let sparse = Message::default().message(1, &floats("V", &[1], &[1.0]));
    let text = refused("a sparse tensor", Graph(Graph::default().0.message(15, &sparse)));
    assert!(text.contains("\"V\" is a sparse tensor"), "{text}");
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    let g = || Graph::default().tensor(&floats("r", &[1, 9, 3], &r())).tensor(&floats("e", &[1, 0, 3], &[]));
    let two = |op: &str, name: &str, data: &[i64]| {
        g().tensor(&ints(name, &[data.len() as i64], data)).node(&to_v(op, &["r", name]))
    };
    let cut = |from: i64, to: i64, axis: i64| {
        to_v("Slice", &["r"]).ints("starts", &[from]).ints("ends", &[to]).ints("axes", &[axis])
    };
    let stepped = |of: &str, step: i64| {
        let one = |name: &str, value: i64| ints(name, &[1], &[value]);
        let graph = g()
            .tensor(&one("a", -1))
            .tensor(&one("b", i64::MIN))
            .tensor(&one("c", 1))
            .tensor(&one("s", step));
        graph.node(&to_v("Slice", &[of, "a", "b", "c", "s"]))
    };
    let cases = [
        ("perm too short", g().node(&to_v("Transpose", &["r"]).ints("perm", &[0, 1]))),
        ("perm twice", g().node(&to_v("Transpose", &["r"]).ints("perm", &[0, 1, 1]))),
        ("perm outside", g().node(&to_v("Transpose", &["r"]).ints("perm", &[0, 1, 3]))),
        ("slice axis", g().node(&cut(0, 1, 3))),
        ("slice axis", g().node(&cut(0, 1, i64::MIN))),
        ("slice empty", g().node(&cut(i64::MAX, i64::MIN, 1))),
        ("slice empty", g().node(&cut(i64::MIN, i64::MIN, 1))),
        ("slice lengths", g().node(&to_v("Slice", &["r"]).ints("starts", &[0, 0]).ints("ends", &[1]))),
        (
            "slice axes twice",
            g().node(
                &to_v("Slice", &["r"]).ints("starts", &[0, 0]).ints("ends", &[1, 1]).ints("axes", &[1, -2]),
            ),
        ),
        ("slice without starts", g().node(&to_v("Slice", &["r"]))),
        ("slice step 0", stepped("r", 0)),
        ("slice step smallest", stepped("r", i64::MIN)),
        ("slice backwards of nothing", stepped("e", -1)),
        ("reshape size", two("Reshape", "to", &[2, 9, 3])),
        ("reshape twice -1", two("Reshape", "to", &[-1, -1, 3])),
        ("reshape -2", two("Reshape", "to", &[-2, 9, 3])),
        ("reshape overflow", two("Reshape", "to", &[i64::MAX, i64::MAX, 3])),
        ("reshape copy of none", two("Reshape", "to", &[1, 9, 3, 0])),
        ("reshape rank", two("Reshape", "to", &[1; 99])),
        ("unsqueeze twice", two("Unsqueeze", "to", &[0, 0])),
        ("unsqueeze outside", two("Unsqueeze", "to", &[9])),
        ("unsqueeze rank", two("Unsqueeze", "to", &[0; 99])),
        ("unsqueeze of nothing", g().node(&to_v("Unsqueeze", &["r"]))),
        ("squeeze of 9", two("Squeeze", "to", &[1])),
        ("expand", two("Expand", "to", &[2, 4, 3])),
        ("expand huge", two("Expand", "to", &[1 << 40, 1, 1, 1])),
        ("expand overflow", two("Expand", "to", &[i64::MAX, i64::MAX, 1, 1, 1])),
        ("expand negative", two("Expand", "to", &[-1, 9, 3])),
        ("concat axis", g().node(&to_v("Concat", &["r"]).int("axis", 3))),
        ("concat no axis", g().node(&to_v("Concat", &["r"]))),
        ("concat of nothing", g().node(&to_v("Concat", &[]).int("axis", 0))),
        (
            "concat shapes",
            two("Squeeze", "to", &[0]).node(&Node::new("Concat", &["V", "r"], &["Z"]).int("axis", 0)),
        ),
        (
            "concat types",
            g().tensor(&claim("h", 10, &[1, 0, 3])).node(&to_v("Concat", &["h", "r"]).int("axis", 1)),
        ),
        ("cast to nothing", g().node(&to_v("Cast", &["r"]))),
        ("cast to text", g().node(&to_v("Cast", &["r"]).int("to", 8))),
        ("constant of nothing", g().node(&to_v("Constant", &[]))),
        ("constant of text", g().node(&to_v("Constant", &[]).text("value_string", "a"))),
        ("constant of another type", g().node(&to_v("Constant", &[]).int("value", 1))),
        (
            "perm given twice",
            g().node(&to_v("Transpose", &["r"]).ints("perm", &[0, 1, 2]).ints("perm", &[0, 1, 2])),
        ),
        ("too many inputs", g().node(&to_v("Identity", &["r", "r"]))),
        ("no input", g().node(&to_v("Identity", &[""]))),
        ("a second output", g().node(&Node::new("Identity", &["r"], &["first", "V"]))),
    ];
    for (what, graph) in cases {
        assert!(!refused(what, graph).is_empty());
    }
}

/// A branch can use the constants of the graph around it, and its nodes are named by their path.
#[test]
fn nodes_inside_branches() {
    let gru = Layer::gru();
    let other = Layer::new("LSTM", Direction::Forward, 2, 3);
    let then = Graph::default()
        .node(&Node::new("Identity", &["R"], &["r_inside"]))
        .node(&gru.node_on(&["X", "W", "r_inside", "B"]))
        .outputs(&["Y"]);
    let otherwise = Graph::default()
        .node(&other.node_on(&["X", "w", "r"]))
        .tensor(&floats("w", &other.w_dims(), &other.w))
        .tensor(&floats("r", &other.r_dims(), &other.r))
        .outputs(&["Y"]);
    let branch = Node::new("If", &["C"], &["out"]).name("pick").graph("then_branch", &then);
    let graph = Graph::default().node(&branch.graph("else_branch", &otherwise));
    let graph = gru.tensors(graph.inputs(&["X", "C"]).outputs(&["out"]));
    let Error::Ambiguous { found, .. } = graph.refused() else { panic!("two nodes") };
    assert_eq!(
        found,
        ["pick/then_branch/rec: GRU forward [3·3, 2→3]", "pick/else_branch/rec: LSTM forward [4·3, 2→3]"]
    );
    let first = graph.read_with(&Onnx::new().node("pick/then_branch/rec")).expect("by its way");
    assert_eq!(first.model, gru.graph().read().expect("alone").model);
    assert_eq!((first.whole_graph, first.x.as_str(), first.y.as_deref()), (false, "X", Some("Y")));
    assert_eq!(first.report.used, ["B", "R", "W"]);
    assert_eq!(first.report.left_over, ["pick/else_branch/r", "pick/else_branch/w"]);
    let second = graph.read_with(&Onnx::new().node("pick/else_branch/rec")).expect("by its way");
    assert_eq!(
        (second.op.as_str(), second.report.left_over),
        ("LSTM", vec!["B".into(), "R".into(), "W".into()])
    );
    // The only node of a file needs no name, wherever it is.
    let alone = Graph::default().node(&Node::new("If", &["C"], &["out"]).graph("then_branch", &then));
    let alone = gru.tensors(alone.inputs(&["X", "C"]).outputs(&["out"])).read().expect("one node");
    assert_eq!((alone.node.as_str(), alone.whole_graph), ("rec", false));
}

#[test]
fn nodes_inside_model_functions_are_found() {
    let gru = Layer::gru();
    let function = |inputs: &[&str]| {
        let body = Graph::default().node(&gru.node_on(inputs)).0;
        // A graph's node is field 1, a function's field 7; both are the bytes after one key.
        let node = Message(body.0[1..].to_vec());
        let mut message = Message::default().bytes(1, "block").bytes(4, "X").bytes(4, "R");
        message.0.push(7 << 3 | 2);
        message.0.extend(node.0);
        let model = Message(Graph::default().model(18)).message(25, &message);
        Onnx::new().parse_graph(SOURCE, &model.0, None)
    };
    let error = function(&["X", "R", "R"]).expect_err("weights from the caller");
    assert!(matches!(&error, Error::Unsupported { what } if what.contains("is an input")), "{error}");
}

#[test]
fn external_data_are_read_from_the_models_folder() {
    let folder = std::env::temp_dir().join(format!("wgru-onnx-{}-read", std::process::id()));
    std::fs::create_dir_all(folder.join("deep")).expect("a folder");
    let gru = Layer::gru();
    let bytes: Vec<u8> = [7.0].iter().chain(&gru.r).flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(folder.join("deep/weights.bin"), &bytes).expect("a file");
    let graph = |entries: &[(&str, &str)]| {
        let graph = gru.graph_of(&gru.node_on(&["X", "W", "V", "B"]));
        graph.tensor(&external("V", &gru.r_dims(), entries)).model(22)
    };
    let length = (bytes.len() - 4).to_string();
    let place = [("location", "deep/weights.bin"), ("offset", "4"), ("length", &*length)];
    let plain = gru.graph().read().expect("alone").model;
    for entries in [&place[..], &place[..2], &[place[0], place[1], ("checksum", "abc")]] {
        let imported = Onnx::new().parse_graph(SOURCE, &graph(entries), Some(&folder)).expect("a whole file");
        assert_eq!(imported.model, plain);
        assert!(imported.report.used.contains(&"V".into()));
    }
    std::fs::write(folder.join("m.onnx"), graph(&place)).expect("a file");
    assert_eq!(Onnx::new().read_graph(folder.join("m.onnx")).expect("a file").model, plain);
    assert_eq!(Onnx::list(folder.join("m.onnx")).expect("a list").len(), 1);
    std::fs::remove_dir_all(&folder).expect("removed");
}
