//! Files that are corrupted or malicious: each gives an error, quickly, without panic, without reading outside the
//! model's folder and without allocating memory for false claims.

use crate::common::onnx_file::{Graph, Layer, Message, Node, SOURCE, claim, external, floats, ints, of_file};
use wgru::import::Onnx;
use wgru::{Direction, Error};

/// A file with a little of everything: a branch, a chain of operators, several nodes.
fn rich() -> Vec<u8> {
    let (gru, lstm) = (Layer::gru(), Layer::new("LSTM", Direction::Bidirectional, 2, 3));
    let then = Graph::default()
        .node(
            &lstm
                .node_on(&["X", "w", "r", "", "len"])
                .texts("activations", &["Sigmoid", "Tanh", "Tanh"].repeat(2)),
        )
        .tensor(&floats("w", &lstm.w_dims(), &lstm.w))
        .tensor(&claim("r", 10, &lstm.r_dims()).bytes(9, vec![0; lstm.r.len() * 2]));
    let graph = Graph::default()
        .node(
            &Node::new("Slice", &["R"], &["cut"]).ints("starts", &[0]).ints("ends", &[9]).ints("axes", &[1]),
        )
        .node(&Node::new("Constant", &[], &["to"]).ints("value_ints", &[1, -1, 3]))
        .node(&Node::new("Reshape", &["cut", "to"], &["V"]))
        .node(&Node::new("ConstantOfShape", &["dims"], &["h0"]).tensor("value", &floats("", &[1], &[0.5])))
        .node(&gru.node_on(&["X", "W", "V", "B", "", "h0"]).int("linear_before_reset", 1).float("clip", 0.0))
        .node(&Node::new("If", &["C"], &["out"]).name("if").graph("then_branch", &then))
        .tensor(&ints("dims", &[3], &[1, 2, 3]))
        .inputs(&["X", "C", "len"])
        .outputs(&["Y", "out"]);
    gru.tensors(graph).model(22)
}

/// Features of deployed models' files: weights through DequantizeLinear, Split and Gather, states repeated to the
/// batch, two layers that feed each other, and a quantised LSTM.
fn deployed() -> Vec<u8> {
    let layer = Layer::new("GRU", Direction::Bidirectional, 6, 3);
    let node = |x: &str, y: &str, h: &str| {
        let node = Node::new("GRU", &[x, "W", "R", "B", "len", h], &[y, &format!("{y}_h")]).name(y);
        node.int("hidden_size", 3).text("direction", "bidirectional")
    };
    let graph = Graph::default()
        .node(&Node::new("DequantizeLinear", &["q", "s", "z"], &["W"]).int("axis", 1))
        .node(&Node::new("Split", &["both", "parts"], &["R", "other"]).int("axis", 1))
        .node(&Node::new("Shape", &["X"], &["sizes"]))
        .node(&Node::new("Gather", &["sizes", "one"], &["b"]).int("axis", 0))
        .node(&Node::new("Concat", &["four", "b", "three"], &["to"]).int("axis", 0))
        .node(&Node::new("Expand", &["row", "to"], &["grown"]))
        .node(&Node::new("Split", &["grown", "two_two"], &["h1", "h2"]))
        .node(&Node::new("Tile", &["steps", "b"], &["len"]))
        .node(&node("X", "l1", "h1"))
        .node(&Node::new("Transpose", &["l1"], &["t"]).ints("perm", &[0, 2, 1, 3]))
        .node(&Node::new("Reshape", &["t", "shape"], &["x2"]))
        .node(&node("x2", "l2", "h2"))
        .node(&Node::new("Concat", &["l1_h", "l2_h"], &["last"]).int("axis", 0))
        .tensor(&claim("q", 3, &[2, 9, 6]).bytes(9, (0..108).collect::<Vec<u8>>()))
        .tensor(&floats("s", &[9], &[0.01; 9]))
        .tensor(&claim("z", 3, &[9]).bytes(9, [3; 9]))
        .tensor(&floats("both", &[2, 10, 3], &[0.25; 60]))
        .tensor(&floats("B", &layer.b_dims(), &layer.b))
        .tensor(&floats("row", &[4, 1, 3], &[0.5; 12]))
        .tensor(&ints("parts", &[2], &[9, 1]))
        .tensor(&ints("two_two", &[2], &[2, 2]))
        .tensor(&ints("shape", &[3], &[0, 0, -1]));
    let graph = [("one", 1), ("three", 3), ("four", 4), ("steps", 7)]
        .into_iter()
        .fold(graph, |graph, (name, value)| graph.tensor(&ints(name, &[1], &[value])));
    let inputs = ["X", "qw", "qr", "", "", "", "", "", "qs", "qz", "qs", "qz"];
    let quantised = Node::new("DynamicQuantizeLSTM", &inputs, &["l3"]).domain("com.microsoft").name("l3");
    let quantised = Graph::default()
        .node(&quantised.int("hidden_size", 3))
        .tensor(&claim("qw", 2, &[1, 6, 12]).bytes(9, [9; 72]))
        .tensor(&claim("qr", 2, &[1, 3, 12]).bytes(9, [8; 36]))
        .tensor(&floats("qs", &[1], &[0.125]))
        .tensor(&claim("qz", 2, &[1]).bytes(9, [128]));
    let graph = graph.node(&Node::new("If", &["C"], &["out"]).name("if").graph("then_branch", &quantised));
    graph.inputs(&["X", "C"]).outputs(&["l2", "last", "out"]).model(22)
}

