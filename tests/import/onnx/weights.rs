//! Weights of files that a tool made smaller or assembled: through DequantizeLinear, Split, Gather, Cast and simple
//! arithmetic, and those of a DynamicQuantizeLSTM.

use crate::common::onnx_file::{Graph, Layer, Message, Node, claim, floats, ints, ramp};
use wgru::import::Onnx;
use wgru::{Direction, Error, Model};

/// Asserts that the GRU with R computed by `graph` under the name "V" has `expected` for R, `[1, 9, 3]`.
pub(super) fn gives(what: &str, graph: Graph, expected: &[f32]) {
    let gru = Layer::gru();
    let graph = graph.node(&gru.node_on(&["X", "W", "V", "B"])).inputs(&["X"]).outputs(&["Y", "Y_h"]);
    let imported = gru.tensors(graph).read().unwrap_or_else(|error| panic!("{what}: {error}"));
    let plain = Layer { r: expected.to_vec(), ..Layer::gru() };
    assert_eq!(imported.model, plain.graph().read().expect("a whole file").model, "{what}");
    assert!(imported.whole_graph, "{what}");
}

pub(super) fn refused(what: &str, graph: Graph) -> String {
    let gru = Layer::gru();
    let graph = graph.node(&gru.node_on(&["X", "W", "V", "B"])).inputs(&["X"]).outputs(&["Y"]);
    match gru.tensors(graph).read() {
        Ok(_) => panic!("{what}: must be refused"),
        Err(error) => error.to_string(),
    }
}

pub(super) fn to_v(op: &str, inputs: &[&str]) -> Node {
    Node::new(op, inputs, &["V"]).name("made")
}

/// Bytes 0 to 255 in a non-monotonic order.
fn byte(at: usize) -> u8 {
    (at * 37 % 256) as u8
}

fn bytes(name: &str, kind: i64, dims: &[i64]) -> Message {
    let count = dims.iter().product::<i64>() as usize;
    claim(name, kind, dims).bytes(9, (0..count).map(byte).collect::<Vec<_>>())
}

const UINT8: i64 = 2;
const INT8: i64 = 3;
const INT4: i64 = 22;
const DIMS: [i64; 3] = [1, 9, 3];

