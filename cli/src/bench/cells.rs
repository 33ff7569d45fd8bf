//! `wgru compare`: GRU, LSTM and RNN side by side, at equal H and at an equal number of parameters, measured on the
//! user's own device.

use indicatif::ProgressBar;
use pollster::block_on;
use wgru::plan::Only;
use wgru::{Cell, Device, DeviceInfo, DeviceOptions};

use super::sink::Sink;
use super::{bar, today};
use crate::args::{BenchArgs, CompareArgs};
use crate::failure::{Failure, Outcome, error};
use crate::print::print;
use crate::table::Table;
use crate::warnings;
use wgru_harness::case::Case;
use wgru_harness::measure::{Bench, Measuring, Stamp};
use wgru_harness::number::si;
use wgru_harness::record::{Record, Timed, Timing};
use wgru_harness::subject::Subject;
use wgru_harness::timing::{Effort, ROUNDS};

/// Sequences and steps of the sequence run.
const SEQUENCES: [usize; 2] = [16, 50];

/// What times do not say, and where it stands.
const PAGE: &str = "Which of them learns more is no matter of these times: docs/guide/src/gru-or-lstm.md has the errors of \
                    trained models.";

/// Measures and prints.
pub fn compare(args: &CompareArgs) -> Outcome {
    let hidden = args.hidden;
    let input = args.input.unwrap_or(hidden);
    for (name, size) in [("--hidden", hidden), ("--input", input)] {
        if size == 0 || size > 1 << 15 {
            return Err(error(name, format!("must be from 1 to {}, got {size}", 1 << 15)));
        }
    }
    let bench = open(&args.device)?;
    let files = BenchArgs { json: args.json.clone(), csv: args.csv.clone(), ..BenchArgs::default() };
    let mut sink = Sink::open(&files)?;
    let layers = layers(input, hidden);
    let mut subjects = Vec::new();
    for layer in &layers {
        for case in layer.cases() {
            subjects.push(Subject::new(case).map_err(Failure::Error)?);
        }
    }
    sink.keep(in_turn(&subjects, &bench)?)?;
    let [batch, steps] = SEQUENCES;
    let table = table(&layers, sink.records())?;
    print(&format!(
        "{}: I {input}, f32; a step is a session's, of one stream; a sequence run has {batch} sequences of {steps} steps, on \
         the device. Every run verified\n{table}{PAGE}\n",
        bench.device.info()
    ))
}

fn open(selector: &str) -> Outcome<Bench> {
    let device = Device::open(selector)?;
    if device.info() == DeviceInfo::Reference {
        return Err(error(
            "--device reference",
            "is written for accuracy, not speed, so its times mean nothing; choose another device",
        ));
    }
    let (only, opened) = (Only::default(), DeviceOptions::default());
    let (selector, any_reduction_order) = (selector.to_owned(), false);
    Ok(Bench { selector, opened, device, peak: None, only, table: None, any_reduction_order })
}

/// Verifies every subject, then times them all in each round: other work on the machine delays all or none.
fn in_turn(subjects: &[Subject], bench: &Bench) -> Outcome<Vec<Record>> {
    warnings::of_build();
    let bar = bar(subjects.len() * (1 + ROUNDS));
    let records = in_turn_with(subjects, bench, &bar);
    bar.finish_and_clear();
    records.map_err(Failure::Error)
}

fn in_turn_with(subjects: &[Subject], bench: &Bench, bar: &ProgressBar) -> Result<Vec<Record>, String> {
    let mut all = Vec::new();
    for subject in subjects {
        bar.set_message(format!("verifying {}", subject.case));
        all.push(block_on(Measuring::new(subject, bench, Effort::NORMAL))?);
        bar.inc(1);
    }
    for round in 0..ROUNDS {
        for (measuring, subject) in all.iter_mut().zip(subjects) {
            bar.set_message(format!("timing {}", subject.case));
            block_on(measuring.round(round))?;
            bar.inc(1);
        }
    }
    let stamp = Stamp { commit: wgru_harness::COMMIT.into(), date: today() };
    Ok(all.iter().flat_map(|measuring| measuring.records(&stamp)).collect())
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Compared {
    cell: Cell,
    input: usize,
    hidden: usize,
}

impl Compared {
    /// A session's step, and a sequence run.
    fn cases(self) -> [Case; 2] {
        [[1, 1], SEQUENCES]
            .map(|[batch, steps]| Case::new(self.cell, [batch, steps, self.input, self.hidden]))
    }

    fn parameters(self) -> usize {
        parameters(self.cell, self.input, self.hidden)
    }

    fn name(self) -> String {
        self.cell.name().to_uppercase()
    }
}

/// The GRU, the others with its H, then the others with as many parameters.
fn layers(input: usize, hidden: usize) -> Vec<Compared> {
    let layer = |cell, hidden| Compared { cell, input, hidden };
    let gru = layer(Cell::GRU, hidden);
    let mut all = vec![gru, layer(Cell::LSTM, hidden), layer(Cell::Rnn, hidden)];
    let like = [Cell::LSTM, Cell::Rnn].map(|cell| layer(cell, hidden_for(cell, input, gru.parameters())));
    all.extend(like.into_iter().filter(|layer| layer.hidden != hidden));
    all
}

/// The first of `layers` is the GRU.
fn table(layers: &[Compared], records: &[Record]) -> Outcome<Table> {
    let mut table = Table::new(&[
        "cell",
        "H",
        "parameters",
        "bytes",
        "state",
        "step",
        "times the GRU's",
        "sequence run",
        "times the GRU's",
    ]);
    let figures = |layer: Compared| -> Outcome<[&Record; 2]> {
        let [step, run] = layer.cases();
        Ok([figure(records, &step, Timed::Step)?, figure(records, &run, Timed::Sequence)?])
    };
    let gru = figures(layers[0])?;
    for &layer in layers {
        let states = if layer.cell.has_c() { 2 } else { 1 };
        let mut row = vec![layer.name(), layer.hidden.to_string(), layer.parameters().to_string()];
        row.extend([4 * layer.parameters(), 4 * states * layer.hidden].map(|bytes| bytes.to_string()));
        for (record, gru) in figures(layer)?.into_iter().zip(gru) {
            row.push(si(record.median_s, "s"));
            row.push(if layer == layers[0] { "1".into() } else { times(record, gru) });
        }
        table.row(row);
    }
    Ok(table)
}

/// The quotient of two medians, with the spreads of both.
fn times(record: &Record, gru: &Record) -> String {
    let quotient = record.median_s / gru.median_s;
    format!("{quotient:.2} ± {:.2}", quotient * (record.spread + gru.spread))
}

/// A record by the host's clock.
fn figure<'a>(records: &'a [Record], case: &Case, timed: Timed) -> Outcome<&'a Record> {
    let name = case.to_string();
    let wanted =
        |record: &&Record| record.case == name && record.timed == timed && record.timing == Timing::Wall;
    records.iter().find(wanted).ok_or_else(|| error(case, format!("no figure for {timed}")))
}

