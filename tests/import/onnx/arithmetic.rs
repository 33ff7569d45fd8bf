//! The operators that compute new numbers, each against numbers computed here, and the exact message if one is not
//! folded.

use super::states::{batch, sized};
use super::weights::{gives, refused, to_v};
use crate::common::onnx_file::{Graph, Layer, Message, Node, claim, floats, ints};
use wgru::import::OnnxInput;

const DIMS: [i64; 3] = [1, 9, 3];
const FLOAT: i64 = 1;
const UINT8: i64 = 2;
const INT8: i64 = 3;
const UINT16: i64 = 4;
const INT16: i64 = 5;
const INT32: i64 = 6;
const INT64: i64 = 7;
const BOOL: i64 = 9;
const FLOAT16: i64 = 10;
const DOUBLE: i64 = 11;
const BFLOAT16: i64 = 16;
const UINT32: i64 = 12;

/// Element `at` of R in the order of `of`.
fn all(of: impl Fn(usize) -> f32) -> Vec<f32> {
    (0..27).map(of).collect()
}

/// R of `numbers`, repeated, named "n".
fn of_floats(numbers: &[f32]) -> Graph {
    Graph::default().tensor(&floats("n", &DIMS, &all(|at| numbers[at % numbers.len()])))
}

fn of_ints(name: &str, numbers: &[i64]) -> Message {
    ints(name, &DIMS, &(0..27).map(|at| numbers[at % numbers.len()]).collect::<Vec<_>>())
}

fn cast(from: &str, to: &str, kind: i64) -> Node {
    Node::new("Cast", &[from], &[to]).int("to", kind)
}

/// Asserts that `graph` is refused because its node `node` "made" is not folded, for `reason`.
fn not_folded(node: &str, reason: &str, graph: Graph) {
    let expected = format!(
        "not supported: R of GRU node \"rec\", \"V\", which is not a constant: {node} node \"made\"{reason}"
    );
    assert_eq!(refused(reason, graph), expected);
}

#[test]
fn floats_become_integers_towards_zero() {
    let numbers = [-7.9, -1.0, -0.9, -0.0, 0.4, 2.5, 6.999, 7.0];
    for kind in [INT8, INT16, INT32, INT64, 22] {
        let graph = of_floats(&numbers).node(&cast("n", "whole", kind));
        let expected = all(|at| numbers[at % numbers.len()].trunc() + 0.0);
        gives(&format!("type {kind}"), graph.node(&to_v("Cast", &["whole"]).int("to", FLOAT)), &expected);
    }
    // The limits of each type, and the nearest f32 beyond them.
    for (kind, name, least, most) in
        [(UINT8, "uint8", 0.0, 255.0), (INT8, "int8", -128.0, 127.0), (INT16, "int16", -32_768.0, 32_767.0)]
    {
        let ends = of_floats(&[least, most]).node(&cast("n", "whole", kind));
        let expected = all(|at| if at % 2 == 0 { least } else { most });
        gives(name, ends.node(&to_v("Cast", &["whole"]).int("to", FLOAT)), &expected);
        for beyond in [least - 1.0, most + 1.0, f32::NAN, f32::INFINITY, 16_777_216.0] {
            let graph = of_floats(&[0.0, beyond]).node(&to_v("Cast", &["n"]).int("to", kind));
            not_folded("Cast", &format!(": Cast from float to {name}"), graph);
        }
    }
    // From 2²⁴ on f32 cannot represent every integer, so the intended one is unknown.
    let last = of_floats(&[16_777_215.0]).node(&cast("n", "whole", INT64));
    gives("2²⁴ − 1", last.node(&to_v("Cast", &["whole"]).int("to", FLOAT)), &all(|_| 16_777_215.0));
    let next = of_floats(&[-16_777_216.0]).node(&to_v("Cast", &["n"]).int("to", INT64));
    not_folded("Cast", ": Cast from float to int64", next);
    for (kind, name) in [(BOOL, "bool"), (UINT32, "uint32"), (8, "string")] {
        let graph = of_floats(&[1.0]).node(&to_v("Cast", &["n"]).int("to", kind));
        not_folded("Cast", &format!(": Cast from float to {name}"), graph);
    }
}

