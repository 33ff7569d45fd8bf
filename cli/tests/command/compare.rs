//! `wgru compare`: its table, its records and refusals.

use std::fs;

use serde_json::Value;

use crate::common::{Folder, root, stderr, stdout};

/// Five layers, each verified and timed as a step and as a sequence run; the table's figures are those of the records.
#[test]
fn cells_are_compared_at_equal_h_and_at_equal_parameters() {
    let folder = Folder::new("compare");
    let output = folder.wgru(&[
        "compare", "--hidden", "16", "--input", "8", "--device", "cpu:1", "--json", "r.jsonl", "--csv",
        "r.csv",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 8, "{text}");
    assert!(lines[0].contains("I 8") && lines[0].contains("Every run verified"), "{text}");
    let rows: Vec<Vec<&str>> = lines[2..7]
        .iter()
        .map(|line| line.split("  ").filter(|word| !word.is_empty()).map(str::trim).collect())
        .collect();
    // G·H·(I + H + 2) parameters of four bytes; an LSTM also carries c.
    for (row, expected) in rows.iter().zip([
        ["GRU", "16", "1248", "4992", "64"],
        ["LSTM", "16", "1664", "6656", "128"],
        ["RNN", "16", "416", "1664", "64"],
        ["LSTM", "13", "1196", "4784", "104"],
        ["RNN", "31", "1271", "5084", "124"],
    ]) {
        assert_eq!(row[..5], expected, "{text}");
        assert_eq!(row.len(), 9, "{text}");
    }
    assert_eq!((rows[0][6], rows[0][8]), ("1", "1"), "{text}");

    let written = fs::read_to_string(folder.path().join("r.jsonl")).expect("the records");
    let records: Vec<Value> =
        written.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    let median = |case: &str, timed: &str| {
        let found: Vec<&Value> =
            records.iter().filter(|record| record["case"] == case && record["timed"] == timed).collect();
        assert_eq!(found.len(), 1, "{case} {timed}");
        // Two runs in each of five rounds.
        assert!(found[0]["runs"].as_u64() >= Some(10) && found[0]["verified"] == true, "{}", found[0]);
        found[0]["median_s"].as_f64().expect("a number")
    };
    let cases = [
        "gru-b1-t1-i8-h16",
        "lstm-b1-t1-i8-h16",
        "rnn-b1-t1-i8-h16",
        "lstm-b1-t1-i8-h13",
        "rnn-b1-t1-i8-h31",
    ];
    for (row, case) in rows.iter().zip(cases) {
        let run = case.replace("b1-t1", "b16-t50");
        let quotients = [
            median(case, "step") / median(cases[0], "step"),
            median(&run, "sequence") / median("gru-b16-t50-i8-h16", "sequence"),
        ];
        for (word, quotient) in [row[6], row[8]].into_iter().zip(quotients) {
            let shown: f64 = word.split(" ± ").next().and_then(|word| word.parse().ok()).expect("a quotient");
            assert!((shown - quotient).abs() < 0.006, "{case}: {word}, not {quotient}");
        }
    }
    let csv = fs::read_to_string(folder.path().join("r.csv")).expect("the records");
    assert_eq!(csv.lines().count(), records.len() + 1);

    let page =
        lines[7].split_whitespace().find(|word| word.ends_with(".md")).expect("the last line names a page");
    assert!(root().join(page).exists(), "{page}");
}

#[test]
fn what_cannot_be_compared_is_named() {
    let folder = Folder::new("compare-bad");
    for (args, words) in [
        (&["--hidden", "0"][..], &["--hidden", "1 to 32768", "got 0"][..]),
        (&["--hidden", "40000"], &["--hidden", "40000"]),
        (&["--input", "0"], &["--input", "got 0"]),
        (&["--device", "reference"], &["reference", "another device"]),
        (&["--device", "vulkan:none"], &["vulkan:none"]),
        (&["--device", "cpu:1", "--json", "none/r.jsonl"], &["none/r.jsonl", "folder none"]),
        (&["--device", "cpu:1", "--json", "r", "--csv", "r"], &["r"]),
    ] {
        let output = folder.wgru(&[&["compare"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stdout(&output));
        let text = stderr(&output);
        assert!(words.iter().all(|word| text.contains(word)), "{args:?}: {text}");
    }
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}
