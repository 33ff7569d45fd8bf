//! The table of all records.

use super::escape;
use super::lanes::{Cases, positive};
use crate::number::{count, percent, si, three};
use crate::record::{Record, Timed};

/// Names of the columns; numeric columns are aligned to the right.
const HEAD: [(&str, bool); 22] = [
    ("#", true),
    ("Case", false),
    ("Timed", false),
    ("Device", false),
    ("Engine", false),
    ("Backend", false),
    ("Clock", false),
    ("Median", true),
    ("± of median", true),
    ("p05", true),
    ("p95", true),
    ("p99", true),
    ("Runs", true),
    ("FLOP/s", true),
    ("Of peak", true),
    ("Rate", true),
    ("Missed", true),
    ("Most streams", true),
    ("Memory", true),
    ("Error / allowed", true),
    ("Storage", false),
    ("Kernels", false),
];

/// All records, in their order.
pub fn table(records: &[Record], cases: &Cases<'_>) -> String {
    let class = |number: bool| if number { " class=\"n\"" } else { "" };
    let head: String = HEAD
        .iter()
        .map(|&(name, number)| format!("<th scope=\"col\"{}>{name}</th>", class(number)))
        .collect();
    let mut rows = String::new();
    for record in records {
        let cells = cells(record, cases);
        let cells =
            cells.iter().zip(HEAD).map(|(cell, (_, n))| format!("<td{}>{}</td>", class(n), escape(cell)));
        rows += &format!("<tr>{}</tr>\n", cells.collect::<String>());
    }
    format!(
        "<section id=\"records\"><h2>All records</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"All records\"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div></section>\n"
    )
}

fn cells(record: &Record, cases: &Cases<'_>) -> [String; 22] {
    let backend = match record.threads {
        0 => record.backend.clone(),
        threads => format!("{}, {}", record.backend, count(threads, "thread")),
    };
    let or_none = |value: f64, text: String| if positive(value) { text } else { "–".to_owned() };
    [
        cases.number(&record.case).to_string(),
        record.case.clone(),
        record.timed.to_string(),
        record.device.clone(),
        record.engine.clone(),
        backend,
        record.timing.to_string(),
        si(record.median_s, "s"),
        record.interval(),
        si(record.p05_s, "s"),
        si(record.p95_s, "s"),
        si(record.p99_s, "s"),
        record.runs.to_string(),
        or_none(record.gflops, si(record.gflops * 1e9, "")),
        record.share_of_peak().map_or_else(|| "–".to_owned(), percent),
        or_none(record.median_s, rate(record)),
        record.missed_share().map_or_else(|| "–".to_owned(), |share| missed(record, share)),
        most_streams(record),
        si(record.bytes as f64, "B"),
        format!("{:.1e} / {:.1e}", record.max_error, record.tolerance),
        record.dtype.clone(),
        record.strategy.clone(),
    ]
}

/// The share of the frames that missed their deadline, and whether the load was ended early.
fn missed(record: &Record, share: f64) -> String {
    let end = if record.overloaded == Some(true) { ", overloaded" } else { "" };
    format!("{}{end}", percent(share))
}

fn most_streams(record: &Record) -> String {
    match (record.most_streams, record.rate_hz) {
        (Some(most), Some(rate)) => format!("{most} at {rate} Hz"),
        _ => "–".to_owned(),
    }
}

/// Sequences a second, steps of one stream, or frames of a load; a preparation has no rate.
fn rate(record: &Record) -> String {
    match record.timed {
        Timed::Prepare => "–".to_owned(),
        Timed::Tick => match record.a_second(record.frames.unwrap_or_default() as f64) {
            Some(frames) => format!("{} frames/s", three_si(frames)),
            None => "–".to_owned(),
        },
        Timed::Step => format!("{} steps/s", three_si(record.batch as f64 / record.median_s)),
        Timed::Sequence | Timed::EndToEnd => {
            format!("{} seq/s", three_si(record.batch as f64 / record.median_s))
        }
    }
}

fn three_si(value: f64) -> String {
    if value < 1000.0 { three(value) } else { si(value, "") }
}
