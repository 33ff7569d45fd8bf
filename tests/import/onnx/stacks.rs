//! Nodes that feed each other, joined in the way of exporters, are read as one model; other joins are not.

use crate::common::onnx_file::{Graph, Layer, Node, floats, ints, of_file, ramp};
use wgru::import::{Onnx, OnnxGraph, OnnxInput};
use wgru::{Direction, Error};

const BOTH: Direction = Direction::Bidirectional;
const ONE: Direction = Direction::Forward;

/// Layer `index` on `input` features with its weights, its X at `x{index}`, its Y at `y{index}`.
fn add(graph: Graph, layer: &Layer, index: usize, more: &[&str]) -> Graph {
    let name = |letter: &str| format!("{letter}{index}");
    let fixed = [name("x"), name("W"), name("R"), name("B")];
    let inputs: Vec<&str> = fixed.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let outputs = [name("y"), name("h"), name("c")];
    let count = if layer.op == "LSTM" { 3 } else { 2 };
    let outputs: Vec<&str> = outputs[..count].iter().map(String::as_str).collect();
    let node =
        Node::new(layer.op, &inputs, &outputs).name(&name("layer")).int("hidden_size", layer.hidden as i64);
    let node = match layer.direction {
        Direction::Forward => node,
        other => node.text("direction", &other.to_string()),
    };
    graph
        .node(&node)
        .tensor(&floats(&name("W"), &layer.w_dims(), &layer.w))
        .tensor(&floats(&name("R"), &layer.r_dims(), &layer.r))
        .tensor(&floats(&name("B"), &layer.b_dims(), &layer.b))
}

/// Two layers of H = 3 on I = 2, the second with other numbers.
fn two(op: &'static str, directions: [Direction; 2]) -> [Layer; 2] {
    let first = Layer::new(op, directions[0], 2, 3);
    let mut second = Layer::new(op, directions[1], 3 * directions[0].count(), 3);
    second.w.reverse();
    second.r.reverse();
    [first, second]
}

/// Both with `between` from y0 to x1, on x0.
fn stack(layers: &[Layer; 2], between: &dyn Fn(Graph) -> Graph) -> Graph {
    let graph = add(Graph::default().inputs(&["x0"]), &layers[0], 0, &[]);
    add(between(graph), &layers[1], 1, &[]).outputs(&["y1"])
}

/// Asserts that the graph is read as the two layers.
fn is_stack(what: &str, graph: &Graph, layers: &[Layer; 2]) -> OnnxGraph {
    let imported = graph.read().unwrap_or_else(|error| panic!("{what}: {error}"));
    let plain = layers.each_ref().map(|layer| layer.graph().read().expect("a whole file").model);
    let expected: Vec<_> = plain.iter().flat_map(|model| model.layers()).collect();
    assert_eq!(imported.model.layers().iter().collect::<Vec<_>>(), expected, "{what}");
    assert_eq!(imported.node, "layer0,layer1", "{what}");
    let named = graph.read_with(&Onnx::new().node("layer0,layer1")).expect("by their names");
    assert_eq!(named, imported, "{what}");
    imported
}

fn transposed(graph: Graph) -> Graph {
    graph.node(&Node::new("Transpose", &["y0"], &["t"]).ints("perm", &[0, 2, 1, 3]))
}

