//! `wgru compare`: GRU, LSTM and RNN side by side, at equal H and at an equal number of parameters, measured on the
//! user's own device.

use wgru::plan::Only;
use wgru::{Cell, Device, DeviceInfo, DeviceOptions};

use crate::args::CompareArgs;
use crate::failure::{Failure, Outcome, error};
use crate::print::print;
use crate::table::Table;
use wgru_harness::case::Case;
use wgru_harness::measure::{Bench, Stamp, measure};
use wgru_harness::number::si;
use wgru_harness::record::{Record, Timed, Timing};
use wgru_harness::subject::Subject;
use wgru_harness::timing::Effort;

/// Sequences and steps of the sequence run.
const SEQUENCES: [usize; 2] = [16, 50];

/// Measures and prints.
pub fn compare(args: &CompareArgs) -> Outcome {
    let hidden = args.hidden;
    let input = args.input.unwrap_or(hidden);
    for (name, size) in [("--hidden", hidden), ("--input", input)] {
        if size == 0 || size > 1 << 15 {
            return Err(error(name, format!("must be from 1 to {}, got {size}", 1 << 15)));
        }
    }
    let device = Device::open(&args.device)?;
    if device.info() == DeviceInfo::Reference {
        return Err(error(
            "--device reference",
            "is written for accuracy, not speed, so its times mean nothing; choose another device",
        ));
    }
    let info = device.info();
    let (selector, opened) = (args.device.clone(), DeviceOptions::default());
    let (only, any_reduction_order) = (Only::default(), false);
    let bench = Bench { selector, opened, device, peak: None, only, table: None, any_reduction_order };
    let wanted = parameters(Cell::GRU, input, hidden);
    let mut rows = vec![(Cell::GRU, hidden)];
    rows.extend([Cell::LSTM, Cell::Rnn].map(|cell| (cell, hidden)));
    let like = [Cell::LSTM, Cell::Rnn].map(|cell| (cell, hidden_for(cell, input, wanted)));
    rows.extend(like.into_iter().filter(|row| row.1 != hidden));

    let mut table = Table::new(&[
        "cell",
        "H",
        "parameters",
        "of the GRU's",
        "FLOP a step",
        "state",
        "step",
        "sequences/s",
        "steps/s",
    ]);
    for (cell, hidden) in rows {
        table.row(row(cell, input, hidden, wanted, &bench)?);
    }
    let [batch, steps] = SEQUENCES;
    print(&format!(
        "{info}: I {input}; a step is a session's, of one stream; sequences are {batch} of {steps} steps, on the \
         device; every figure verified\n{table}"
    ))
}

fn row(cell: Cell, input: usize, hidden: usize, gru: usize, bench: &Bench) -> Outcome<Vec<String>> {
    let [batch, steps] = SEQUENCES;
    let case = |batch, steps| Case::new(cell, [batch, steps, input, hidden]);
    let step = median(&case(1, 1), bench, Timed::Step)?;
    let sequence = median(&case(batch, steps), bench, Timed::Sequence)?;
    let parameters = parameters(cell, input, hidden);
    let states = if cell.has_c() { 2 } else { 1 };
    let name = match cell {
        Cell::Gru { .. } => "GRU",
        Cell::Lstm { .. } => "LSTM",
        _ => "RNN",
    };
    Ok(vec![
        name.into(),
        hidden.to_string(),
        parameters.to_string(),
        format!("{:+.0} %", (parameters as f64 / gru as f64 - 1.0) * 100.0),
        si(case(1, 1).flops(1), "FLOP"),
        format!("{} B", states * hidden * 4),
        si(step, "s"),
        si(batch as f64 / sequence, ""),
        si((batch * steps) as f64 / sequence, ""),
    ])
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

/// The median of one measurement, by the host's clock.
fn median(case: &Case, bench: &Bench, timed: Timed) -> Outcome<f64> {
    let subject = Subject::new(case.clone()).map_err(Failure::Error)?;
    let stamp = Stamp { commit: String::new(), date: String::new() };
    let records =
        pollster::block_on(measure(&subject, bench, Effort::QUICK, &stamp)).map_err(Failure::Error)?;
    let wanted = |record: &&Record| record.timed == timed && record.timing == Timing::Wall;
    let found = records.iter().find(wanted).map(|record| record.median_s);
    found.ok_or_else(|| error(case, format!("no figure for {timed}")))
}

#[cfg(test)]
mod tests {
    use super::*;

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