/// Every way into the importer.
fn read_all_ways(bytes: &[u8]) -> Vec<String> {
    let names = ["rec", "if/then_branch/rec", "l1", "l1,l2", "l3"];
    let how = names.map(|name| Onnx::new().node(name)).into_iter().chain([Onnx::new()]);
    let mut texts: Vec<String> = Vec::new();
    for how in how {
        match how.parse_graph(SOURCE, bytes, None) {
            Ok(imported) => texts.push(format!("read {}", imported.model)),
            Err(error) => texts.push(of_file(error).to_string()),
        }
    }
    match Onnx::list_parsed(SOURCE, bytes, None) {
        Ok(nodes) => texts.extend(nodes.iter().map(ToString::to_string)),
        Err(error) => texts.push(of_file(error).to_string()),
    }
    assert!(texts.iter().all(|text| !text.is_empty()));
    texts
}

#[test]
fn a_truncated_file_is_no_model_at_any_length() {
    for (bytes, node) in [(rich(), "if/then_branch/rec"), (deployed(), "l1,l2")] {
        let whole = read_all_ways(&bytes);
        assert!(whole.iter().any(|text| text.starts_with("read GRU")), "{whole:?}");
        assert!(whole.iter().any(|text| text.starts_with("read LSTM")), "{whole:?}");
        for len in 0..bytes.len() {
            let error = Onnx::new().node(node).parse_graph(SOURCE, &bytes[..len], None);
            assert!(error.is_err(), "{len} of {} bytes are read as a model", bytes.len());
            read_all_ways(&bytes[..len]);
        }
    }
}

#[test]
fn flipped_bits_and_bytes_never_panic() {
    let files = [rich(), deployed()];
    let mut random = crate::common::seed::Random::new();
    for round in 0..12_000 {
        let mut broken = files[round % 2].clone();
        for _ in 0..1 + round / 2 % 4 {
            let at = random.usize(..broken.len());
            match random.u8(..3) {
                0 => broken[at] ^= 1 << random.u8(..8),
                1 => broken[at] = random.u8(..),
                _ => broken[at] = [0, 1, 0x7f, 0x80, 0xff][random.usize(..5)],
            }
        }
        read_all_ways(&broken);
    }
    for len in [0, 1, 7, 100, 4000] {
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
        read_all_ways(&noise);
    }
}

