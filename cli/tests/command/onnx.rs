//! ONNX files on the command line: states and lengths that the graph computes are used, or the run is refused; stacks
//! run as one model, with the same bits as their layers one after the other.

use std::fs;

use crate::common::{Folder, npy, npz, stderr, stdout, values};
use crate::onnx_file::{Graph, Layer, Node, floats, ints, ramp};
use wgru::Direction;

/// The arrays of an output.
fn arrays(folder: &Folder, name: &str) -> Arrays {
    let bytes = fs::read(folder.path().join(name)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(n, view)| (n, view.shape().to_vec(), view.data().to_vec()))
        .collect();
    all.sort();
    all
}

fn run(folder: &Folder, model: &str, input: &str, more: &[&str]) -> std::process::Output {
    let mut args =
        vec!["run", model, "--input", input, "--output", "out.safetensors", "--device", "cpu", "--verify"];
    args.extend(more);
    folder.wgru(&args)
}

/// The arrays of a file: name, shape and bytes.
type Arrays = Vec<(String, Vec<usize>, Vec<u8>)>;

/// Runs, and returns the output of the command and its arrays.
fn ran(folder: &Folder, model: &str, input: &str, more: &[&str]) -> (String, Arrays) {
    let output = run(folder, model, input, more);
    assert!(output.status.success(), "{model} {input}: {}", stderr(&output));
    (stdout(&output), arrays(folder, "out.safetensors"))
}

fn refused(folder: &Folder, args: &[&str], words: &[&str]) {
    let output = folder.wgru(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stdout(&output));
    for word in words {
        assert!(stderr(&output).contains(word), "{word} is not in: {}", stderr(&output));
    }
}

/// An LSTM in both directions on 2 features with H = 3, its states and lengths from "len", "h0" and "c0".
fn lstm(layout: i64, extra: Graph) -> Vec<u8> {
    let layer = Layer::new("LSTM", Direction::Bidirectional, 2, 3);
    let node = layer.node_on(&["X", "W", "R", "B", "len", "h0", "c0"]).int("layout", layout);
    let graph = layer.tensors(extra.node(&node).inputs(&["X"]).outputs(&["Y", "Y_h"]));
    let graph = graph.tensor(&ints("one", &[1], &[1])).tensor(&ints("two", &[1], &[2])).tensor(&ints(
        "three",
        &[1],
        &[3],
    ));
    graph.node(&Node::new("Shape", &["X"], &["sizes"])).model(17)
}

