//! `wgru explain` and `wgru tune`: the plan and its reasons, and the table that it follows from.

use std::fs;

use crate::common::{Folder, model, root, stderr, stdout, wgru_in};

#[test]
fn a_plan_names_its_kernels_and_why_not_others() {
    let output = wgru_in(root(), &["explain", "gru-b4-t100-i512-h512", "--device", "vulkan"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    for word in
        ["4 sequences of 100 steps", "layer 0", "predicted", "chosen", "times the chosen one", "persistent"]
    {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    // 512 units of 512 weights and 3 gates do not fit the registers of any table.
    assert!(text.contains("needs "), "{text}");
}

#[test]
fn a_model_is_explained_for_a_shape() {
    let model =
        ["explain", "models/co2_gru.safetensors", "--device", "vulkan", "--batch", "3", "--steps", "7"];
    let text = stdout(&wgru_in(root(), &model));
    assert!(
        text.contains("3 sequences of 7 steps") && text.contains("layer 1") && text.contains("readout"),
        "{text}"
    );
    let text = stdout(&wgru_in(root(), &["explain", "gru-b1-t5-i2-h3", "--device", "cpu"]));
    assert!(text.contains("one thread\npredicted ") && text.contains("1 sequence of 5 steps"), "{text}");
}

#[test]
fn a_batch_that_is_run_in_pieces_is_explained_as_that() {
    let explain = |shape: &[&str]| {
        let model = ["explain", "models/co2_gru.safetensors", "--device", "vulkan"];
        let output = wgru_in(root(), &[&model[..], shape].concat());
        assert!(output.status.success(), "{shape:?}: {}", stderr(&output));
        stdout(&output)
    };
    let text = explain(&["--batch", "50000000", "--steps", "3"]);
    for words in
        ["50000000 sequences of 3 steps", "run in ", " rows, predicted ", "of the first piece", "chosen"]
    {
        assert!(text.contains(words), "\"{words}\" in {text}");
    }
    let text = explain(&["--steps", "500000000"]);
    assert!(text.contains("each of one direction of a layer and one row, predicted"), "{text}");
    assert!(!explain(&["--batch", "3"]).contains("piece"));
}

#[test]
fn a_node_is_explained_as_its_model_is() {
    let folder = Folder::new("explain-onnx");
    folder.write("m.safetensors", model(3, 3, 4));
    let output = folder.wgru(&["export", "m.safetensors", "m.onnx"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let of = |what: &str| stdout(&folder.wgru(&["explain", what, "--device", "vulkan", "--batch", "2"]));
    let text = of("m.onnx");
    assert!(text.contains("2 sequences of 100 steps") && text.contains("chosen"), "{text}");
    assert_eq!(text, of("m.safetensors"));
    let output = folder.wgru(&["explain", "m.onnx", "--node", "other"]);
    assert!(stderr(&output).contains("other"), "{}", stderr(&output));
    let output = folder.wgru(&["explain", "m.safetensors", "--node", "other"]);
    assert!(stderr(&output).contains("--node"), "{}", stderr(&output));
}

#[test]
fn a_table_is_measured_written_and_read() {
    let folder = Folder::new("tune");
    let tune =
        ["tune", "--device", "vulkan", "--output", "t.txt", "--csv", "t.csv", "--case", "gru-b3-t5-i3-h4"];
    let output = folder.wgru(&tune);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("chosen"), "{}", stdout(&output));
    let table = fs::read_to_string(folder.path().join("t.txt")).expect("the table");
    assert!(table.starts_with("# ") && table.contains("\ndispatch "), "{table}");
    let csv = fs::read_to_string(folder.path().join("t.csv")).expect("the figures");
    assert!(csv.lines().count() > 4 && csv.contains("true,"), "{csv}");

    // Every candidate has a sample that corrects its prediction and that of similar ones.
    let samples =
        |table: &str| table.lines().filter(|line| line.starts_with("measured gru-b3-t5-i3-h4 ")).count();
    assert_eq!(samples(&table), csv.lines().count() - 1, "{table}");
    let by = |case: &str| stdout(&folder.wgru(&["explain", case, "--device", "vulkan", "--speed", "t.txt"]));
    let text = by("gru-b3-t5-i3-h4");
    assert!(text.contains(" measured ") && !text.contains("nearby") && !text.contains("the model"), "{text}");
    assert!(by("gru-b4-t5-i3-h5").contains(" measured nearby: gru-b3-t5-i3-h4"));
    let text = by("gru-b3-t5-i3-h40");
    assert!(text.contains("the model") && !text.contains("measured"), "{text}");

    // The same from the record, and another case, starting from a given table.
    let again = [
        "tune",
        "--device",
        "vulkan",
        "--speed",
        "t.txt",
        "--from",
        "t.csv",
        "--output",
        "from.txt",
        "--csv",
        "from.csv",
        "--case",
        "rnn-b1-t1-i1-h1",
    ];
    let output = folder.wgru(&again);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("by the model alone"), "{}", stdout(&output));
    let from = fs::read_to_string(folder.path().join("from.txt")).expect("the table");
    assert!(from.contains("# numbers as they were, `measured` from t.csv\n"), "{from}");
    assert_eq!(samples(&from), samples(&table), "{from}");
    // The same numbers and the same times give the same thousandths.
    let of_table = |line: &&str| !line.starts_with('#');
    assert!(table.lines().filter(of_table).all(|line| from.contains(&format!("{line}\n"))), "{from}{table}");
    assert!(from.contains("\nmeasured rnn-b1-t1-i1-h1 "), "{from}");
    // The table that the second run started from already had the first case.
    let csv = fs::read_to_string(folder.path().join("from.csv")).expect("the figures");
    let own = |line: &&str| line.starts_with("gru-b3-t5-i3-h4,");
    for line in csv.lines().filter(own) {
        let [before, predicted] = [3, 2].map(|from_end| line.rsplit(',').nth(from_end).expect("a column"));
        assert_eq!(before, predicted, "{csv}");
    }
    assert!(csv.starts_with("case,candidate,measured_s,before_s,predicted_s,"), "{csv}");

    // With a very expensive dispatch the planner must choose one dispatch for all steps; with a cheap one it need
    // not.
    let dear: String = table
        .lines()
        .map(|line| if line.starts_with("dispatch ") { "dispatch 9000000000000000" } else { line })
        .collect::<Vec<_>>()
        .join("\n");
    folder.write("dear.txt", dear);
    let case = "gru-b1-t50-i256-h256";
    let text = stdout(&folder.wgru(&["explain", case, "--device", "vulkan", "--speed", "dear.txt"]));
    assert!(text.lines().nth(1).is_some_and(|plan| plan.contains("persistent_gru_after")), "{text}");
    // Numbers fitted to the times do not keep it.
    let fit = [
        "tune", "--device", "vulkan", "--speed", "dear.txt", "--from", "t.csv", "--fit", "--output",
        "fit.txt",
    ];
    let output = folder.wgru(&fit);
    assert!(output.status.success(), "{}", stderr(&output));
    let fitted = fs::read_to_string(folder.path().join("fit.txt")).expect("the table");
    assert!(fitted.contains("# numbers fitted to the same files, `measured` from t.csv\n"), "{fitted}");
    let dispatch = fitted.lines().find_map(|line| line.strip_prefix("dispatch ")?.parse::<u64>().ok());
    assert!(dispatch.is_some_and(|time| time < 1_000_000_000_000), "{fitted}");
    folder.write("odd.txt", format!("{table}measured gru-b1 step-r1-t1-u1 9\n"));
    let output = folder.wgru(&["explain", case, "--device", "vulkan", "--speed", "odd.txt"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    let named = "`measured gru-b1 step-r1-t1-u1 9`: gru-b1 is no shape";
    assert!(stderr(&output).contains(named), "{}", stderr(&output));
    folder.write("bad.txt", "cores 2\n");
    let output = folder.wgru(&["explain", case, "--device", "vulkan", "--speed", "bad.txt"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(
        stderr(&output).contains("bad.txt") && stderr(&output).contains("is missing"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_strategy_can_be_set() {
    let folder = Folder::new("strategy");
    for (strategy, kernel) in
        [("step", "step_rnn"), ("persistent", "persistent_rnn"), ("streamed", "weights streamed")]
    {
        let case = ["--case", "rnn-b2-t5-i3-h4", "--json", "r.jsonl"];
        let bench = ["bench", "--quick", "--device", "vulkan", "--strategy", strategy];
        let output = folder.wgru(&[&bench[..], &case].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let records = fs::read_to_string(folder.path().join("r.jsonl")).expect("records");
        assert!(records.contains(kernel), "{kernel} is not in\n{records}");
        fs::remove_file(folder.path().join("r.jsonl")).expect("it was there");
    }
}

#[test]
fn what_cannot_be_planned_is_named() {
    let folder = Folder::new("plan-refusals");
    folder.write("model.onnx", "");
    let line = "case,candidate,measured_s\n";
    folder.write("none.csv", line);
    folder.write("other.csv", format!("{line}gru-b1-t1-i1-h1,another,1\n"));
    folder.write("never.csv", format!("{line}gru-b1-t1-i1-h1,another,-1\n"));
    folder.write("broken.csv", format!("{line}gru-b1-t1-i1-h1\n"));
    folder.write("odd.csv", format!("{line}gru-b1-h1,another,1\n"));
    for (args, named) in [
        (&["explain", "gru-b0", "--device", "cpu"][..], "gru-b0"),
        (&["explain", "gru-b1-t1-i1-h1", "--batch", "2"], "--batch"),
        (&["explain", "model.onnx"], "model.onnx"),
        (&["explain", "no.safetensors"], "no.safetensors"),
        (&["tune", "--device", "cpu", "--output", "t.txt"], "--device cpu"),
        (&["tune", "--device", "vulkan", "--output", "no/t.txt"], "no/t.txt"),
        (&["tune", "--device", "vulkan", "--output", "t.txt", "--case", "gru"], "gru"),
        (&["tune", "--device", "vulkan", "--output", "t.txt", "--from", "no.csv"], "no.csv"),
        (&["tune", "--device", "vulkan", "--output", "t.txt", "--speed", "no.txt"], "no.txt"),
        (&["tune", "--device", "vulkan", "--output", "t.txt", "--from", "none.csv"], "nothing was measured"),
        (&["tune", "--device", "vulkan", "--output", "t.txt", "--from", "other.csv"], "other.csv: line 2"),
        (&["tune", "--device", "vulkan", "--output", "t.txt", "--from", "never.csv"], "-1 is not a time"),
        (&["tune", "--device", "vulkan", "--output", "t.txt", "--from", "broken.csv"], "broken.csv: line 2"),
        (&["tune", "--device", "vulkan", "--output", "t.txt", "--from", "odd.csv"], "odd.csv: line 2"),
        (&["bench", "--strategy", "fast"], "fast"),
    ] {
        let output = folder.wgru(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stdout(&output));
        assert!(stderr(&output).contains(named), "{args:?}: {}", stderr(&output));
    }
    assert!(!folder.has("t.txt"));
}