#[test]
fn dequantised_weights() {
    let g = |kind| Graph::default().tensor(&bytes("q", kind, &DIMS));
    let signed = |at: usize| f32::from(byte(at) as i8);
    let all = |of: &dyn Fn(usize) -> f32| (0..27).map(of).collect::<Vec<f32>>();
    let scale = || floats("s", &[], &[0.0078125]);
    let node = || to_v("DequantizeLinear", &["q", "s", "z"]);
    gives(
        "one scale",
        g(INT8).tensor(&scale()).node(&to_v("DequantizeLinear", &["q", "s"])),
        &all(&|at| signed(at) * 0.0078125),
    );
    gives(
        "a zero point",
        g(UINT8).tensor(&scale()).tensor(&claim("z", UINT8, &[1]).bytes(9, [131])).node(&node()),
        &all(&|at| (f32::from(byte(at)) - 131.0) * 0.0078125),
    );
    let scales: Vec<f32> = (1..=9).map(|at| at as f32 * 0.01).collect();
    let zeros: Vec<u8> = (0..9).map(|at| at * 3).collect();
    for axis in [1, -2] {
        let rows =
            g(INT8).tensor(&floats("s", &[9], &scales)).tensor(&claim("z", INT8, &[9]).bytes(9, &zeros));
        let expected = all(&|at| (signed(at) - f32::from(zeros[at / 3])) * scales[at / 3]);
        gives("a scale for each row", rows.node(&node().int("axis", axis)), &expected);
    }
    let columns = g(INT8)
        .tensor(&floats("s", &[3], &scales[..3]))
        .node(&to_v("DequantizeLinear", &["q", "s"]).int("axis", 2));
    gives("a scale for each column", columns, &all(&|at| signed(at) * scales[at % 3]));
    // Two columns share a scale, and the third has its own.
    let blocks: Vec<f32> = (1..=18).map(|at| at as f32 * 0.01).collect();
    let node = to_v("DequantizeLinear", &["q", "s"]).int("axis", 2).int("block_size", 2);
    let expected = all(&|at| signed(at) * blocks[at / 3 * 2 + at % 3 / 2]);
    gives("a scale for each block", g(INT8).tensor(&floats("s", &[1, 9, 2], &blocks)).node(&node), &expected);
    // Two 4-bit numbers per byte.
    let nibble = |at: usize| {
        let byte = byte(at / 2);
        let half = if at.is_multiple_of(2) { byte & 15 } else { byte >> 4 };
        if half > 7 { f32::from(half) - 16.0 } else { f32::from(half) }
    };
    let packed = claim("q", INT4, &DIMS).bytes(9, (0..14).map(byte).collect::<Vec<_>>());
    let graph = Graph::default().tensor(&packed).tensor(&scale());
    gives("4 bits", graph.node(&to_v("DequantizeLinear", &["q", "s"])), &all(&|at| nibble(at) * 0.0078125));
    // int32 like an accumulator, and a 16-bit scale, so the product is rounded to 16 bits.
    let wide = (0..27).fold(claim("q", 6, &DIMS), |tensor, at| tensor.int(5, at * 100));
    let graph = Graph::default().tensor(&wide).tensor(&claim("s", 10, &[]).bytes(9, 0x2000u16.to_le_bytes()));
    let expected =
        all(&|at| half::f16::from_f32(at as f32 * 100.0 * half::f16::from_bits(0x2000).to_f32()).to_f32());
    gives("int32 by float16", graph.node(&to_v("DequantizeLinear", &["q", "s"])), &expected);

    let wrong = |scale: Message, zero: Message, axis: i64| {
        g(INT8)
            .tensor(&scale)
            .tensor(&zero)
            .node(&to_v("DequantizeLinear", &["q", "s", "z"]).int("axis", axis))
    };
    let zero = |kind| claim("z", kind, &[1]).bytes(9, [0]);
    for (what, graph) in [
        ("too few scales", wrong(floats("s", &[4], &scales[..4]), zero(INT8), 1)),
        ("an axis outside", wrong(floats("s", &[9], &scales), zero(INT8), 3)),
        ("zero of another type", wrong(scale(), zero(UINT8), 1)),
        ("a scale of integers", wrong(ints("s", &[], &[1]), zero(INT8), 1)),
        ("no scale", g(INT8).node(&to_v("DequantizeLinear", &["q"]))),
        ("a missing scale", g(INT8).node(&to_v("DequantizeLinear", &["q", "X"]))),
        (
            "a block of -1",
            g(INT8).tensor(&scale()).node(&to_v("DequantizeLinear", &["q", "s"]).int("block_size", -1)),
        ),
    ] {
        let text = refused(what, graph);
        assert!(text.contains("DequantizeLinear") || text.contains("\"X\""), "{what}: {text}");
    }
}