#[test]
fn a_file_without_a_graph_says_so() {
    for bytes in [&[][..], &Message::default().int(1, 8).0] {
        let error = Onnx::new().parse_graph(SOURCE, bytes, None).expect_err("no graph");
        assert!(matches!(&error, Error::Format { name, .. } if name == SOURCE), "{error}");
    }
    let error = Onnx::new().read_graph("/no/such/folder/m.onnx").expect_err("no file");
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

fn gru_on(inputs: &[&str]) -> Graph {
    let gru = Layer::gru();
    gru.graph_of(&gru.node_on(inputs))
}

#[test]
fn cycles_are_refused() {
    let identity = |from: &str, to: &str| Node::new("Identity", &[from], &[to]);
    let base = || gru_on(&["X", "W", "V", "B"]);
    for graph in [
        base().node(&identity("V", "V")),
        base().node(&identity("a", "V")).node(&identity("V", "a")),
        base().node(&Node::new("Concat", &["Y", "R"], &["V"]).int("axis", 0)),
        gru_on(&["Y", "W", "R"]),
    ] {
        let error = graph.refused();
        assert!(matches!(&error, Error::Format { reason, .. } if reason.contains("cycle")), "{error}");
    }
    let mut ring = base();
    for i in 0..5000 {
        ring = ring.node(&identity(&format!("v{i}"), &format!("v{}", (i + 1) % 5000)));
    }
    assert!(ring.node(&identity("v0", "V")).refused().to_string().contains("cycle"));
}

#[test]
fn chains_and_nesting_are_bounded() {
    let chain = |len: usize| {
        let mut graph = gru_on(&["X", "W", &format!("v{len}"), "B"]);
        graph = graph.node(&Node::new("Identity", &["R"], &["v0"]));
        for i in 0..len {
            graph = graph.node(&Node::new("Identity", &[&format!("v{i}")], &[&format!("v{}", i + 1)]));
        }
        graph
    };
    chain(100).read().expect("a long chain");
    assert!(chain(20_000).refused().to_string().contains("more than 128 operators"));
    // A name that is used twice at every step: 2^60 reads.
    let mut graph = gru_on(&["X", "W", "v60", "B"]).tensor(&floats("v0", &[0, 3], &[]));
    for i in 0..60 {
        let from = format!("v{i}");
        graph = graph.node(&Node::new("Concat", &[&from, &from], &[&format!("v{}", i + 1)]).int("axis", 0));
    }
    assert!(graph.refused().to_string().contains("the file's size allows"));
    // Nested branches, deeper than the decoder goes.
    let mut graph = gru_on(&["X", "W", "R"]);
    for _ in 0..500 {
        graph = Graph::default().node(&Node::new("If", &["C"], &["out"]).graph("then_branch", &graph));
    }
    assert!(matches!(graph.refused(), Error::Format { .. }));
}

#[test]
fn names_defined_twice_are_refused() {
    let twice = gru_on(&["X", "W", "R"]).tensor(&floats("W", &[1, 9, 2], &[0.0; 18]));
    assert!(twice.refused().to_string().contains("\"W\" is defined twice"));
    let twice = gru_on(&["X", "W", "R"]).node(&Node::new("Identity", &["R"], &["Y"]));
    assert!(twice.refused().to_string().contains("\"Y\" is defined twice"));
    // A default of an input, since files before IR 4 list every initialiser among the inputs.
    assert!(gru_on(&["X", "W", "R"]).inputs(&["W", "R", "B"]).read().expect("defaults").whole_graph);
}

/// Dimensions larger than the data, in every way of storing them.
#[test]
fn claims_are_checked_against_the_data() {
    let sizes = [
        &[1 << 20, 1 << 20, 3][..],
        &[i64::MAX, i64::MAX, i64::MAX],
        &[1, -9, 3],
        &[1 << 40, 0, 3],
        &[1; 64],
    ];
    for dims in sizes {
        for kind in [1, 6, 7, 10, 11, 16] {
            for field in [0, 4, 5, 7, 9, 10] {
                let mut tensor = claim("V", kind, dims);
                if field > 0 {
                    tensor = tensor.bytes(field, [0; 8]);
                }
                gru_on(&["X", "W", "V", "B"]).tensor(&tensor).refused();
            }
        }
    }
    let short = claim("V", 1, &[1, 9, 3]).bytes(9, vec![0; 107]);
    let error = gru_on(&["X", "W", "V", "B"]).tensor(&short).refused();
    assert!(error.to_string().contains("needs 108 bytes, got 107"), "{error}");
    for dims in [&[1 << 30, 4][..], &[i64::MAX, 2], &[-1], &[1 << 62, 0, 1 << 62]] {
        let graph = gru_on(&["X", "W", "V", "B"]).tensor(&ints("dims", &[dims.len() as i64], dims));
        graph.node(&Node::new("ConstantOfShape", &["dims"], &["V"])).refused();
    }
    // A few bytes that demand four gibibytes, one small step at a time.
    let graph = gru_on(&["X", "W", "V", "B"]).tensor(&ints("dims", &[2], &[1 << 14, 1 << 9]));
    let inputs = vec!["fill"; 128];
    let graph = graph.node(&Node::new("ConstantOfShape", &["dims"], &["fill"]));
    let error = graph.node(&Node::new("Concat", &inputs, &["V"]).int("axis", 0)).refused();
    assert!(error.to_string().contains("the file's size allows"), "{error}");
}

#[test]
fn external_data_stay_in_the_models_folder() {
    let base = std::env::temp_dir().join(format!("wgru-onnx-{}-escape", std::process::id()));
    let folder = base.join("model");
    std::fs::create_dir_all(folder.join("deep")).expect("a folder");
    let bytes = vec![0u8; 108];
    let secret = base.join("secret.bin");
    std::fs::write(&secret, &bytes).expect("a file");
    std::fs::write(folder.join("own.bin"), &bytes).expect("a file");
    let read = |entries: &[(&str, &str)], folder| {
        let graph = gru_on(&["X", "W", "V", "B"]).tensor(&external("V", &[1, 9, 3], entries));
        Onnx::new().parse_graph(SOURCE, &graph.model(22), folder)
    };
    read(&[("location", "own.bin")], Some(&*folder)).expect("inside");
    read(&[("location", "./own.bin")], Some(&*folder)).expect("inside");
    let absolute = secret.to_string_lossy().into_owned();
    let own = folder.join("own.bin").to_string_lossy().into_owned();
    for location in [
        "../secret.bin",
        "deep/../../secret.bin",
        "deep/../own.bin",
        &absolute,
        &own,
        "",
        "a\0b",
        "/dev/zero",
    ] {
        let error = read(&[("location", location)], Some(&*folder)).expect_err(location);
        assert!(error.to_string().contains("is not inside the model's folder"), "{location}: {error}");
    }
    for (entries, word) in [
        (&[("location", "deep")][..], "is not a file"),
        (&[("location", "none.bin")], "none.bin"),
        (&[("offset", "0")], "without a location"),
        (&[("location", "own.bin"), ("offset", "1")], "bytes 1 + 108 of own.bin, which has 108"),
        (&[("location", "own.bin"), ("offset", "18446744073709551615")], "which has 108"),
        (&[("location", "own.bin"), ("offset", "-1")], "offset = \"-1\""),
        (&[("location", "own.bin"), ("length", "107")], "needs 108 bytes, its external data has 107"),
        (&[("location", "own.bin"), ("length", "1e3")], "length"),
        (&[("location", "own.bin"), ("basepath", "..")], "basepath"),
    ] {
        let error = read(entries, Some(&*folder)).expect_err(word);
        assert!(error.to_string().contains(word), "{word} is not in: {error}");
    }
    assert!(
        read(&[("location", "own.bin")], None)
            .expect_err("no folder")
            .to_string()
            .contains("without a folder")
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(&secret, folder.join("link.bin")).expect("a link");
        symlink(&base, folder.join("out")).expect("a link");
        symlink(folder.join("own.bin"), folder.join("near.bin")).expect("a link");
        for location in ["link.bin", "out/secret.bin"] {
            let error = read(&[("location", location)], Some(&*folder)).expect_err(location);
            assert!(error.to_string().contains("is not inside the model's folder"), "{location}: {error}");
        }
        read(&[("location", "near.bin")], Some(&*folder)).expect("a link that stays inside");

        // The cache of a hub: links from a revision's folder to the repository's blobs, and no other path outside.
        let root = base.join("hub/models--a--b");
        let deep = root.join("snapshots/abc/onnx");
        std::fs::create_dir_all(&deep).expect("a folder");
        std::fs::create_dir_all(root.join("blobs/nested")).expect("a folder");
        std::fs::create_dir_all(root.join("snapshots/def")).expect("a folder");
        for blob in ["blobs/1111", "blobs/nested/2222", "snapshots/def/own.bin", "refs"] {
            std::fs::write(root.join(blob), &bytes).expect("a file");
        }
        symlink("../../blobs/1111", root.join("snapshots/abc/data.bin")).expect("a link");
        symlink("../../../blobs/1111", deep.join("data.bin")).expect("a link");
        let revision = root.join("snapshots/abc");
        for folder in [&revision, &deep] {
            read(&[("location", "data.bin")], Some(&**folder)).expect("a blob");
        }
        read(&[("location", "onnx/data.bin")], Some(&*revision)).expect("a blob");
        symlink("../../../blobs/nested/2222", deep.join("nested.bin")).expect("a link");
        symlink("../../def/own.bin", deep.join("other.bin")).expect("a link");
        symlink("../../../refs", deep.join("refs.bin")).expect("a link");
        symlink("../../../blobs", deep.join("blobs")).expect("a link");
        symlink(&secret, deep.join("secret.bin")).expect("a link");
        symlink(&secret, root.join("blobs/3333")).expect("a link");
        symlink("../../../blobs/3333", deep.join("twice.bin")).expect("a link");
        for location in [
            "nested.bin",
            "other.bin",
            "refs.bin",
            "blobs/1111",
            "secret.bin",
            "twice.bin",
            "../../../blobs/1111",
            "../data.bin",
        ] {
            let error = read(&[("location", location)], Some(&*deep)).expect_err(location);
            assert!(error.to_string().contains("is not inside the model's folder"), "{location}: {error}");
        }
        // A folder of blobs that is a link itself.
        let fake = base.join("fake");
        let folder = fake.join("snapshots/abc");
        std::fs::create_dir_all(&folder).expect("a folder");
        symlink(root.join("blobs"), fake.join("blobs")).expect("a link");
        symlink("../../blobs/1111", folder.join("data.bin")).expect("a link");
        let error = read(&[("location", "data.bin")], Some(&*folder)).expect_err("elsewhere");
        assert!(error.to_string().contains("is not inside the model's folder"), "{error}");
    }
    // A claim far beyond the file, and data both inside and outside.
    let huge = external("V", &[1 << 30, 1 << 20], &[("location", "own.bin")]);
    let bytes = gru_on(&["X", "W", "V", "B"]).tensor(&huge).model(22);
    assert!(matches!(Onnx::new().parse_graph(SOURCE, &bytes, Some(&folder)), Err(Error::Format { .. })));
    std::fs::remove_dir_all(&base).expect("removed");
}
