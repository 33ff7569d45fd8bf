//! Records as a table for a terminal.

use crate::table::Table;
use wgru_harness::number::{percent, si, three};
use wgru_harness::record::{Record, Timed, noise};

/// The value of a column.
type Cell = fn(&Record) -> String;

const CASE: [(&str, Cell); 3] = [
    ("case", |record| record.case.clone()),
    ("timed", |record| record.timed.to_string()),
    ("by", |record| record.timing.to_string()),
];
const ENGINE: (&str, Cell) = ("engine", |record| record.engine.clone());
const DEVICE: (&str, Cell) = ("device", place);
const THREADS: (&str, Cell) = ("threads", |record| match record.threads {
    0 => String::new(),
    threads => threads.to_string(),
});
const RECORDING: (&str, Cell) =
    ("host/step", |record| record.record_s.map_or(String::new(), |seconds| si(seconds, "s")));
const FIGURES: [(&str, Cell); 9] = [
    ("median", |record| si(record.median_s, "s")),
    ("p95", |record| si(record.p95_s, "s")),
    ("p99", |record| match record.timed {
        Timed::Step | Timed::Tick => si(record.p99_s, "s"),
        Timed::Prepare | Timed::Sequence | Timed::EndToEnd => String::new(),
    }),
    ("p99.9", |record| record.p999_s.map_or(String::new(), |seconds| si(seconds, "s"))),
    ("± ", Record::interval),
    ("GFLOP/s", |record| if record.gflops > 0.0 { three(record.gflops) } else { String::new() }),
    ("of peak", |record| words(record.share_of_peak(), percent)),
    ("error", |record| format!("{:.1e}", record.max_error)),
    ("allowed", |record| format!("{:.1e}", record.tolerance)),
];

/// The columns of loads.
const LOAD: [(&str, Cell); 6] = [
    ("rate", |record| words(record.rate_hz, |rate| format!("{rate} Hz"))),
    ("ticks/s", |record| words(ticks_a_second(record), three)),
    ("missed", |record| {
        words(record.missed.zip(record.missed_share()), |(missed, share)| {
            format!("{missed} ({:.2} %)", share * 100.0)
        })
    }),
    ("most streams", |record| words(record.most_streams, |streams| streams.to_string())),
    ("memory", |record| words(record.rate_hz, |_| si(record.bytes as f64, "B"))),
    ("", |record| match (record.overloaded, record.seconds) {
        (Some(true), Some(seconds)) => format!("overloaded after {}", si(seconds, "s")),
        _ => String::new(),
    }),
];

fn words<T>(value: Option<T>, words: impl Fn(T) -> String) -> String {
    value.map_or(String::new(), words)
}

fn ticks_a_second(record: &Record) -> Option<f64> {
    record.rate_hz.and_then(|_| record.a_second(record.runs as f64))
}

/// A row for every record. Several engines get a column with their names, and their rows for the same measurement
/// stand together. CPU engines with different numbers of threads get a column for them. There is a column for the
/// host's time of recording a step, if it was measured, and there are those of loads, if there are any.
pub fn listing(records: &[Record]) -> String {
    let mut rows: Vec<&Record> = records.iter().collect();
    let mut columns = CASE.to_vec();
    if differ(records.iter().map(|record| record.engine.as_str())) {
        columns.push(ENGINE);
        let case = |name: &str| records.iter().position(|record| record.case == name);
        rows.sort_by_cached_key(|record| (case(&record.case), record.timed, record.timing));
    }
    columns.push(DEVICE);
    if differ(records.iter().map(|record| record.threads).filter(|&threads| threads > 0)) {
        columns.push(THREADS);
    }
    columns.extend(FIGURES);
    if records.iter().any(|record| record.record_s.is_some()) {
        columns.push(RECORDING);
    }
    if records.iter().any(|record| record.rate_hz.is_some()) {
        columns.extend(LOAD);
    }
    let head: Vec<&str> = columns.iter().map(|column| column.0).collect();
    let mut table = Table::new(&head);
    for record in rows {
        table.row(columns.iter().map(|column| column.1(record)).collect());
    }
    let noise = noise(records).map_or_else(String::new, |words| format!("{words}\n"));
    format!("{table}{noise}")
}

/// API and device, in the form of selectors.
fn place(record: &Record) -> String {
    if record.device == record.backend {
        return record.device.clone();
    }
    format!("{}: {}", record.backend, record.device)
}

fn differ<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    values.next().is_some_and(|first| values.any(|other| other != first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgru_harness::report::sample::{load, record};

    fn heads(records: &[Record]) -> Vec<String> {
        let text = listing(records);
        text.lines().next().unwrap().split("  ").map(|word| word.trim().to_owned()).collect()
    }

    #[test]
    fn columns_are_there_where_they_tell_records_apart() {
        let one = record("gru-b1", Timed::Step, 1e-3);
        let gpu_and_cpu = [one.clone(), Record { threads: 1, ..one.clone() }];
        for word in ["engine", "threads", "host/step"] {
            assert!(!heads(&gpu_and_cpu).iter().any(|head| head == word), "{word}");
        }
        let peer = Record { engine: "peer".into(), threads: 2, ..one.clone() };
        let sequence = record("gru-b1", Timed::Sequence, 1e-3);
        let all = [one.clone(), Record { threads: 1, ..one }, peer, sequence];
        for word in ["engine", "threads", "host/step"] {
            assert!(heads(&all).iter().any(|head| head == word), "{word}");
        }
    }

    #[test]
    fn loads_have_columns_of_their_own() {
        let step = record("gru-b1", Timed::Step, 1e-3);
        let lost = Record { overloaded: Some(true), seconds: Some(1.5), ..load("gru-b9", 2e-3) };
        let text = listing(&[step.clone(), load("gru-b1000", 1e-3), lost]);
        let lines: Vec<&str> = text.lines().collect();
        for words in ["rate", "ticks/s", "missed", "most streams"] {
            assert!(lines[0].contains(words), "{text}");
            assert!(!listing(std::slice::from_ref(&step)).contains(words));
        }
        for words in ["100 Hz", "6000 (0.10 %)", "1400", "1.20\u{a0}ms"] {
            assert!(lines[2].contains(words), "{words}: {text}");
        }
        assert!(
            lines[3].ends_with("overloaded after 1.50\u{a0}s") && !lines[2].contains("overloaded"),
            "{text}"
        );
    }

    #[test]
    fn engines_of_one_case_stand_together() {
        let of =
            |engine: &str, case: &str, timed| Record { engine: engine.into(), ..record(case, timed, 1e-3) };
        let all = [
            of("a", "gru-b9", Timed::Sequence),
            of("a", "gru-b9", Timed::EndToEnd),
            of("a", "gru-b1", Timed::Step),
            of("b", "gru-b1", Timed::Step),
            of("b", "gru-b9", Timed::Sequence),
        ];
        let text = listing(&all);
        let rows = text.lines().skip(1).map(|line| line.split_whitespace().take(4).collect::<Vec<_>>());
        let expected = [
            ["gru-b9", "sequence", "wall", "a"],
            ["gru-b9", "sequence", "wall", "b"],
            ["gru-b9", "end-to-end", "wall", "a"],
            ["gru-b1", "step", "wall", "a"],
            ["gru-b1", "step", "wall", "b"],
        ];
        assert_eq!(rows.collect::<Vec<_>>(), expected, "{text}");
    }
}
