//! `wgru bench --suite stream`: pools under a load in real time.

use std::fs;

use crate::common::{Folder, stderr, stdout};
use serde_json::Value;

fn records(folder: &Folder, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder.path().join(name)).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

fn number(record: &Value, key: &str) -> f64 {
    record[key].as_f64().unwrap_or_else(|| panic!("{key} is no number: {record}"))
}

/// Every device keeps up with a few streams or not; its outputs are verified in both cases.
#[test]
fn every_device_is_under_a_load() {
    let folder = Folder::new("stream-all");
    let load = ["bench", "--suite", "stream", "--quick", "--case", "gru-b1-t1-i3-h8-l2"];
    let sizes = ["--streams", "6", "--rate", "20", "--seconds", "1.5"];
    let files = ["--json", "r.jsonl", "--csv", "r.csv", "--html", "r.html"];
    let output = folder.wgru(&[&load[..], &sizes, &files].concat());
    let text = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(text.contains("compared bit by bit with runs of their own"), "{text}");
    let all = records(&folder, "r.jsonl");
    let backends: Vec<&str> = all.iter().filter_map(|record| record["backend"].as_str()).collect();
    assert!(backends.contains(&"cpu") && backends.len() > 1, "{backends:?}");
    for record in &all {
        assert_eq!((&record["timed"], &record["verified"]), (&"tick".into(), &true.into()));
        assert_eq!(record["case"], "gru-b6-t1-i3-h8-l2");
        let number = |key: &str| number(record, key);
        assert_eq!((number("rate_hz"), number("batch"), number("steps")), (20.0, 6.0, 1.0));
        assert!(number("max_error") > 0.0 && number("max_error") <= number("tolerance"), "{record}");
        let percentiles = ["p05_s", "median_s", "p95_s", "p99_s"].map(number);
        assert!(percentiles[0] > 0.0 && percentiles.is_sorted(), "{record}");
        assert!(number("missed") <= number("frames"), "{record}");
        // At most six streams are open in each of the 30 turns; slots of streams that left are free for some turns.
        if record["overloaded"] == false {
            assert!((30.0 * 3.0..=30.0 * 6.0).contains(&number("frames")), "{record}");
            assert!((1.4..60.0).contains(&number("seconds")) && number("runs") <= 30.0, "{record}");
        }
        assert!(number("bytes") > 0.0, "{record}");
    }
    // The model is tiny: the CPU is thousands of times faster than needed.
    let cpu = all.iter().find(|record| record["backend"] == "cpu").expect("the CPU");
    assert_eq!(cpu["overloaded"], false);
    let csv = fs::read_to_string(folder.path().join("r.csv")).unwrap();
    assert!(
        csv.starts_with("engine,") && csv.contains(",rate_hz,seconds,frames,missed,overloaded,most_streams,")
    );
    assert_eq!(csv.lines().count(), all.len() + 1);
    let page = fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert!(page.contains("Latency of a tick on cpu") && page.contains("Timed: tick"));

    // From the records alone: the same table and page, and no change against themselves.
    let output = folder.wgru(&["bench", "--from", "r.jsonl", "--html", "again.html"]);
    assert!(output.status.success() && stdout(&output).contains("most streams"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(folder.path().join("again.html")).unwrap(), page);
    let output = folder.wgru(&["bench", "--compare", "r.jsonl", "r.jsonl", "--fail-above", "0"]);
    assert!(output.status.success(), "{} {}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("gru-b6-t1-i3-h8-l2 at 20 Hz"), "{}", stdout(&output));
}

/// A load that no device can keep up with ends early, with its figures, and the search finds not even one stream.
#[test]
fn an_overload_is_reported() {
    let folder = Folder::new("stream-overload");
    let load = ["bench", "--suite", "stream", "--quick", "--device", "cpu", "--threads", "1"];
    let sizes = ["--case", "lstm-b200-t1-i3-h8", "--rate", "1e6", "--seconds", "2", "--json", "r.jsonl"];
    let output = folder.wgru(&[&load[..], &sizes].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("overloaded after") && text.contains("fewer than 1 stream"), "{text}");
    let all = records(&folder, "r.jsonl");
    let [record] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&record["overloaded"], &record["most_streams"]), (&true.into(), &0.into()));
    assert!(number(record, "seconds") < 2.0 && number(record, "missed") > 0.0, "{record}");
    // A tick with eight frames of each stream.
    assert!(number(record, "frames") > 1000.0 * number(record, "runs"), "{record}");
}

#[test]
fn invalid_loads_are_refused() {
    let folder = Folder::new("stream-bad");
    let stream = ["--suite", "stream", "--device", "cpu"];
    for (args, words) in [
        (&["--streams", "8"][..], &["--streams", "--suite stream", "none was named"][..]),
        (&["--suite", "steps", "--rate", "50"], &["--rate", "--suite stream", "not of steps"]),
        (&["--case", "gru-b1-t1-i1-h1", "--seconds", "5"], &["--seconds", "--suite stream"]),
        (&["--suite", "fast"], &["fast", "steps (one step", "stream (pools"]),
        (&[&stream[..], &["--streams", "0"]].concat(), &["--streams", "0"]),
        (&[&stream[..], &["--streams", "99999999"]].concat(), &["99999999 streams", "16777216"]),
        (&[&stream[..], &["--rate", "0"]].concat(), &["--rate", "0.001 to 1000000"]),
        (&[&stream[..], &["--rate", "nan"]].concat(), &["--rate", "0.001 to 1000000"]),
        (&[&stream[..], &["--seconds=-1"]].concat(), &["--seconds", "0.001 to 1000000"]),
        (&[&stream[..], &["--case", "gru-b1-t5-i1-h1"]].concat(), &["gru-b1-t5-i1-h1", "-t1 and not -t5"]),
        (&[&stream[..], &["--case", "gru-b1-t1-i1-h1-bi"]].concat(), &["-bi"]),
        (&[&stream[..], &["--case", "gru-b1-t1-i1-h1-ragged"]].concat(), &["-ragged"]),
        (&[&stream[..], &["--any-reduction-order"]].concat(), &["--any-reduction-order", "--suite stream"]),
        (&[&stream[..], &["--pipelining", "4"]].concat(), &["--pipelining", "--suite stream"]),
        (&["--from", "r.jsonl", "--streams", "4"], &["--from", "--streams"]),
        (&["--compare", "r.jsonl", "r.jsonl", "--rate", "4"], &["--compare", "--rate"]),
        (
            &[&stream[..], &["--case", "gru-b1-t1-i900-h900", "--rate", "1e6", "--seconds", "1e6"]].concat(),
            &["no memory", "1000000000000 turns"],
        ),
    ] {
        let output = folder.wgru(&[&["bench"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {} {}", stdout(&output), stderr(&output));
        assert!(words.iter().all(|word| stderr(&output).contains(word)), "{args:?}: {}", stderr(&output));
    }
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}