#[test]
fn integers_become_floats_truths_and_other_integers() {
    let graph = |numbers: &[i64]| Graph::default().tensor(&of_ints("n", numbers));
    let back = |to: i64, kind: i64, numbers: &[i64]| {
        graph(numbers).node(&cast("n", "c", to)).node(&to_v("Cast", &["c"]).int("to", kind))
    };
    // 2049 and 2051 lie halfway between two 16-bit floats: the even one is taken.
    gives("float16", back(FLOAT16, FLOAT, &[2049, 2051, -5]), &all(|at| [2048.0, 2052.0, -5.0][at % 3]));
    gives("bfloat16", back(BFLOAT16, FLOAT, &[257, 259, -3]), &all(|at| [256.0, 260.0, -3.0][at % 3]));
    gives("double", back(DOUBLE, FLOAT, &[2049, -7]), &all(|at| [2049.0, -7.0][at % 2]));
    gives("bool", back(BOOL, FLOAT, &[0, 1, -3, 256]), &all(|at| [0.0, 1.0, 1.0, 1.0][at % 4]));
    gives("int8", back(INT8, FLOAT, &[-128, 127, 5]), &all(|at| [-128.0, 127.0, 5.0][at % 3]));
    for (kind, name, beyond) in
        [(INT8, "int8", 128), (UINT8, "uint8", -1), (UINT16, "uint16", 65_536), (INT32, "int32", 1 << 31)]
    {
        let cast = to_v("Cast", &["n"]).int("to", kind);
        not_folded("Cast", &format!(": Cast from int64 to {name}"), graph(&[0, beyond]).node(&cast));
    }
    // The typed data of a valid bool, and of an invalid one.
    let truth = |value: i64| (0..27).fold(claim("t", BOOL, &DIMS), |tensor, _| tensor.int(5, value));
    let typed = |value: i64| Graph::default().tensor(&truth(value));
    gives("a truth", typed(1).node(&to_v("Cast", &["t"]).int("to", FLOAT)), &all(|_| 1.0));
    let text = refused("2", typed(2).node(&to_v("Cast", &["t"]).int("to", FLOAT)));
    assert_eq!(text, "t: 2 does not fit bool");
}

#[test]
fn integers_are_computed_as_their_type_does() {
    let pair = |left: &[i64], right: &[i64]| {
        Graph::default().tensor(&of_ints("a", left)).tensor(&of_ints("b", right))
    };
    let made = |op: &str, left: &[i64], right: &[i64]| {
        pair(left, right)
            .node(&Node::new(op, &["a", "b"], &["c"]))
            .node(&to_v("Cast", &["c"]).int("to", FLOAT))
    };
    let (left, right) = ([7, -7, 6, 0], [2, 2, -4, 5]);
    gives("Add", made("Add", &left, &right), &all(|at| [9.0, -5.0, 2.0, 5.0][at % 4]));
    gives("Sub", made("Sub", &left, &right), &all(|at| [5.0, -9.0, 10.0, -5.0][at % 4]));
    gives("Mul", made("Mul", &left, &right), &all(|at| [14.0, -14.0, -24.0, 0.0][at % 4]));
    gives("Div towards 0", made("Div", &left, &right), &all(|at| [3.0, -3.0, -1.0, 0.0][at % 4]));
    gives("Equal", made("Equal", &[2, 3], &[2]), &all(|at| [1.0, 0.0][at % 2]));

    let refuse = |op: &str, left: i64, right: i64, words: &str| {
        not_folded(op, &format!(": {words}"), pair(&[left], &[right]).node(&to_v(op, &["a", "b"])));
    };
    refuse("Div", 5, 0, "Div of 5 and 0");
    refuse("Div", i64::MIN, -1, &format!("Div of {} and -1", i64::MIN));
    refuse("Add", i64::MAX, 1, &format!("Add of {} and 1", i64::MAX));
    refuse("Sub", i64::MIN, 1, &format!("Sub of {} and 1", i64::MIN));
    refuse("Mul", i64::MAX, 2, &format!("Mul of {} and 2", i64::MAX));
    // Beyond a narrower type, which would wrap around.
    let bytes = |name: &str, kind: i64, value: u8| claim(name, kind, &DIMS).bytes(9, [value; 27]);
    for (kind, name, op, [a, b]) in
        [(UINT8, "uint8", "Add", [200, 56]), (UINT8, "uint8", "Sub", [1, 2]), (INT8, "int8", "Mul", [16, 8])]
    {
        let graph = Graph::default().tensor(&bytes("a", kind, a)).tensor(&bytes("b", kind, b));
        not_folded(op, &format!(": {op} beyond the range of {name}"), graph.node(&to_v(op, &["a", "b"])));
    }
    let mixed = Graph::default().tensor(&bytes("a", UINT8, 1)).tensor(&of_ints("b", &[1]));
    not_folded("Add", ": Add of uint8 and int64", mixed.node(&to_v("Add", &["a", "b"])));
    not_folded("Equal", ": Equal of floats", of_floats(&[1.0]).node(&to_v("Equal", &["n", "n"])));
    // One number everywhere has no shape to be repeated to.
    let zeros = Node::new("ConstantOfShape", &["sizes"], &["z"]);
    let graph = of_floats(&[1.0]).inputs(&["sizes"]).node(&zeros).node(&to_v("Add", &["n", "z"]));
    not_folded("Add", " depends on values known only at run time", graph);
}

