//! The operators that move elements, on arrays whose sizes are known only at run time: what is certain of them,
//! against the operator's results for a batch of any size.

use super::states::{sized, to, with_state};
use super::weights::{refused, to_v};
use crate::common::onnx_file::{Graph, Layer, Node, claim, floats, ints, ramp};
use wgru::import::OnnxInput;

/// "e" `[1, b, n]`: a row of `numbers` for each sequence.
fn rows(numbers: &[f32]) -> Graph {
    rows_of("all", &[1, numbers.len() as i64], numbers)
}

/// "e" `[1, b, ...]`, of `dims` without the batch.
fn rows_of(all: &str, dims: &[i64], numbers: &[f32]) -> Graph {
    let mut one = dims.to_vec();
    one.insert(1, 1);
    let graph = to().tensor(&floats("numbers", &one, numbers));
    let graph = graph.tensor(&ints("rest", &[dims.len() as i64 - 1], &dims[1..]));
    let graph = graph.tensor(&ints("front", &[1], &dims[..1]));
    let graph = graph.node(&Node::new("Concat", &["front", "b", "rest"], &[all]).int("axis", 0));
    graph.node(&Node::new("Expand", &["numbers", all], &["e"]))
}

fn list(name: &str, values: &[i64]) -> crate::common::onnx_file::Message {
    ints(name, &[values.len() as i64], values)
}

/// Asserts that initial_h is one row for each sequence.
fn repeated(what: &str, graph: Graph, row: &[f32]) {
    match with_state(graph).initial_h {
        OnnxInput::Repeated(h0) => assert_eq!((&h0.shape[..], &h0.data[..]), (&[1, 1, 3][..], row), "{what}"),
        other => panic!("{what}: {other:?}"),
    }
}