/// Weights and both biases.
fn parameters(cell: Cell, input: usize, hidden: usize) -> usize {
    cell.gates() * hidden * (input + hidden + 2)
}

/// The H whose number of parameters is nearest to `wanted`.
fn hidden_for(cell: Cell, input: usize, wanted: usize) -> usize {
    let beyond = (1..).find(|&hidden| parameters(cell, input, hidden) >= wanted).unwrap_or(1);
    let off = |hidden: usize| parameters(cell, input, hidden).abs_diff(wanted);
    if beyond > 1 && off(beyond - 1) < off(beyond) { beyond - 1 } else { beyond }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgru_harness::report::sample::record;

    /// Quotients are of the GRU's own case, on the host's clock; a figure that is missing is an error that names its case.
    #[test]
    fn rows_are_divided_by_the_gru() {
        let layers = layers(64, 64);
        let of = |layer: Compared, step: f64, run: f64| {
            let [one, many] = layer.cases().map(|case| case.to_string());
            let device = Record { timing: Timing::Device, ..record(&many, Timed::Sequence, 9.0) };
            let measured = [record(&one, Timed::Step, step), device, record(&many, Timed::Sequence, run)];
            measured.map(|record| Record { spread: 0.06, ..record })
        };
        let mut records: Vec<Record> = Vec::new();
        for (layer, step) in layers.iter().zip([2.0, 3.0, 1.0, 2.5, 1.5]) {
            records.extend(of(*layer, step * 1e-6, step * 2e-3));
        }
        let text = table(&layers, &records).unwrap().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6, "{text}");
        for (line, words) in [
            (1, ["GRU", "64", "24960", "99840", "256", "2.00\u{a0}µs", "1", "4.00\u{a0}ms"]),
            (2, ["LSTM", "64", "33280", "133120", "512", "3.00\u{a0}µs", "1.50 ± 0.18", "6.00\u{a0}ms"]),
            (3, ["RNN", "64", "8320", "33280", "256", "1.00\u{a0}µs", "0.50 ± 0.06", "2.00\u{a0}ms"]),
            (4, ["LSTM", "53", "25228", "100912", "424", "2.50\u{a0}µs", "1.25 ± 0.15", "5.00\u{a0}ms"]),
            (5, ["RNN", "128", "24832", "99328", "512", "1.50\u{a0}µs", "0.75 ± 0.09", "3.00\u{a0}ms"]),
        ] {
            let cells: Vec<&str> =
                lines[line].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
            assert_eq!(&cells[..8], words, "{text}");
        }
        records.retain(|record| !(record.case.starts_with("rnn") && record.timed == Timed::Step));
        let Err(Failure::Error(message)) = table(&layers, &records) else { panic!("a step is missing") };
        assert!(message.contains("rnn-b1-t1-i64-h64") && message.contains("step"), "{message}");
    }

    #[test]
    fn a_gru_has_a_quarter_less_than_an_lstm() {
        let (gru, lstm) = (parameters(Cell::GRU, 64, 128), parameters(Cell::LSTM, 64, 128));
        assert_eq!(gru * 4, lstm * 3);
        assert_eq!(gru, 3 * 128 * (64 + 128) + 2 * 3 * 128);
    }

    #[test]
    fn equal_numbers_of_parameters_are_near() {
        let wanted = parameters(Cell::GRU, 256, 256);
        for cell in [Cell::LSTM, Cell::Rnn] {
            let hidden = hidden_for(cell, 256, wanted);
            assert!(parameters(cell, 256, hidden).abs_diff(wanted) * 100 < wanted, "{cell}: {hidden}");
        }
        assert_eq!(hidden_for(Cell::GRU, 5, parameters(Cell::GRU, 5, 7)), 7);
    }
}
