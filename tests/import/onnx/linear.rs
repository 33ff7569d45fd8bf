//! Reading takes time proportional to the file: to its tensors, nodes, names and depth.

use std::time::{Duration, Instant};

use crate::common::onnx_file::{Graph, Layer, Node, SOURCE, floats, ints};
use wgru::Direction;
use wgru::import::{Limits, Onnx};

/// The time to read a file and to list its nodes.
fn time(bytes: &[u8]) -> Duration {
    let start = now();
    let _ = std::hint::black_box(Onnx::new().parse_graph(SOURCE, bytes, None));
    let _ = std::hint::black_box(Onnx::list_parsed(SOURCE, bytes, None));
    now().saturating_sub(start)
}

/// The CPU time of this thread, which other work does not lengthen; the wall clock if the system does not provide it.
fn now() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    // A thread that yields gets its time updated.
    std::thread::yield_now();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = told.and_then(|text| text.split_whitespace().next()?.parse().ok()).filter(|&spent| spent > 0);
    spent.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// The ratio of two files' times, each the best of five alternating readings.
fn ratio(small: &[u8], large: &[u8]) -> f64 {
    let mut best = [Duration::MAX; 2];
    for _ in 0..5 {
        best = [best[0].min(time(small)), best[1].min(time(large))];
    }
    best[1].as_secs_f64() / best[0].as_secs_f64()
}

/// A file that grows with `n`.
type Grown = fn(usize) -> Graph;

fn layer() -> Graph {
    Layer::gru().graph()
}

/// Layers that feed each other, H = 3, each squeezed for the next.
fn stack(n: usize) -> Graph {
    let layer = Layer::new("GRU", Direction::Forward, 3, 3);
    let graph = layer.tensors(Graph::default().inputs(&["x0"])).tensor(&ints("d", &[1], &[1]));
    (0..n).fold(graph.outputs(&[&format!("y{}", n - 1)]), |graph, at| {
        let (x, y, next) = (format!("x{at}"), format!("y{at}"), format!("x{}", at + 1));
        let node = Node::new("GRU", &[&x, "W", "R", "B"], &[&y]).name(&y).int("hidden_size", 3);
        graph.node(&node).node(&Node::new("Squeeze", &[&y, "d"], &[&next]))
    })
}

#[test]
fn four_times_the_file_takes_four_times_as_long() {
    let cases: [(&str, usize, Grown); 8] = [
        ("initialisers", 1_000, |n| {
            (0..n).fold(layer(), |graph, i| graph.tensor(&floats(&format!("t{i}"), &[1], &[0.0])))
        }),
        ("nodes", 1_000, |n| {
            (0..n).fold(layer(), |graph, i| graph.node(&Node::new("Relu", &["X"], &[&format!("t{i}")])))
        }),
        ("a chain of nodes", 1_000, |n| {
            let node = |i: usize| Node::new("Relu", &[&format!("t{i}")], &[&format!("t{}", i + 1)]);
            (0..n).fold(layer().inputs(&["t0"]), |graph, i| graph.node(&node(i)))
        }),
        ("recurrent nodes", 200, |n| {
            let gru = Layer::gru();
            (0..n).fold(gru.tensors(Graph::default().inputs(&["X"])), |graph, i| {
                graph.node(&Node::new("GRU", &["X", "W", "R", "B"], &[&format!("t{i}")]))
            })
        }),
        ("layers of a stack", 500, stack),
        ("outputs", 1_000, |n| {
            let names: Vec<String> = (0..n).map(|i| format!("t{i}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let empty = vec![""; n];
            let outputs = [&["Y", "Y_h"][..], &empty].concat();
            let node = Node::new("GRU", &["X", "W", "R", "B"], &outputs).int("hidden_size", 3);
            Layer::gru().graph_of(&node).outputs(&names)
        }),
        ("attributes", 1_000, |n| {
            let node = (0..n).fold(Layer::gru().node(), |node, i| node.int(&format!("t{i}"), 1));
            Layer::gru().graph_of(&node)
        }),
        ("subgraphs", 500, |n| {
            let body = |i: usize| Graph::default().tensor(&floats(&format!("t{i}"), &[1], &[0.0]));
            (0..n).fold(layer(), |graph, i| {
                graph.node(&Node::new("If", &["X"], &[&format!("o{i}")]).graph("then_branch", &body(i)))
            })
        }),
    ];
    for (what, n, grown) in cases {
        let [small, large] = [n, 4 * n].map(|n| grown(n).model(17));
        let ratio = ratio(&small, &large);
        println!("{what}: {ratio:.1}");
        assert!(ratio < 6.0, "{what}: four times as many as {n} take {ratio:.1} times as long");
    }
}

#[test]
fn limits_are_options_and_are_named() {
    let graph = (0..10).fold(layer(), |graph, i| graph.tensor(&floats(&format!("t{i}"), &[1], &[0.0])));
    let limits = |tensors| Onnx::new().limits(Limits::default().tensors(tensors));
    // Three weights, ten more and the node.
    graph.read_with(&limits(14)).expect("as many as that");
    let error = graph.read_with(&limits(13)).expect_err("one too many").to_string();
    assert!(error.contains("14 tensors") && error.contains("Limits::tensors allows 13"), "{error}");
    // Those of branches count too.
    let branch = Graph::default()
        .node(&Node::new("If", &["C"], &["o"]).graph("then_branch", &graph))
        .inputs(&["C", "X"]);
    assert!(branch.read_with(&limits(14)).is_err());
    branch.read_with(&limits(15)).expect("as many as that");
}