#[test]
fn parts_of_a_larger_array() {
    let r = Layer::gru().r;
    // R between two others along the middle axis, and twice along the first.
    let long: Vec<f32> = ramp(500, 9).into_iter().chain(r.clone()).chain(ramp(600, 6)).collect();
    let split = |inputs: &[&str]| Node::new("Split", inputs, &["a", "V", "c"]).int("axis", 1);
    let g = || Graph::default().tensor(&floats("long", &[1, 14, 3], &long));
    gives("Split by an attribute", g().node(&split(&["long"]).ints("split", &[3, 9, 2])), &r);
    gives(
        "Split by an input",
        g().tensor(&ints("sizes", &[3], &[3, 9, 2])).node(&split(&["long", "sizes"])),
        &r,
    );
    let twice: Vec<f32> = ramp(500, 27).into_iter().chain(r.clone()).collect();
    let two = || Graph::default().tensor(&floats("two", &[2, 9, 3], &twice));
    gives("Split in halves", two().node(&Node::new("Split", &["two"], &["a", "V"])), &r);
    gives(
        "Split by a number",
        two().node(&Node::new("Split", &["two"], &["a", "V"]).int("num_outputs", 2)),
        &r,
    );
    // 14 rows in parts of 9: the last is smaller.
    let uneven: Vec<f32> = r.iter().copied().chain(ramp(500, 15)).collect();
    let graph = Graph::default().tensor(&floats("u", &[1, 14, 3], &uneven));
    let node = Node::new("Split", &["u", "parts"], &["V", "b"]).int("axis", 1);
    gives("Split, parts of sizes", graph.tensor(&ints("parts", &[2], &[9, 5])).node(&node), &r);
    for at in [1, -1] {
        let graph = two().tensor(&ints("at", &[1], &[at]));
        gives("Gather", graph.node(&to_v("Gather", &["two", "at"])), &r);
        let graph = two().node(&Node::new("Constant", &[], &["at"]).int("value_int", at));
        let graph = graph.node(&Node::new("Gather", &["two", "at"], &["g"]).int("axis", 0));
        gives("Gather of one", graph.node(&to_v("Unsqueeze", &["g"]).ints("axes", &[0])), &r);
    }
    // Gates reordered row by row.
    let order: Vec<i64> = [3, 4, 5, 6, 7, 8, 0, 1, 2].into();
    let turned: Vec<f32> =
        [6, 7, 8, 0, 1, 2, 3, 4, 5].iter().flat_map(|row| &r[row * 3..][..3]).copied().collect();
    let graph = Graph::default().tensor(&floats("t", &[1, 9, 3], &turned)).tensor(&ints("at", &[9], &order));
    gives("Gather of rows", graph.node(&to_v("Gather", &["t", "at"]).int("axis", 1)), &r);
    let graph =
        Graph::default().tensor(&floats("row", &[1, 1, 3], &r[..3])).tensor(&ints("n", &[3], &[1, 9, 1]));
    gives("Tile", graph.node(&to_v("Tile", &["row", "n"])), &r[..3].repeat(9));
    let graph =
        Graph::default().tensor(&floats("part", &[1, 3, 3], &r[..9])).tensor(&ints("n", &[3], &[1, 3, 1]));
    gives("Tile of several", graph.node(&to_v("Tile", &["part", "n"])), &r[..9].repeat(3));

    for (what, graph) in [
        ("sizes that do not add up", g().node(&split(&["long"]).ints("split", &[3, 9, 3]))),
        ("sizes below 0", g().node(&split(&["long"]).ints("split", &[-3, 9, 8]))),
        ("another number of parts", g().node(&split(&["long"]).ints("split", &[3, 11]))),
        ("an axis outside", g().node(&Node::new("Split", &["long"], &["a", "V"]).int("axis", 3))),
        ("an index outside", two().tensor(&ints("at", &[1], &[2])).node(&to_v("Gather", &["two", "at"]))),
        (
            "an index far outside",
            two().tensor(&ints("at", &[1], &[i64::MIN])).node(&to_v("Gather", &["two", "at"])),
        ),
        ("an index that is no integer", two().node(&to_v("Gather", &["two", "two"]))),
        ("repeats of fewer axes", two().tensor(&ints("n", &[1], &[1])).node(&to_v("Tile", &["two", "n"]))),
        ("repeats below 0", two().tensor(&ints("n", &[3], &[1, -1, 1])).node(&to_v("Tile", &["two", "n"]))),
        (
            "repeats without end",
            two().tensor(&ints("n", &[3], &[1, i64::MAX, 1])).node(&to_v("Tile", &["two", "n"])),
        ),
    ] {
        let text = refused(what, graph);
        assert!(["Split", "Gather", "Tile"].iter().any(|op| text.contains(op)), "{what}: {text}");
    }
}