/// "len", `[B]`, computed from "t", the steps of X, by `made`: all steps of X, or values known only at run time.
fn steps(made: Graph) -> OnnxInput<Vec<i64>> {
    let gru = Layer::gru();
    let graph = sized(made, "X", &[-1, -1, 2]).outputs(&["Y", "Y_h"]);
    let graph = gru.tensors(graph.node(&gru.node_on(&["X", "W", "R", "B", "len"])));
    let graph = graph.node(&Node::new("Gather", &["sizes", "zero"], &["t"]));
    let graph = graph.node(&Node::new("Tile", &["made", "b"], &["len"]));
    let numbers = [("zero", 0), ("one", 1), ("two", 2), ("minus", -1)];
    let graph = numbers.iter().fold(graph, |graph, (name, value)| graph.tensor(&ints(name, &[1], &[*value])));
    graph.read().expect("a whole file").sequence_lens
}

/// For sizes known only at run time, only results that hold for every size are known.
#[test]
fn sizes_are_computed_as_far_as_they_are_certain() {
    let given = || OnnxInput::Array("sequence_lens".into());
    let made = |op: &str, a: &str, b: &str| batch().node(&Node::new(op, &[a, b], &["made"]));
    for (op, a, b) in [
        ("Add", "t", "zero"),
        ("Add", "zero", "t"),
        ("Sub", "t", "zero"),
        ("Mul", "t", "one"),
        ("Mul", "one", "t"),
        ("Div", "t", "one"),
    ] {
        assert_eq!(steps(made(op, a, b)), given(), "{op} of {a} and {b}");
    }
    // Known to be the same sum, and different from the steps of X.
    for (op, a, b) in [
        ("Add", "t", "one"),
        ("Add", "t", "t"),
        ("Mul", "t", "two"),
        ("Mul", "t", "zero"),
        ("Div", "t", "two"),
    ] {
        let OnnxInput::Computed { by, .. } = steps(made(op, a, b)) else { panic!("{op} of {a} and {b}") };
        assert_eq!(
            by, "Tile node \"len\" (it depends on values known only at run time)",
            "{op} of {a} and {b}"
        );
    }
    for (op, a, b) in [
        ("Add", "t", "minus"),
        ("Sub", "t", "one"),
        ("Sub", "t", "t"),
        ("Mul", "minus", "t"),
        ("Div", "t", "zero"),
        ("Div", "t", "minus"),
        ("Div", "two", "t"),
        ("Div", "t", "t"),
    ] {
        let OnnxInput::Computed { by, .. } = steps(made(op, a, b)) else { panic!("{op} of {a} and {b}") };
        assert_eq!(
            by,
            format!("Tile node \"len\" ({op} node \"made\" depends on values known only at run time)")
        );
    }
    // A size equals itself and is never below 0; whether it is 1 or another size is known only at run time.
    let chosen = |a: &str, b: &str, [then, other]: [&str; 2]| {
        let graph = batch().node(&Node::new("Equal", &[a, b], &["is"]));
        steps(graph.node(&Node::new("Where", &["is", then, other], &["made"])))
    };
    assert_eq!(chosen("t", "t", ["t", "two"]), given());
    assert_eq!(chosen("t", "t", ["two", "t"]), OnnxInput::Repeated(vec![2]));
    assert_eq!(chosen("t", "minus", ["two", "t"]), given());
    assert_eq!(chosen("minus", "t", ["t", "two"]), OnnxInput::Repeated(vec![2]));
    for (a, b) in [("t", "one"), ("zero", "t"), ("t", "b")] {
        let OnnxInput::Computed { by, .. } = chosen(a, b, ["t", "two"]) else { panic!("{a} and {b}") };
        assert_eq!(by, "Tile node \"len\" (Equal node \"is\" depends on values known only at run time)");
    }
    // An array is in memory, so its sizes fit 32 bits; narrower types and floats are known only at run time.
    let through =
        |kind: i64| steps(batch().node(&cast("t", "narrow", kind)).node(&cast("narrow", "made", INT64)));
    assert_eq!(through(INT32), given());
    for kind in [INT16, FLOAT, BOOL] {
        let OnnxInput::Computed { by, .. } = through(kind) else { panic!("type {kind}") };
        assert_eq!(by, "Tile node \"len\" (Cast node \"narrow\" depends on values known only at run time)");
    }
}