#[test]
fn layers_are_joined_as_exporters_join_them() {
    let reshaped = |to: &[i64]| {
        let to = to.to_vec();
        move |graph: Graph| {
            let graph = transposed(graph).tensor(&ints("to", &[to.len() as i64], &to));
            graph.node(&Node::new("Reshape", &["t", "to"], &["x1"]))
        }
    };
    for op in ["GRU", "LSTM", "RNN"] {
        let both = two(op, [BOTH, BOTH]);
        for to in [[0, 0, -1], [0, 0, 6]] {
            is_stack("PyTorch, both directions", &stack(&both, &reshaped(&to)), &both);
        }
        for directions in [[ONE, ONE], [ONE, Direction::Reverse], [Direction::Reverse, ONE]] {
            let one = two(op, directions);
            let squeezed = |graph: Graph| graph.node(&Node::new("Squeeze", &["y0", "d"], &["x1"]));
            let squeezed = |graph: Graph| squeezed(graph.tensor(&ints("d", &[1], &[1])));
            is_stack("PyTorch, one direction", &stack(&one, &squeezed), &one);
            is_stack("its directions as a dimension of 1", &stack(&one, &reshaped(&[0, 0, -1])), &one);
        }
    }
    // The newer exporter of PyTorch computes the shape.
    let computed = |graph: Graph| {
        let mut graph = transposed(graph).node(&Node::new("Shape", &["t"], &["s"]));
        for (at, name) in ["T", "B", "D", "H"].into_iter().enumerate() {
            let (from, to) = (format!("from{at}"), format!("to{at}"));
            graph = graph.tensor(&ints(&from, &[1], &[at as i64])).tensor(&ints(&to, &[1], &[at as i64 + 1]));
            graph = graph.node(&Node::new("Slice", &["s", &from, &to], &[name]));
        }
        let graph = graph.node(&Node::new("Mul", &["D", "H"], &["DH"]));
        let graph = graph.node(&Node::new("Concat", &["T", "B", "DH"], &["to"]).int("axis", 0));
        graph.node(&Node::new("Reshape", &["t", "to"], &["x1"]).int("allowzero", 0))
    };
    for direction in [ONE, BOTH] {
        let layers = two("GRU", [direction; 2]);
        is_stack("a computed shape", &stack(&layers, &computed), &layers);
    }
    // Dropout that is off, and a dimension that is removed and restored.
    let long = |graph: Graph| {
        let graph = graph.tensor(&ints("d", &[1], &[1])).tensor(&ints("end", &[1], &[3]));
        let graph = graph.node(&Node::new("Squeeze", &["y0", "d"], &["s"]));
        let graph = graph.node(&Node::new("Dropout", &["s"], &["kept", "mask"]).float("ratio", 0.5));
        let graph = graph.node(&Node::new("Unsqueeze", &["kept", "end"], &["u"]));
        let graph = graph.node(&Node::new("Identity", &["u"], &["i"]));
        graph.node(&Node::new("Squeeze", &["i", "end"], &["x1"]))
    };
    let layers = two("GRU", [ONE; 2]);
    let imported = is_stack("a long way", &stack(&layers, &long), &layers);
    assert!(!imported.whole_graph || imported.x == "x0");
}

/// Sizes that are all symbols must not be mixed up: each of these computes an array of X's shape with other numbers.
#[test]
fn other_joins_are_no_stack() {
    let both = two("GRU", [BOTH; 2]);
    let reshape = |graph: Graph, from: &str, to: &[i64]| {
        let graph = graph.tensor(&ints("to", &[to.len() as i64], to));
        graph.node(&Node::new("Reshape", &[from, "to"], &["x1"]))
    };
    let perm =
        |graph: Graph, perm: &[i64]| graph.node(&Node::new("Transpose", &["y0"], &["t"]).ints("perm", perm));
    let cases: Vec<(&str, Graph)> = vec![
        ("without turning", stack(&both, &|g| reshape(g, "y0", &[0, -1, 6]))),
        ("directions last", stack(&both, &|g| reshape(perm(g, &[0, 2, 3, 1]), "t", &[0, 0, -1]))),
        ("batch first", stack(&both, &|g| reshape(perm(g, &[2, 0, 1, 3]), "t", &[0, 0, -1]))),
        ("steps and batch as one", stack(&both, &|g| reshape(perm(g, &[0, 2, 1, 3]), "t", &[1, -1, 6]))),
        ("steps cut", stack(&both, &|g| reshape(perm(g, &[0, 2, 1, 3]), "t", &[2, -1, 6]))),
        (
            "computed between",
            stack(&both, &|g| {
                let g = g.node(&Node::new("Relu", &["y0"], &["positive"]));
                let g = g.node(&Node::new("Transpose", &["positive"], &["t"]).ints("perm", &[0, 2, 1, 3]));
                reshape(g, "t", &[0, 0, -1])
            }),
        ),
        ("on the final state", stack(&both, &|g| reshape(g, "h0", &[-1, 2, 6]))),
        (
            "the other way round in time",
            stack(&both, &|g| {
                let g = transposed(g).tensor(&ints("back", &[1], &[-1])).tensor(&ints(
                    "start",
                    &[1],
                    &[i64::MIN + 1],
                ));
                let g = g.tensor(&ints("axis", &[1], &[0]));
                let g = g.node(&Node::new("Slice", &["t", "back", "start", "axis", "back"], &["s"]));
                reshape(g, "s", &[0, 0, -1])
            }),
        ),
    ];
    for (what, graph) in cases {
        assert!(matches!(graph.refused(), Error::Ambiguous { found, .. } if found.len() == 2), "{what}");
        let error = graph.read_with(&Onnx::new().node("layer0,layer1")).expect_err(what);
        let text = error.to_string();
        assert!(text.contains("\"layer1\"") && text.contains("\"layer0\""), "{what}: {text}");
    }
    let good = stack(&both, &|g| reshape(transposed(g), "t", &[0, 0, -1]));
    for names in ["layer1,layer0", "layer0,layer0", "layer0,layer2", "layer0,", ","] {
        assert!(good.read_with(&Onnx::new().node(names)).is_err(), "{names}");
    }
    // A readout after it makes the graph more than a stack: the layers must be named, or are refused.
    let more = good.clone().node(&Node::new("MatMul", &["y1", "W1"], &["out"]));
    let Error::Ambiguous { what, .. } = more.refused() else { panic!("it must be named") };
    assert!(what.contains("A,B"), "{what}");
    let imported = more.read_with(&Onnx::new().node("layer0,layer1")).expect("named");
    let said = &imported.report.decisions;
    assert!(said.iter().any(|text| text.contains("this stack of 2 nodes is run of 5")), "{said:?}");
    assert_eq!((imported.whole_graph, imported.model.layers().len()), (false, 2));
    // Sizes of no possible stack: without names the layers are listed, with names they are refused with their
    // numbers.
    let mut wider = two("GRU", [BOTH; 2]);
    wider[1] = Layer::new("GRU", BOTH, 6, 4);
    let graph = stack(&wider, &|g| reshape(transposed(g), "t", &[0, 0, -1]));
    assert!(matches!(graph.refused(), Error::Ambiguous { .. }));
    let error = of_file(graph.read_with(&Onnx::new().node("layer0,layer1")).expect_err("3 and 4"));
    assert!(matches!(&error, Error::Mismatch { name, .. } if name.contains("H")), "{error}");
}

