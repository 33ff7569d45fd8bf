//! The head of a report: the machine, what was timed by which clock, and the limits of the figures.

use super::escape;
use super::lanes::{positive, unique};
use crate::number::si;
use crate::record::{Record, Timed, Timing, noise};

const TIMED: [(Timed, &str); 5] = [
    (Timed::Sequence, "a batch of sequences that is on the device; results stay there"),
    (Timed::EndToEnd, "the same from host memory to host memory"),
    (Timed::Step, "one step of a session, results read back"),
    (
        Timed::Tick,
        "one tick of a pool whose streams' frames fall due in real time: from the due time of its oldest frame until its \
         outputs are in host memory",
    ),
    (
        Timed::Prepare,
        "from the bytes of a weights file to the first run: import, packing, upload, plan, pipelines",
    ),
];

const CLOCKS: [(Timing, &str); 2] = [
    (Timing::Wall, "the host's, around the call: submission and waiting are in it"),
    (Timing::Device, "the device's own timestamps at the first and the last pass: submission is not in it"),
];

const BIASES: [&str; 5] = [
    "FLOP/s are useful operations: those of real steps, without activations. The share of the peak is of the best \
     matmul that this program ran on the device, and not of what the maker claims. Where a run was faster than that matmul, no share is shown.",
    "Times are medians. The interval of a median knows the noise within a run of the benchmark; a machine that does \
     other work, or changes its clock rate, drifts by more between runs. Figures with ≈ have an interval wider than a quarter of the median.",
    "The program that measures is one of the engines that are compared.",
    "The cases are sizes that the program's authors chose; each was held against a reference in 64 bits before it \
     was timed.",
    "A software renderer (llvmpipe and its like) is a CPU that plays a GPU: it shows that the kernels work, not how fast \
     a GPU is.",
];

/// The head of the report.
pub fn facts(records: &[Record]) -> String {
    let mut list = String::new();
    let mut fact = |name: &str, words: String| list += &format!("<dt>{name}</dt><dd>{words}</dd>\n");
    fact("Commit", words(records.iter().map(|record| record.commit.as_str())));
    fact("Date", words(records.iter().map(|record| record.date.as_str())));
    fact("Records", records.len().to_string());
    for (timed, meaning) in TIMED {
        if records.iter().any(|record| record.timed == timed) {
            fact(&format!("Timed: {timed}"), meaning.to_owned());
        }
    }
    for (timing, meaning) in CLOCKS {
        if records.iter().any(|record| record.timing == timing) {
            fact(&format!("Clock: {timing}"), meaning.to_owned());
        }
    }
    let biases: String = BIASES.iter().map(|bias| format!("<li>{bias}</li>")).collect();
    let noise = noise(records).map_or_else(String::new, |words| format!("<p><b>{words}</b></p>\n"));
    format!(
        "<section><dl>\n{list}</dl>\n{noise}{}\n<details><summary>What these numbers cannot tell</summary><ul>{biases}</ul>\
         </details></section>\n",
        machine(records)
    )
}

fn words<'a>(items: impl Iterator<Item = &'a str>) -> String {
    escape(&unique(items).join(", "))
}

/// A row for every device and engine.
fn machine(records: &[Record]) -> String {
    let who =
        |r: &'_ Record| (r.device.clone(), r.engine.clone(), r.backend.clone(), r.driver.clone(), r.threads);
    let mut rows = String::new();
    for of in unique(records.iter().map(who)) {
        let mine = || records.iter().filter(|record| who(record) == of);
        let best = |values: &mut dyn Iterator<Item = f64>, unit: &str| {
            let best = values.filter(|&value| positive(value)).reduce(f64::max);
            best.map_or_else(|| "–".to_owned(), |best| si(best * 1e9, unit))
        };
        let matmul = best(&mut mine().filter_map(|record| record.peak_gflops), "FLOP/s");
        let copy = best(&mut mine().filter_map(|record| record.peak_gbs), "B/s");
        let (device, engine, backend, driver, threads) = &of;
        let threads = if *threads == 0 { "–".to_owned() } else { threads.to_string() };
        let text =
            [device, engine, backend, driver].map(|cell| format!("<td>{}</td>", escape(cell))).concat();
        let numbers = [threads, matmul, copy].map(|cell| format!("<td class=\"n\">{cell}</td>")).concat();
        rows += &format!("<tr>{text}{numbers}</tr>\n");
    }
    let head = ["Device", "Engine", "Backend", "Driver"]
        .map(|name| format!("<th scope=\"col\">{name}</th>"))
        .concat();
    let numbers = ["Threads", "Best matmul", "Best copy"];
    let numbers = numbers.map(|name| format!("<th scope=\"col\" class=\"n\">{name}</th>")).concat();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Devices\"><table><thead><tr>{head}{numbers}\
         </tr></thead><tbody>\n{rows}</tbody></table></div>"
    )
}