#[test]
fn repeated_states_equal_the_callers() {
    let row = |from| ramp(from, 6);
    for layout in [0, 1] {
        let folder = Folder::new(&format!("onnx-repeated-{layout}"));
        let batch_at = if layout == 0 { "one" } else { "zero" };
        let dims: &[&str] = if layout == 0 { &["two", "b", "three"] } else { &["b", "two", "three"] };
        let rows: &[i64] = if layout == 0 { &[2, 1, 3] } else { &[1, 2, 3] };
        let repeated = Graph::default()
            .tensor(&ints("zero", &[1], &[0]))
            .tensor(&ints("steps", &[1], &[4]))
            .tensor(&floats("h", rows, &row(10)))
            .tensor(&floats("c", rows, &row(90)))
            .node(&Node::new("Gather", &["sizes", batch_at], &["b"]))
            .node(&Node::new("Concat", dims, &["to"]).int("axis", 0))
            .node(&Node::new("Expand", &["h", "to"], &["h0"]))
            .node(&Node::new("Expand", &["c", "to"], &["c0"]))
            .node(&Node::new("Expand", &["steps", "b"], &["len"]));
        let given = Graph::default().inputs(&["len", "h0", "c0"]).tensor(&ints("zero", &[1], &[0]));
        let computed = Graph::default().inputs(&["a", "b", "l"]).tensor(&ints("zero", &[1], &[0]));
        let computed = computed.node(&Node::new("Cast", &["l"], &["len"]).int("to", 6).name("to_int32"));
        let computed = computed.node(&Node::new("Tanh", &["a"], &["h0"]).name("squash"));
        let computed = computed.node(&Node::new("Relu", &["b"], &["c0"]).name("cut"));
        for (name, graph) in [("rep", repeated), ("giv", given), ("com", computed)] {
            folder.write(&format!("{name}.onnx"), lstm(layout, graph));
        }
        let x = npy(if layout == 0 { &[5, 3, 2] } else { &[3, 5, 2] }, &values(1, 30));
        let state = |from| {
            let one = row(from);
            match layout {
                0 => npy(&[2, 3, 3], &one.chunks(3).flat_map(|unit| unit.repeat(3)).collect::<Vec<f32>>()),
                _ => npy(&[3, 2, 3], &one.repeat(3)),
            }
        };
        let lens = npy(&[3], &[4.0, 4.0, 4.0]);
        let all =
            [("X", x.clone()), ("sequence_lens", lens), ("initial_h", state(10)), ("initial_c", state(90))];
        folder.write("x.npz", npz(&all[..1])).write("all.npz", npz(&all));
        let (text, expected) = ran(&folder, "giv.onnx", "all.npz", &[]);
        assert!(text.contains("initial_h: the graph's input \"h0\""), "{text}");
        let (text, got) = ran(&folder, "rep.onnx", "x.npz", &[]);
        assert!(text.contains("initial_c: one row, which the graph repeats for each sequence"), "{text}");
        assert!(got == expected, "layout {layout}: repeated");
        assert!(
            ran(&folder, "com.onnx", "all.npz", &[]).1 == expected,
            "layout {layout}: computed, and given"
        );
        // The caller's array overrides the file's.
        let (text, got) = ran(&folder, "rep.onnx", "all.npz", &[]);
        assert!(got == expected && text.contains("initial_h: IN's array in place of the file's"), "{text}");
        // A missing array is refused with its role and its node.
        for (without, words) in
            [(1, ["sequence_lens", "to_int32"]), (2, ["initial_h", "squash"]), (3, ["initial_c", "cut"])]
        {
            let some: Vec<_> = (0..4).filter(|&at| at != without).map(|at| all[at].clone()).collect();
            folder.write("some.npz", npz(&some));
            let args = ["run", "com.onnx", "--input", "some.npz", "--device", "cpu"];
            refused(&folder, &args, &words);
            refused(&folder, &[&args[..], &["--verify"]].concat(), &words);
            let (text, _) = ran(&folder, "giv.onnx", "some.npz", &[]);
            assert!(text.contains(words[0]) && text.contains("IN has no array"), "{text}");
        }
        refused(
            &folder,
            &["export", "com.onnx", "out.onnx"],
            &["sequence_lens", "to_int32", "--with-lengths"],
        );
        refused(
            &folder,
            &["export", "com.onnx", "out.onnx", "--with-lengths"],
            &["initial_h", "squash", "--with-states"],
        );
        refused(&folder, &["export", "rep.onnx", "out.onnx", "--with-lengths"], &["initial_h", "constant"]);
        let output = folder.wgru(&["export", "com.onnx", "out.onnx", "--with-lengths", "--with-states"]);
        assert!(output.status.success(), "{}", stderr(&output));
        if layout == 0 {
            assert!(ran(&folder, "out.onnx", "all.npz", &[]).1 == expected, "exported");
            let output = folder.wgru(&["export", "giv.onnx", "out.onnx", "--with-lengths"]);
            assert!(stdout(&output).contains("initial_c is not read by OUT"), "{}", stdout(&output));
        }
    }
}