/// Two bidirectional layers with states and lengths that `more` names for each.
fn on_states(extra: Graph, more: [&[&str]; 2], outputs: &[&str]) -> Graph {
    let both = two("GRU", [BOTH; 2]);
    let graph = add(extra.inputs(&["x0"]), &both[0], 0, more[0]);
    let graph = transposed(graph).tensor(&ints("to", &[3], &[0, 0, -1]));
    let graph = graph.node(&Node::new("Reshape", &["t", "to"], &["x1"]));
    add(graph, &both[1], 1, more[1]).outputs(outputs)
}

#[test]
fn states_and_lengths_of_all_layers_are_one_array() {
    let sizes = |graph: Graph| {
        let one = |graph: Graph, name: &str, value: i64| graph.tensor(&ints(name, &[1], &[value]));
        one(one(one(graph, "zero", 0), "two", 2), "four", 4)
    };
    let states: [&[&str]; 2] = [&["len", "s0"], &["len", "s1"]];
    // In the way that PyTorch splits a given state, and joins the final ones.
    let cut = |first: &str, second: &str| {
        let graph = sizes(Graph::default().inputs(&["h", "len"]));
        let graph = graph.node(&Node::new("Slice", &["h", "zero", "two", "zero"], &[first]));
        let graph = graph.node(&Node::new("Slice", &["h", "two", "four", "zero"], &[second]));
        graph.node(&Node::new("Concat", &["h0", "h1"], &["last"]).int("axis", 0))
    };
    let imported = on_states(cut("s0", "s1"), states, &["y1", "last"]).read().expect("a stack");
    assert!(imported.whole_graph);
    assert_eq!(
        (imported.x.as_str(), imported.y.as_deref(), imported.y_h.as_deref()),
        ("x0", Some("y1"), Some("last"))
    );
    assert_eq!(imported.initial_h, OnnxInput::Array("h".into()));
    assert_eq!(imported.sequence_lens, OnnxInput::Array("len".into()));
    // In another order the caller can still give them, but no longer as the graph's input.
    let imported = on_states(cut("s1", "s0"), states, &["y1", "last"]).read().expect("a stack");
    assert!(!imported.whole_graph);
    assert_eq!(imported.x, "X");
    assert!(matches!(&imported.initial_h, OnnxInput::Computed { name, .. } if name == "initial_h"));
    assert!(imported.check_given(&["X", "initial_h"]).is_ok());
    let error = imported.check_given(&["X", "h"]).expect_err("another order").to_string();
    assert!(error.contains("\"h\", which is not the states of all layers in their order"), "{error}");
    // One layer alone reads a part, which the caller must give.
    let first = on_states(cut("s0", "s1"), states, &["y1", "last"])
        .read_with(&Onnx::new().node("layer1"))
        .expect("one");
    assert!(matches!(first.initial_h, OnnxInput::Computed { .. }));

    // Constants of each layer, one after the other; a layer without one begins at zero.
    let held = |dims: [&[i64]; 2]| {
        let count = |dims: &[i64]| dims.iter().product::<i64>() as usize;
        let graph = Graph::default().tensor(&floats("s0", dims[0], &ramp(0, count(dims[0]))));
        graph.tensor(&floats("s1", dims[1], &ramp(50, count(dims[1]))))
    };
    let read = |extra: Graph, more: [&[&str]; 2]| on_states(extra, more, &["y1"]).read().expect("a stack");
    let imported = read(held([&[2, 2, 3], &[2, 2, 3]]), [&["", "s0"], &["", "s1"]]);
    let OnnxInput::Constant(h) = &imported.initial_h else { panic!("{:?}", imported.initial_h) };
    assert_eq!((&h.shape[..], &h.data), (&[4, 2, 3][..], &[ramp(0, 12), ramp(50, 12)].concat()));
    let imported = read(held([&[2, 2, 3], &[2, 2, 3]]), [&[], &["", "s1"]]);
    let OnnxInput::Constant(h) = &imported.initial_h else { panic!("{:?}", imported.initial_h) };
    assert_eq!(h.data, [vec![0.0; 12], ramp(50, 12)].concat());
    let error = on_states(held([&[2, 2, 3], &[2, 4, 3]]), [&["", "s0"], &["", "s1"]], &["y1"]).refused();
    assert!(error.to_string().contains("batches of 2 and of 4"), "{error}");

    // A row for each direction and layer, repeated to the batch: the way PyTorch writes a trained state.
    let grown = || {
        let graph = sizes(Graph::default().tensor(&floats("rows", &[4, 1, 3], &ramp(9, 12))));
        let graph = graph.node(&Node::new("Shape", &["x0"], &["of_x"])).tensor(&ints("one", &[1], &[1]));
        let graph = graph.node(&Node::new("Slice", &["of_x", "one", "two"], &["b"]));
        let graph = graph.tensor(&ints("three", &[1], &[3]));
        let graph = graph.node(&Node::new("Concat", &["four", "b", "three"], &["all"]).int("axis", 0));
        let graph = graph.node(&Node::new("Expand", &["rows", "all"], &["e"]));
        let graph = graph.node(&Node::new("Slice", &["e", "zero", "two", "zero"], &["s0"]));
        graph.node(&Node::new("Slice", &["e", "two", "four", "zero"], &["s1"]))
    };
    let imported = read(grown(), [&["", "s0"], &["", "s1"]]);
    let OnnxInput::Repeated(h) = &imported.initial_h else { panic!("{:?}", imported.initial_h) };
    assert_eq!((&h.shape[..], &h.data), (&[4, 1, 3][..], &ramp(9, 12)));
    let mixed = grown().tensor(&floats("s", &[2, 2, 3], &ramp(0, 12)));
    let imported = read(mixed, [&["", "s0"], &["", "s"]]);
    let OnnxInput::Constant(h) = &imported.initial_h else { panic!("{:?}", imported.initial_h) };
    let rows = ramp(9, 6).chunks(3).flat_map(|row| row.repeat(2)).collect::<Vec<_>>();
    assert_eq!((&h.shape[..], &h.data), (&[4, 2, 3][..], &[rows, ramp(0, 12)].concat()));

    // A decoder that begins with the state of the layer below.
    let imported = read(Graph::default(), [&[], &["", "h0"]]);
    assert!(imported.check_given(&["X"]).expect_err("computed").to_string().contains("\"layer0\""));
    // One layer with an input, the other with a constant: the caller gives both.
    let imported = read(held([&[2, 2, 3], &[2, 2, 3]]).inputs(&["h"]), [&["", "h"], &["", "s1"]]);
    assert!(imported.check_given(&["X"]).is_err());
    let error = on_states(Graph::default().inputs(&["len"]), [&["len"], &[]], &["y1"]).refused();
    assert!(error.to_string().contains("sequence_lens"), "{error}");
}
