//! `wgru bench`: its measurements, its files, comparisons and refusals.

use std::fs;

use crate::common::{Folder, stderr, stdout};
use serde_json::Value;

fn records(folder: &Folder, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder.path().join(name)).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

/// Every adapter and the CPU path beside each other, every figure verified.
#[test]
fn every_device_is_timed_in_every_way() {
    let folder = Folder::new("bench-all");
    let output = folder.wgru(&[
        "bench",
        "--quick",
        "--case",
        "gru-b2-t5-i3-h4-l2",
        "--case",
        "lstm-b3-t1-i3-h4-f16",
        "--case",
        "gru-b2-t6-i3-h4-bi-ragged-before",
        "--json",
        "r.jsonl",
        "--csv",
        "r.csv",
        "--html",
        "r.html",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let all = records(&folder, "r.jsonl");
    let of = |key: &str| {
        let mut words: Vec<&str> = all.iter().map(|record| record[key].as_str().expect("text")).collect();
        words.sort_unstable();
        words.dedup();
        words
    };
    assert_eq!(of("timed"), ["end-to-end", "prepare", "sequence", "step"]);
    assert_eq!(of("case").len(), 3);
    assert!(of("backend").contains(&"cpu") && of("backend").len() > 1, "{:?}", of("backend"));
    for record in &all {
        let number = |key: &str| record[key].as_f64().expect("a number");
        assert_eq!(record["verified"], true);
        assert!(number("max_error") > 0.0 && number("max_error") <= number("tolerance"), "{record}");
        assert!(number("p05_s") <= number("median_s") && number("median_s") <= number("p95_s"), "{record}");
        assert!(number("median_s") > 0.0 && number("bytes") > 0.0, "{record}");
        let works = record["timed"] != "prepare";
        // Two in each of five rounds; a device is opened in three of them.
        assert!(if works { number("runs") >= 10.0 } else { number("runs") == 3.0 }, "{record}");
        assert_eq!(works, number("gflops") > 0.0, "{record}");
        assert_eq!(works, record["peak_share"].is_number(), "{record}");
        // The host's time to record a step is within the time of the whole run.
        let recorded = record["timed"] == "sequence" && record["backend"] != "cpu";
        assert_eq!(recorded, record["record_s"].is_number(), "{record}");
        if recorded && record["timing"] == "wall" {
            let all = number("record_s") * number("steps");
            assert!(all > 0.0 && all < number("p95_s"), "{record}");
        }
    }
    let csv = fs::read_to_string(folder.path().join("r.csv")).unwrap();
    assert_eq!(csv.lines().count(), all.len() + 1);
    let page = fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert!(of("case").iter().all(|case| page.contains(case)));

    // From the records alone: the same page, and no change against themselves.
    let output = folder.wgru(&["bench", "--from", "r.jsonl", "--html", "again.html"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(folder.path().join("again.html")).unwrap(), page);
    let output = folder.wgru(&["bench", "--compare", "r.jsonl", "r.jsonl", "--fail-above", "0"]);
    assert!(output.status.success(), "{} {}", stdout(&output), stderr(&output));
}

/// A slowdown of 20 % is found, and with --fail-above is exit status 1.
#[test]
fn a_planted_slowdown_is_found() {
    let folder = Folder::new("bench-compare");
    let case = ["bench", "--device", "cpu", "--case", "gru-b4-t40-i32-h32", "--json", "a.jsonl"];
    let output = folder.wgru(&case);
    assert!(output.status.success(), "{}", stderr(&output));
    let slower: Vec<String> = records(&folder, "a.jsonl")
        .into_iter()
        .map(|mut record| {
            record["spread"] = 0.01.into();
            for key in ["median_s", "p05_s", "p95_s", "p99_s"] {
                record[key] = (record[key].as_f64().unwrap() * 1.2).into();
            }
            record.to_string()
        })
        .collect();
    let before: Vec<String> = records(&folder, "a.jsonl")
        .into_iter()
        .map(|mut record| {
            record["spread"] = 0.01.into();
            record.to_string()
        })
        .collect();
    folder.write("before.jsonl", before.join("\n")).write("after.jsonl", slower.join("\n"));
    let compare = ["bench", "--compare", "before.jsonl", "after.jsonl"];
    let output = folder.wgru(&compare);
    assert!(output.status.success() && stdout(&output).contains("slower"), "{}", stdout(&output));
    let output = folder.wgru(&[&compare[..], &["--fail-above", "10"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stderr(&output).contains("gru-b4-t40-i32-h32"), "{}", stderr(&output));
    let output = folder.wgru(&[&compare[..], &["--fail-above", "30"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_benchmarked_is_named() {
    let folder = Folder::new("bench-bad");
    folder.write("empty.jsonl", "").write("text.jsonl", "{}\n");
    for (args, words) in [
        (&["--case", "gru-b1-t1-i1"][..], &["gru-b1-t1-i1", "-h"][..]),
        (&["--case", "conv-b1-t1-i1-h1"], &["conv"]),
        (&["--suite", "fast"], &["fast", "deepbench", "scaling"]),
        (&["--device", "vulkan:none"], &["vulkan:none"]),
        (&["--device", "reference"], &["reference"]),
        (&["--threads", "0", "--device", "cpu"], &["threads"]),
        (&["--device", "cpu:9999"], &["threads", "9999", "1024"]),
        (&["--device", "cpu:fast"], &["cpu:fast"]),
        (&["--device", "cpu", "--json", "none/r.jsonl"], &["none/r.jsonl", "folder none"]),
        (&["--device", "cpu", "--csv", "none/r.csv"], &["none/r.csv", "folder none"]),
        (&["--device", "cpu", "--html", "none/r.html"], &["none/r.html", "folder none"]),
        (&["--device", "cpu", "--json", "."], &["error: .: "]),
        (&["--device", "cpu", "--csv", "."], &["error: .: "]),
        (&["--device", "cpu", "--html", "."], &["error: .: "]),
        (&["--device", "cpu", "--fail-above", "5"], &["--fail-above", "--device"]),
        (&["--fail-above", "5"], &["--compare"]),
        (
            &["--compare", "text.jsonl", "text.jsonl", "--fail-above", "nan"],
            &["--fail-above", "nan", "0 or more"],
        ),
        (&["--compare", "text.jsonl", "text.jsonl", "--fail-above=-5"], &["--fail-above", "-5", "0 or more"]),
        (&["--compare", "text.jsonl", "text.jsonl", "--threads", "2"], &["--compare", "--threads"]),
        (&["--compare", "empty.jsonl", "text.jsonl"], &["empty.jsonl", "no record"]),
        (&["--compare", "text.jsonl", "empty.jsonl"], &["text.jsonl", "line 1"]),
        (&["--from", "absent.jsonl"], &["absent.jsonl"]),
    ] {
        let output = folder.wgru(&[&["bench"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stdout(&output));
        assert!(words.iter().all(|word| stderr(&output).contains(word)), "{args:?}: {}", stderr(&output));
    }
    assert_eq!(folder.names(), ["empty.jsonl", "text.jsonl"]);
    // A case too large for a device is reported for that case; the other measurements are kept.
    let large = "gru-b300000-t2-i1-h1";
    let (first, last) = ("rnn-b1-t2-i1-h1", "rnn-b1-t3-i1-h1");
    let cases = ["bench", "--quick", "--case", first, "--case", large, "--case", last];
    let output = folder.wgru(&[&cases[..], &["--json", "kept.jsonl"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(large), "{}", stderr(&output));
    let kept = records(&folder, "kept.jsonl");
    let on_a_gpu = |case: &str| kept.iter().any(|one| one["backend"] != "cpu" && one["case"] == case);
    assert_eq!([first, large, last].map(on_a_gpu), [true, false, true]);
}

/// A build for tests is slow, and says so where it measures; it says nothing where it only reads records.
#[test]
fn a_build_that_is_not_optimised_says_so() {
    let folder = Folder::new("bench-build");
    let measured = folder.wgru(&[
        "bench",
        "--quick",
        "--device",
        "cpu",
        "--case",
        "rnn-b1-t2-i1-h1",
        "--json",
        "r.jsonl",
    ]);
    let read = folder.wgru(&["bench", "--from", "r.jsonl"]);
    assert_eq!(stderr(&measured).contains("not optimised"), cfg!(debug_assertions), "{}", stderr(&measured));
    assert!(read.status.success() && !stderr(&read).contains("not optimised"), "{}", stderr(&read));
}

/// If the disk is full, measurements are still printed; the device file that stands for the disk is not replaced.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let folder = Folder::new("bench-full");
    // Through a link, so that a command that replaces files replaces the link and not the device.
    std::os::unix::fs::symlink("/dev/full", folder.path().join("full")).expect("a link");
    for option in ["--json", "--csv", "--html"] {
        let args = ["bench", "--quick", "--device", "cpu", "--case", "rnn-b1-t2-i1-h1", option, "full"];
        let output = folder.wgru(&args);
        assert_eq!(output.status.code(), Some(2), "{option}: {}", stderr(&output));
        assert!(stderr(&output).contains("full: No space left"), "{option}: {}", stderr(&output));
        assert!(stdout(&output).contains("end-to-end"), "{option}: {}", stdout(&output));
        assert_eq!(folder.names(), ["full"]);
        assert!(fs::symlink_metadata(folder.path().join("full")).unwrap().is_symlink(), "{option}");
    }
}

/// Ctrl-C in the middle: the measurements so far are on disk, in every output file.
#[cfg(unix)]
#[test]
fn measurements_survive_an_interrupt() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    let folder = Folder::new("bench-interrupt");
    let mut bench = Command::new(env!("CARGO_BIN_EXE_wgru"))
        .args(["bench", "--device", "cpu", "--suite", "default"])
        .args(["--json", "r.jsonl", "--csv", "r.csv", "--html", "r.html"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    let start = std::time::Instant::now();
    // The report is written last.
    while !folder.has("r.html") {
        assert!(start.elapsed().as_secs() < 120, "nothing was written");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Like Ctrl-C, but with a signal that no shell makes its background jobs ignore.
    let killed = Command::new("kill").args(["-TERM", &bench.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    assert_eq!(bench.wait().expect("it ends").signal(), Some(15));
    assert!(!records(&folder, "r.jsonl").is_empty());
    let csv = fs::read_to_string(folder.path().join("r.csv")).unwrap();
    assert!(csv.starts_with("engine,") && csv.lines().count() > 1, "{csv}");
    assert!(fs::read_to_string(folder.path().join("r.html")).unwrap().ends_with("</html>\n"));
    let output = folder.wgru(&["bench", "--from", "r.jsonl"]);
    assert!(output.status.success() && stdout(&output).contains("prepare"), "{}", stderr(&output));
}

/// Records of several engines: each row names its engine, and rows of one case follow each other.
#[test]
fn engines_are_told_apart() {
    let folder = Folder::new("bench-engines");
    let case = |case| ["bench", "--quick", "--device", "cpu", "--case", case, "--json", "r.jsonl"];
    let output = folder.wgru(&[&case("gru-b1-t2-i1-h4")[..], &["--case", "rnn-b1-t2-i1-h4"]].concat());
    assert!(output.status.success() && !stdout(&output).contains("engine"), "{}", stdout(&output));
    let peer = records(&folder, "r.jsonl").into_iter().map(|mut record| {
        record["engine"] = "peer".into();
        record.to_string() + "\n"
    });
    folder.write("peer.jsonl", peer.collect::<String>());
    let output = folder.wgru(&["bench", "--from", "r.jsonl", "peer.jsonl"]);
    let text = stdout(&output);
    // Below the table there may be a line that figures are noisy.
    let table = text.lines().filter(|line| !line.contains(" noisy: "));
    let rows: Vec<Vec<&str>> = table.map(|line| line.split_whitespace().take(4).collect()).collect();
    assert_eq!(rows[0], ["case", "timed", "by", "engine"]);
    assert_eq!(rows.len(), 1 + 2 * 2 * 3, "{text}");
    for pair in rows[1..].chunks(2) {
        assert_eq!((&pair[0][..3], pair[0][3], pair[1][3]), (&pair[1][..3], "wgru", "peer"), "{text}");
    }
}

/// The table of cells: at equal H, a GRU has a quarter fewer parameters than an LSTM. The time of each follows, and how many times the
/// GRU's it is.
#[test]
fn cells_beside_each_other() {
    let folder = Folder::new("compare");
    let output = folder.wgru(&["compare", "--hidden", "24", "--input", "8", "--device", "cpu"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text} {}", stderr(&output));
    let rows: Vec<Vec<&str>> = text.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 5 + 1, "five cells and where trained errors are: {text}");
    // The cell, H, the parameters, their bytes and those of a stream's state.
    assert_eq!(rows[0][..5], ["GRU", "24", "2448", "9792", "96"]);
    assert_eq!(rows[1][..5], ["LSTM", "24", "3264", "13056", "192"]);
    assert_eq!(rows[2][..5], ["RNN", "24", "816", "3264", "96"]);
    // A step and a sequence run: a time, its unit, and the factor, with its spread where it is not the GRU itself.
    assert_eq!((rows[0][7], rows[0][10]), ("1", "1"), "{text}");
    for row in &rows[1..5] {
        let number =
            |at: usize| row[at].parse::<f64>().unwrap_or_else(|_| panic!("column {at} is no number: {text}"));
        assert!([5, 7, 10, 12].iter().all(|&at| number(at) > 0.0), "{text}");
    }
    assert!(rows[5].contains(&"docs/guide/src/gru-or-lstm.md"), "{text}");
    for (args, word) in [(["--hidden", "0"], "--hidden"), (["--device", "reference"], "reference")] {
        let output = folder.wgru(&[&["compare"], &args[..]].concat());
        assert!(output.status.code() == Some(2) && stderr(&output).contains(word), "{}", stderr(&output));
    }
}