/// Asserts that initial_h is known, `[1, B, 3]`.
fn known(what: &str, graph: Graph, numbers: &[f32]) {
    match with_state(graph).initial_h {
        OnnxInput::Constant(h0) => {
            assert_eq!((&h0.shape[..], &h0.data[..]), (&[1, numbers.len() / 3, 3][..], numbers), "{what}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

/// Asserts that initial_h is known only at run time, because of `node`.
fn computed(what: &str, graph: Graph, node: &str) {
    match with_state(graph).initial_h {
        OnnxInput::Computed { by, .. } => {
            assert_eq!(by, format!("{node} depends on values known only at run time"), "{what}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

/// The error of a whole file with its state at "h0".
fn wrong(graph: Graph) -> String {
    let gru = Layer::gru();
    let graph = sized(graph, "X", &[-1, -1, 2]).outputs(&["Y"]);
    let graph = gru.tensors(graph.node(&gru.node_on(&["X", "W", "R", "B", "", "h0"])));
    let graph = graph.tensor(&list("one", &[1])).tensor(&list("h", &[3])).tensor(&floats(
        "row",
        &[1, 1, 3],
        &[1.0; 3],
    ));
    graph.refused().to_string()
}

/// "len" from "v", an array that is open along the steps of X: whether its size is known to be those steps.
fn keeps_the_steps(graph: Graph) -> bool {
    let gru = Layer::gru();
    let graph = sized(graph, "X", &[-1, -1, 2]).outputs(&["Y"]);
    let graph = gru.tensors(graph.node(&gru.node_on(&["X", "W", "R", "B", "len"])));
    let graph =
        graph.tensor(&floats("number", &[1], &[0.5])).tensor(&list("one", &[1])).tensor(&list("zero", &[0]));
    let graph = graph.node(&Node::new("Shape", &["X"], &["sizes"]));
    let graph = graph.node(&Node::new("Gather", &["sizes", "zero"], &["t"]));
    let graph = graph.node(&Node::new("Gather", &["sizes", "one"], &["b"]));
    let graph = graph.node(&Node::new("Expand", &["number", "t"], &["steps"]));
    let graph = graph.node(&Node::new("Shape", &["v"], &["size"]));
    match graph.node(&Node::new("Tile", &["size", "b"], &["len"])).read().expect("a whole file").sequence_lens
    {
        OnnxInput::Array(_) => true,
        OnnxInput::Computed { by, .. } => {
            assert_eq!(by, "Tile node \"len\" (it depends on values known only at run time)");
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_slice_of_an_open_dimension_is_open() {
    let cut = |name: &str, from: &[i64], to: &[i64], axes: &[i64], steps: &[i64]| {
        let bounds = ["from", "end", "axes", "steps"].map(|part| format!("{name}_{part}"));
        let graph = [from, to, axes, steps]
            .iter()
            .zip(&bounds)
            .fold(Graph::default(), |graph, (values, name)| graph.tensor(&list(name, values)));
        (graph, bounds)
    };
    let sliced = |base: Graph, of: &str, to: &str, bounds: [&[i64]; 4]| {
        let (tensors, names) = cut(to, bounds[0], bounds[1], bounds[2], bounds[3]);
        let inputs: Vec<&str> = std::iter::once(of).chain(names.iter().map(String::as_str)).collect();
        let joined = Graph(crate::common::onnx_file::Message([base.0.0, tensors.0.0].concat()));
        joined.node(&Node::new("Slice", &inputs, &[to]))
    };
    let row = ramp(7, 6);
    // Of 6 features the third to the fifth, of the batch as many as there are; or every second one.
    for (start, end, step) in [(0, 2, 1), (1, i64::MAX, 1), (0, -1, 1), (-1, i64::MIN, -1), (0, i64::MAX, 1)]
    {
        let bounds: [&[i64]; 4] = [&[2, start], &[5, end], &[2, 1], &[1, step]];
        repeated("a part", sliced(rows(&row), "e", "h0", bounds), &row[2..5]);
        let bounds: [&[i64]; 4] = [&[start, -1], &[end, i64::MIN], &[1, 2], &[step, -2]];
        repeated("backwards", sliced(rows(&row), "e", "h0", bounds), &[row[5], row[3], row[1]]);
    }
    // The whole has the size of the original; a part does not.
    for (start, end, step, keeps) in [
        (0, i64::MAX, 1, true),
        (0, i64::from(i32::MAX), 1, true),
        (0, i64::from(i32::MAX) - 1, 1, false),
        (1, i64::MAX, 1, false),
        (0, i64::MAX, 2, false),
        (-1, i64::MIN, -1, false),
    ] {
        let graph = sliced(Graph::default(), "steps", "v", [&[start], &[end], &[0], &[step]]);
        assert_eq!(keeps_the_steps(graph), keeps, "{start} to {end} by {step}");
    }
}

#[test]
fn what_is_expanded_has_the_size_that_is_known() {
    let row = ramp(7, 3);
    let by = |graph: Graph, of: &str, shape: &[i64]| {
        graph.tensor(&list("shape", shape)).node(&Node::new("Expand", &[of, "shape"], &["h0"]))
    };
    // As many as the batch has, made two: the batch has one or two.
    known("to a number", by(rows(&row), "e", &[1, 2, 3]), &row.repeat(2));
    repeated("to 1", by(rows(&row), "e", &[1, 1, 1]), &row);
    repeated("to fewer dimensions", by(rows(&row), "e", &[1, 3]), &row);
    // To another size known only at run time: the steps of X.
    let other = rows(&row).node(&Node::new("Gather", &["sizes", "zero"], &["t"])).tensor(&list("zero", &[0]));
    let other = other.node(&Node::new("Concat", &["one", "t", "h"], &["asked"]).int("axis", 0));
    repeated("to the steps", other.node(&Node::new("Expand", &["e", "asked"], &["h0"])), &row);
    // Two rows to the size of the batch: it is 1 or 2, and the rows are those.
    let two = to().tensor(&floats("two", &[1, 2, 3], &ramp(7, 6)));
    known("of two rows", two.node(&Node::new("Expand", &["two", "to"], &["h0"])), &ramp(7, 6));
    // Shapes from constants and run-time sizes that do not fit.
    let long = to().tensor(&list("four", &[4]));
    let long = long.node(&Node::new("Concat", &["one", "b", "four"], &["asked"]).int("axis", 0));
    let long = long.node(&Node::new("Expand", &["row", "asked"], &["h0"]));
    assert_eq!(wrong(long), "Expand node \"h0\": [1, 1, 3] does not expand to [1, ?, 4]");
    let below = by(rows(&row), "e", &[1, -2, 3]);
    assert_eq!(wrong(below), "Expand node \"h0\": a dimension of -2");
    // Which of the sizes is known: the same, another, one of two.
    let expand = |of: &str, to: &str| Node::new("Expand", &[of, to], &["v"]);
    assert!(keeps_the_steps(Graph::default().node(&expand("steps", "t"))));
    assert!(keeps_the_steps(Graph::default().node(&expand("steps", "one"))));
    assert!(!keeps_the_steps(Graph::default().node(&expand("steps", "b"))));
}

#[test]
fn tiles_of_open_dimensions() {
    let row = ramp(7, 3);
    let by = |graph: Graph, of: &str, times: &[i64]| {
        graph.tensor(&list("times", times)).node(&Node::new("Tile", &[of, "times"], &["h0"]))
    };
    repeated("once", by(rows(&row), "e", &[1, 1, 1]), &row);
    repeated("the batch twice", by(rows(&row), "e", &[1, 2, 1]), &row);
    repeated("features", by(rows(&row[..1]), "e", &[1, 1, 3]), &[row[0]; 3]);
    // By a run-time size: one number, and several.
    let times =
        |graph: Graph| graph.node(&Node::new("Concat", &["one", "one", "b"], &["times"]).int("axis", 0));
    let tiled = |graph: Graph, of: &str| times(graph).node(&Node::new("Tile", &[of, "times"], &["h0"]));
    repeated("one number", tiled(rows(&row[..1]), "e"), &[row[0]; 3]);
    computed("several numbers", tiled(rows(&row), "e"), "Tile node \"h0\"");
    repeated("several equal numbers", tiled(rows(&[0.5; 3]), "e"), &[0.5; 3]);
    let shape = |times: &[i64]| wrong(by(rows(&row), "e", times));
    assert_eq!(shape(&[1, -1, 1]), "Tile node \"h0\": repeats -1 times");
    assert_eq!(shape(&[1, 1, -2]), "Tile node \"h0\": repeats -2 times");
    assert_eq!(shape(&[1, 1]), "Tile node \"h0\": 2 repeats of 3 dimensions");
    let tile = |times: &str| Node::new("Tile", &["steps", times], &["v"]);
    assert!(keeps_the_steps(Graph::default().node(&tile("one"))));
    assert!(!keeps_the_steps(Graph::default().node(&tile("b"))));
    assert!(!keeps_the_steps(Graph::default().tensor(&list("two", &[2])).node(&tile("two"))));
}

#[test]
fn joins_of_open_dimensions() {
    let (row, rest) = (ramp(7, 1), ramp(20, 4));
    let join = |graph: Graph, parts: [&str; 2], axis: i64| {
        graph.node(&Node::new("Concat", &parts, &["h0"]).int("axis", axis))
    };
    // A part of as many as the batch has beside two: the batch has two.
    let beside = || rows(&row).tensor(&floats("c", &[1, 2, 2], &rest));
    let expected = [row[0], rest[0], rest[1], row[0], rest[2], rest[3]];
    known("open first", join(beside(), ["e", "c"], 2), &expected);
    let expected = [rest[0], rest[1], row[0], rest[2], rest[3], row[0]];
    known("open last", join(beside(), ["c", "e"], -1), &expected);
    // Both of the batch's size, and of a size that equals the batch's but is not known to.
    let both = rows(&row).tensor(&floats("pair", &[1, 1, 2], &rest[..2]));
    let both = both
        .tensor(&list("two", &[2]))
        .node(&Node::new("Concat", &["one", "b", "two"], &["asked"]).int("axis", 0));
    let both = both.node(&Node::new("Expand", &["pair", "asked"], &["f"]));
    repeated("both open", join(both.clone(), ["e", "f"], 2), &[row[0], rest[0], rest[1]]);
    let part = both.tensor(&list("zero", &[0])).tensor(&list("end", &[5]));
    let part = part.node(&Node::new("Slice", &["f", "zero", "end", "one"], &["g"]));
    repeated("two sizes", join(part, ["g", "e"], 2), &[rest[0], rest[1], row[0]]);
    computed("along the batch", join(rows(&ramp(7, 3)), ["e", "row"], 1), "Concat node \"h0\"");
    repeated(
        "along the batch, one number",
        join(rows(&[0.5; 3]), ["z", "z"], 1)
            .node(
                &Node::new("ConstantOfShape", &["unknown"], &["z"])
                    .tensor("value", &floats("", &[1], &[0.5])),
            )
            .inputs(&["unknown"]),
        &[0.5; 3],
    );
    let three = rows(&row).tensor(&floats("c", &[2, 2, 2], &ramp(1, 8)));
    assert_eq!(
        wrong(join(three, ["e", "c"], 2)),
        "Concat node \"h0\": joins [1, 1, 1] and [2, 2, 2] along axis 2"
    );
    let flat = rows(&row).tensor(&floats("c", &[2, 2], &rest));
    assert_eq!(
        wrong(join(flat, ["e", "c"], 2)),
        "Concat node \"h0\": joins [1, 1, 1] and [2, 2] along axis 2"
    );
    let half = Graph::default().tensor(&claim("half", 10, &[1, 4, 3]).bytes(9, [0; 24]));
    let half = half.tensor(&floats("c", &[1, 5, 3], &[1.0; 15]));
    let text = refused("types", half.node(&to_v("Concat", &["half", "c"]).int("axis", 1)));
    assert_eq!(text, "Concat node \"made\": joins float16 and float");
}

#[test]
fn reshapes_of_open_dimensions() {
    let row = ramp(7, 3);
    let by = |graph: Graph, shape: &[i64], to: &str| {
        graph.tensor(&list("shape", shape)).node(&Node::new("Reshape", &["e", "shape"], &[to]))
    };
    for shape in [[0, 0, 3], [1, -1, 3], [0, -1, 3], [0, 0, -1]] {
        repeated(&format!("{shape:?}"), by(rows(&row), &shape, "h0"), &row);
    }
    // To run-time sizes, unchanged and without the dimension of 1.
    let own = rows(&row).node(&Node::new("Reshape", &["e", "to"], &["h0"]));
    repeated("its own sizes", own, &row);
    let flat = by(rows(&row), &[-1, 3], "f").tensor(&list("first", &[0]));
    repeated("flat", flat.node(&Node::new("Unsqueeze", &["f", "first"], &["h0"])), &row);
    // Two features of three reshaped to six, of which the last three are taken.
    let six = ramp(7, 6);
    let made = |shape: &[i64]| {
        let graph = by(rows_of("all", &[1, 2, 3], &six), shape, "f").tensor(&list("three", &[3]));
        let graph = graph.tensor(&list("six", &[6])).tensor(&list("two", &[2]));
        graph.node(&Node::new("Slice", &["f", "three", "six", "two"], &["h0"]))
    };
    for shape in [[0, 0, 6], [1, -1, 6], [0, 0, -1]] {
        repeated(&format!("{shape:?}"), made(&shape), &six[3..]);
    }
    // A dimension that contains the batch, one that is split, and a number for the size of the batch.
    let joined = |shape: &[i64]| by(rows_of("all", &[2, 3], &six), shape, "h0");
    computed("two batches as one", joined(&[1, -1, 3]), "Reshape node \"h0\"");
    computed("cut", by(rows(&six), &[0, 0, 2, 3], "h0"), "Reshape node \"h0\"");
    computed("numbers", by(rows(&row), &[1, 2, 3], "h0"), "Reshape node \"h0\"");
    computed("twice free", by(rows(&row), &[-1, -1, 3], "h0"), "Reshape node \"h0\"");
    computed("too many dimensions", by(rows(&row), &[1; 99], "h0"), "Reshape node \"h0\"");
    repeated("one number everywhere", by(rows_of("all", &[2, 3], &[0.5; 6]), &[1, -1, 3], "h0"), &[0.5; 3]);
    // A constant to run-time sizes.
    let constant = to().node(&Node::new("Reshape", &["row", "to"], &["h0"]));
    computed("a constant", constant, "Reshape node \"h0\"");
    let steps = |shape: &[i64]| {
        keeps_the_steps(Graph::default().tensor(&list("shape", shape)).node(&Node::new(
            "Reshape",
            &["steps", "shape"],
            &["v"],
        )))
    };
    assert!(steps(&[-1]) && steps(&[0]));
}

/// Along a dimension whose size is known only at run time every element is the same.
#[test]
fn any_element_of_an_open_dimension_is_the_same() {
    let row = ramp(7, 3);
    for at in [&[5][..], &[-1], &[0, 3]] {
        let graph = rows(&row).tensor(&list("at", at));
        known(
            "Gather",
            graph.node(&Node::new("Gather", &["e", "at"], &["h0"]).int("axis", 1)),
            &row.repeat(at.len()),
        );
    }
    let graph = rows(&row).tensor(&list("at", &[3]));
    let text = wrong(graph.node(&Node::new("Gather", &["e", "at"], &["h0"]).int("axis", 2)));
    assert_eq!(text, "Gather node \"h0\": index 3 of 3");
    let graph = rows(&row).node(&Node::new("Gather", &["e", "b"], &["h0"]).int("axis", 2));
    computed("at a size of the run", graph, "Gather node \"h0\"");
}