#[test]
fn rounded_and_computed() {
    let r: Vec<f32> = Layer::gru().r.iter().map(|v| v * 1.001).collect();
    let g = || Graph::default().tensor(&floats("r", &DIMS, &r));
    let there = |to: i64| g().node(&Node::new("Cast", &["r"], &["c"]).int("to", to));
    let back = |graph: Graph| graph.node(&to_v("Cast", &["c"]).int("to", 1));
    let f16: Vec<f32> = r.iter().map(|&v| half::f16::from_f32(v).to_f32()).collect();
    let bf16: Vec<f32> = r.iter().map(|&v| half::bf16::from_f32(v).to_f32()).collect();
    assert!(f16 != r && bf16 != r && f16 != bf16);
    gives("float16", back(there(10)), &f16);
    gives("bfloat16", back(there(16)), &bf16);
    gives("as float16", g().node(&to_v("Cast", &["r"]).int("to", 10)), &f16);
    gives("double", back(there(11)), &r);
    let large = floats("r", &DIMS, &[1e6; 27]);
    let graph = Graph::default().tensor(&large).node(&Node::new("Cast", &["r"], &["c"]).int("to", 10));
    let text = refused("beyond float16", graph.node(&to_v("Cast", &["c"]).int("to", 1)));
    assert!(text.contains("inf"), "{text}");

    let two = || g().tensor(&floats("s", &[1, 1, 3], &[0.5, 3.0, -0.25]));
    let each = |of: fn(f32, f32) -> f32| -> Vec<f32> {
        r.iter().enumerate().map(|(at, &v)| of(v, [0.5, 3.0, -0.25][at % 3])).collect()
    };
    type Pairwise = fn(f32, f32) -> f32;
    let cases: [(&str, Pairwise); 4] =
        [("Add", |a, b| a + b), ("Sub", |a, b| a - b), ("Mul", |a, b| a * b), ("Div", |a, b| a / b)];
    for (op, of) in cases {
        gives(op, two().node(&to_v(op, &["r", "s"])), &each(of));
    }
    // In 16 bits each result is rounded.
    let graph = there(10).node(&Node::new("Add", &["c", "c"], &["d"])).node(&to_v("Mul", &["d", "c"]));
    let expected: Vec<f32> = f16.iter().map(|v| half::f16::from_f32((v + v) * v).to_f32()).collect();
    gives("float16", graph, &expected);
    for (what, graph) in [
        ("Add of two types", there(10).node(&to_v("Add", &["c", "r"]))),
        ("Mul of double", there(11).node(&to_v("Mul", &["c", "c"]))),
        ("Add of shapes", g().tensor(&floats("s", &[2], &[1.0, 2.0])).node(&to_v("Add", &["r", "s"]))),
    ] {
        assert!(refused(what, graph).contains(&what[..3]), "{what}");
    }
    // A few bytes that demand a large product.
    let side = |name: &str, dims: &[i64]| floats(name, dims, &[1.0; 4096]);
    let graph = Graph::default().tensor(&side("a", &[4096, 1])).tensor(&side("b", &[1, 4096]));
    let graph = graph.node(&Node::new("Add", &["a", "b"], &["c"])).node(&to_v("Add", &["c", "c"]));
    assert!(refused("4096 by 4096", graph).contains("the file's size allows"));
}