/// Three layers joined in the style of exporters, all in one direction or in both.
fn stack(direction: Direction) -> Vec<u8> {
    let d = direction.count() as i64;
    let mut graph = Graph::default().inputs(&["x0"]).tensor(&ints("to", &[3], &[0, 0, -1]));
    for at in 0..3 {
        let input = if at == 0 { 2 } else { 3 * direction.count() };
        let mut layer = Layer::new("GRU", direction, input, 3);
        layer.w.rotate_left(at);
        let [x, w, r, y, h, t] = ["x", "W", "R", "y", "h", "t"].map(|name| format!("{name}{at}"));
        let node = Node::new("GRU", &[&x, &w, &r], &[&y, &h])
            .name(&format!("layer{at}"))
            .int("hidden_size", 3)
            .int("linear_before_reset", 1);
        let node = if d == 2 { node.text("direction", "bidirectional") } else { node };
        graph = graph.node(&node).tensor(&floats(&w, &layer.w_dims(), &layer.w)).tensor(&floats(
            &r,
            &layer.r_dims(),
            &layer.r,
        ));
        graph = graph.node(&Node::new("Transpose", &[&y], &[&t]).ints("perm", &[0, 2, 1, 3]));
        graph = graph.node(&Node::new("Reshape", &[&t, "to"], &[&format!("x{}", at + 1)]));
    }
    graph
        .node(&Node::new("Concat", &["h0", "h1", "h2"], &["h"]).int("axis", 0))
        .outputs(&["x3", "h"])
        .model(17)
}

#[test]
fn a_stack_runs_as_its_layers_one_after_the_other() {
    for direction in [Direction::Forward, Direction::Bidirectional] {
        let folder = Folder::new(&format!("onnx-stack-{direction}"));
        folder.write("m.onnx", stack(direction));
        folder.write("x0.npz", npz(&[("X", npy(&[5, 3, 2], &values(1, 30)))]));
        let (text, all) = ran(&folder, "m.onnx", "x0.npz", &[]);
        assert!(
            text.contains("layer0,layer1,layer2") && text.contains("this stack of 3 nodes is run of 10"),
            "{text}"
        );
        assert!(ran(&folder, "m.onnx", "x0.npz", &["--node", "layer0,layer1,layer2"]).1 == all);
        let mut states = Vec::new();
        let floats = |bytes: &[u8]| -> Vec<f32> {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let d = direction.count();
        for at in 0..3 {
            let name = format!("layer{at}");
            let (text, one) = ran(&folder, "m.onnx", &format!("x{at}.npz"), &["--node", &name]);
            assert!(
                text.contains("this node alone is run of 10 in the graph, on the arrays X, giving Y, Y_h"),
                "{text}"
            );
            let [(_, _, y), (_, _, h)] = &one[..] else { panic!("Y and Y_h") };
            states.extend(h.clone());
            if at == 2 {
                assert!(one[0] == all[0], "{direction}: Y");
                assert_eq!((&all[1].1[..], &all[1].2), (&[3 * d, 3, 3][..], &states), "{direction}: Y_h");
                continue;
            }
            // [T, D, B, H] to [T, B, D·H].
            let y = floats(y);
            let place = |t: usize, b: usize, d_: usize, h: usize| y[((t * d + d_) * 3 + b) * 3 + h];
            let mut next = Vec::new();
            for (t, b) in (0..5).flat_map(|t| (0..3).map(move |b| (t, b))) {
                next.extend(
                    (0..d).flat_map(|d_| (0..3).map(move |h| (d_, h))).map(|(d_, h)| place(t, b, d_, h)),
                );
            }
            folder.write(&format!("x{}.npz", at + 1), npz(&[("X", npy(&[5, 3, 3 * d], &next))]));
        }
        // Exported to another file, and read back.
        for file in ["out.onnx", "out.safetensors"] {
            let output = folder.wgru(&["export", "m.onnx", &format!("new-{file}")]);
            assert!(output.status.success(), "{}", stderr(&output));
        }
        assert!(ran(&folder, "new-out.onnx", "x0.npz", &[]).1 == all);
        refused(
            &folder,
            &["run", "m.onnx", "--input", "x0.npz", "--node", "layer0,layer2"],
            &["\"layer2\"", "\"layer0\""],
        );
    }
}