#[test]
fn where_chooses_between_two_of_a_type() {
    let r = Layer::gru().r;
    // A truth for each column, a number for each row, and R.
    let graph = |condition: Message| {
        let rows: Vec<f32> = (0..9).map(|row| 100.0 + row as f32).collect();
        let graph = Graph::default().tensor(&condition).tensor(&floats("rows", &[9, 1], &rows));
        graph.tensor(&floats("r", &DIMS, &r)).tensor(&of_ints("whole", &[1]))
    };
    let truths = || claim("is", BOOL, &[3]).bytes(9, [1, 0, 1]);
    let chosen = |a: &str, b: &str| to_v("Where", &["is", a, b]);
    let expected = all(|at| if at % 3 == 1 { r[at] } else { 100.0 + (at / 3) as f32 });
    gives("rows where true", graph(truths()).node(&chosen("rows", "r")), &expected);
    let expected = all(|at| if at % 3 == 1 { 100.0 + (at / 3) as f32 } else { r[at] });
    gives("rows where false", graph(truths()).node(&chosen("r", "rows")), &expected);

    let other = graph(truths()).node(&chosen("r", "whole"));
    not_folded("Where", ": chooses between float and int64", other);
    let whole = graph(ints("is", &[3], &[1, 0, 1])).node(&chosen("r", "rows"));
    not_folded("Where", ": a condition of int64, needs bool", whole);
    let shapes = graph(claim("is", BOOL, &[2]).bytes(9, [1, 0])).node(&chosen("r", "rows"));
    not_folded("Where", ": [2] does not expand to [1, 9, 3]", shapes);
    let zeros = Node::new("ConstantOfShape", &["sizes"], &["z"]);
    let everywhere = graph(truths()).inputs(&["sizes"]).node(&zeros).node(&chosen("r", "z"));
    not_folded("Where", " depends on values known only at run time", everywhere);
}