/// W `[D, I, 4·H]` and R `[D, H, 4·H]` of 8 bits, with their scales.
fn quantised(direction: Direction, per_row: bool, kind: i64) -> (Graph, Model) {
    let plain = Layer::new("LSTM", direction, 2, 3);
    let d = direction.count();
    let dims = |inputs: usize| [d as i64, inputs as i64, 12];
    let scales = |from: usize| -> Vec<f32> {
        (0..if per_row { 12 * d } else { d }).map(|at| (at + from) as f32 * 0.001).collect()
    };
    let zeros: Vec<u8> = (0..scales(1).len()).map(|at| (at * 5 % 17) as u8).collect();
    let scale_dims: &[i64] = if per_row { &[d as i64, 12] } else { &[d as i64] };
    let number = |at: usize| if kind == INT8 { f32::from(byte(at) as i8) } else { f32::from(byte(at)) };
    // In ONNX's layout: [D, 4·H, inputs].
    let real = |inputs: usize, scales: &[f32]| -> Vec<f32> {
        let at = |d: usize, row: usize, input: usize| {
            let place = if per_row { d * 12 + row } else { d };
            (number((d * inputs + input) * 12 + row) - f32::from(zeros[place])) * scales[place]
        };
        let rows = (0..d).flat_map(|d| (0..12).map(move |row| (d, row)));
        rows.flat_map(|(d, row)| (0..inputs).map(move |input| (d, row, input)))
            .map(|(d, r, i)| at(d, r, i))
            .collect()
    };
    let (w, r) = (real(2, &scales(1)), real(3, &scales(4)));
    let model = Layer { w, r, ..plain.clone() }.graph().read().expect("a plain LSTM").model;
    let inputs = ["X", "Wq", "Rq", "B", "", "", "", "", "Ws", "Wz", "Rs", "Rz"];
    let node =
        Node::new("DynamicQuantizeLSTM", &inputs, &["Y", "Y_h", "Y_c"]).domain("com.microsoft").name("rec");
    let node = match direction {
        Direction::Forward => node,
        other => node.text("direction", &other.to_string()),
    };
    let graph =
        Graph::default().node(&node.int("hidden_size", 3)).inputs(&["X"]).outputs(&["Y", "Y_h", "Y_c"]);
    let graph = graph.tensor(&bytes("Wq", kind, &dims(2))).tensor(&bytes("Rq", kind, &dims(3)));
    let graph =
        graph.tensor(&floats("Ws", scale_dims, &scales(1))).tensor(&floats("Rs", scale_dims, &scales(4)));
    let zero = |name: &str| claim(name, kind, scale_dims).bytes(9, &zeros);
    let graph = graph.tensor(&zero("Wz")).tensor(&zero("Rz")).tensor(&floats("B", &plain.b_dims(), &plain.b));
    (graph, model)
}

#[test]
fn a_quantised_lstm_is_dequantised() {
    for direction in [Direction::Forward, Direction::Reverse, Direction::Bidirectional] {
        for (per_row, kind) in [(false, INT8), (true, INT8), (false, UINT8), (true, UINT8)] {
            let (graph, model) = quantised(direction, per_row, kind);
            let imported = graph.read().unwrap_or_else(|error| panic!("{direction} {per_row}: {error}"));
            assert_eq!(imported.model, model, "{direction} {per_row} {kind}");
            assert!(imported.whole_graph && imported.op == "DynamicQuantizeLSTM");
            let said = &imported.report.decisions;
            assert!(said.iter().any(|text| text.contains("activations are not quantised")), "{said:?}");
            let listed = Onnx::list_parsed("q.onnx", &graph.model(17), None).expect("a list");
            assert_eq!(listed[0].to_string(), format!("rec: DynamicQuantizeLSTM {direction} [4·3, 2→3]"));
        }
    }
    let (graph, _) = quantised(Direction::Forward, false, INT8);
    let text = String::from_utf8_lossy(&graph.model(17)).into_owned();
    assert!(text.contains("com.microsoft"));
    // Another operator of that domain is not supported, and is named in the list of operators.
    let error =
        Graph::default().node(&Node::new("QAttention", &["X"], &["Y"]).domain("com.microsoft")).refused();
    assert!(
        matches!(&error, Error::Ambiguous { .. }) && error.to_string().contains("1 QAttention"),
        "{error}"
    );
}