#[test]
fn scales_and_zero_points_that_do_not_fit_are_reported() {
    let q = || claim("q", INT8, &DIMS).bytes(9, [3; 27]);
    let scales = |dims: &[i64]| floats("s", dims, &vec![0.5; dims.iter().product::<i64>() as usize]);
    let zeros = |kind: i64, dims: &[i64]| {
        claim("z", kind, dims).bytes(9, vec![1; dims.iter().product::<i64>() as usize])
    };
    let node = || to_v("DequantizeLinear", &["q", "s", "z"]);
    let graph = |scale: Message, zero: Message, node: Node| {
        Graph::default().tensor(&q()).tensor(&scale).tensor(&zero).node(&node)
    };
    gives("as it should be", graph(scales(&[9]), zeros(INT8, &[9]), node()), &all(|_| 1.0));
    for (words, scale, zero, node) in [
        ("scales [4] along axis 1 of [1, 9, 3]", scales(&[4]), zeros(INT8, &[9]), node()),
        ("scales [9] along axis 2 of [1, 9, 3]", scales(&[9]), zeros(INT8, &[3]), node().int("axis", 2)),
        ("scales [1, 9] along axis 1 of [1, 9, 3]", scales(&[1, 9]), zeros(INT8, &[9]), node()),
        ("zero points [3] along axis 1 of [1, 9, 3]", scales(&[9]), zeros(INT8, &[3]), node()),
        ("axis 3 of 3 dimensions", scales(&[9]), zeros(INT8, &[]), node().int("axis", 3)),
        (
            "scales [1, 9, 3] of blocks of 2 of [1, 9, 3]",
            scales(&DIMS),
            zeros(INT8, &[]),
            node().int("axis", 2).int("block_size", 2),
        ),
        (
            "zero points [1, 9, 1] of blocks of 2 of [1, 9, 3]",
            scales(&[1, 9, 2]),
            zeros(INT8, &[1, 9, 1]),
            node().int("axis", 2).int("block_size", 2),
        ),
        ("zero points of uint8 beside int8", scales(&[9]), zeros(UINT8, &[9]), node()),
        ("dequantises int8 by int64", ints("s", &[], &[1]), zeros(INT8, &[]), node()),
        (
            "dequantises int8 by double",
            claim("s", DOUBLE, &[]).bytes(9, 0.5f64.to_le_bytes()),
            zeros(INT8, &[]),
            node(),
        ),
    ] {
        not_folded("DequantizeLinear", &format!(": {words}"), graph(scale, zero, node));
    }
    let floating = Graph::default().tensor(&floats("q", &DIMS, &[1.0; 27])).tensor(&scales(&[]));
    let floating = floating.node(&to_v("DequantizeLinear", &["q", "s"]));
    not_folded("DequantizeLinear", ": dequantises float by float", floating);
    let other = node().int("output_dtype", FLOAT16);
    let other = graph(scales(&[]), zeros(INT8, &[]), other);
    not_folded("DequantizeLinear", " has an output_dtype of its own", other);
}

/// A DynamicQuantizeLSTM of one direction: scales and zero points are per direction or per row.
#[test]
fn a_quantised_lstms_scales_and_zero_points_are_of_its_directions() {
    let read = |scale: &[i64], zero: &[i64]| {
        let inputs = ["X", "Wq", "Rq", "", "", "", "", "", "s", "z", "s1", "z1"];
        let node = Node::new("DynamicQuantizeLSTM", &inputs, &["Y"]).domain("com.microsoft").name("rec");
        let count = |dims: &[i64]| dims.iter().product::<i64>() as usize;
        Graph::default()
            .node(&node.int("hidden_size", 3))
            .inputs(&["X"])
            .outputs(&["Y"])
            .tensor(&claim("Wq", UINT8, &[1, 2, 12]).bytes(9, [5; 24]))
            .tensor(&claim("Rq", UINT8, &[1, 3, 12]).bytes(9, [7; 36]))
            .tensor(&floats("s", scale, &vec![0.25; count(scale)]))
            .tensor(&claim("z", UINT8, zero).bytes(9, vec![1; count(zero)]))
            .tensor(&floats("s1", &[1], &[0.5]))
            .tensor(&claim("z1", UINT8, &[1]).bytes(9, [3]))
            .read()
    };
    for (scale, zero) in [(&[1][..], &[1][..]), (&[1, 12], &[1, 12]), (&[], &[1]), (&[1, 12], &[])] {
        let model = read(scale, zero).expect("they fit").model;
        let weights = &model.layers()[0].weights()[0];
        assert_eq!((&weights.w_ih[..], &weights.w_hh[..]), (&[1.0; 24][..], &[2.0; 36][..]));
    }
    for (scale, zero, words) in [
        (&[2][..], &[1][..], "scales [2, 1, 1] of [1, 2, 12]"),
        (&[1], &[2], "zero points [2, 1, 1] of [1, 2, 12]"),
        (&[1, 12], &[2, 12], "zero points [2, 1, 12] of [1, 2, 12]"),
        (&[1, 6], &[1], "[1, 1, 6] does not expand to [1, 2, 12]"),
        (&[1], &[1, 6], "[1, 1, 6] does not expand to [1, 2, 12]"),
    ] {
        let error = read(scale, zero).expect_err(words).to_string();
        assert_eq!(error, format!("W of DynamicQuantizeLSTM node \"rec\", \"Wq\": {words}"));
    }
}
