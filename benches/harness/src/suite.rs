//! The suites: named lists of cases.

use wgru::Cell;
use wgru::model::{Reset, Update};

use crate::case::Case;

const BEFORE: Cell = Cell::Gru { reset: Reset::Before, update: Update::Keeps };

/// Every suite by its name, with its purpose.
pub const NAMES: [(&str, &str); 8] = [
    ("quick", "a few seconds a device: one of each kind"),
    ("default", "sizes that users have, within two minutes on a laptop"),
    ("deepbench", "the recurrent layers of Baidu's DeepBench, forward"),
    ("real", "layers of published models"),
    ("steps", "one step at a time, 1 to 4,096 streams"),
    ("deep", "the recurrent layers of basecallers, for GPUs; the reference takes minutes"),
    ("deep-small", "the same with fewer units, sequences or steps, for CPUs and software drivers"),
    ("scaling", "over batch, hidden units, steps and layers, and with padding"),
];

/// The cases of a suite; those with one step are timed as a session's step. `None` for an unknown name.
pub fn cases(name: &str) -> Option<Vec<Case>> {
    Some(match name {
        "quick" => quick(),
        "default" => default(),
        "deepbench" => deepbench(),
        "real" => real(),
        "steps" => steps(),
        // A chunk of 10,000 samples with a stride of 6.
        "deep" => [384, 1024].map(|hidden| Case::deep([96, 1667, hidden])).into(),
        "deep-small" => [[4, 1667, 96], [4, 200, 384], [4, 50, 1024]].map(Case::deep).into(),
        "scaling" => scaling(),
        _ => return None,
    })
}

fn quick() -> Vec<Case> {
    let case = Case::new;
    vec![
        case(Cell::GRU, [1, 50, 64, 64]),
        case(Cell::GRU, [16, 50, 64, 64]),
        case(Cell::LSTM, [16, 50, 64, 64]),
        case(Cell::GRU, [1, 1, 64, 64]),
    ]
}

fn default() -> Vec<Case> {
    let case = Case::new;
    let mut all = vec![
        case(Cell::GRU, [1, 100, 64, 64]),
        case(Cell::GRU, [1, 100, 256, 256]),
        case(Cell::GRU, [16, 100, 64, 64]),
        case(Cell::GRU, [16, 50, 256, 256]),
        case(Cell::GRU, [256, 12, 64, 64]),
        Case { layers: 2, ..case(Cell::GRU, [16, 50, 64, 64]) },
        Case { bidirectional: true, ..case(Cell::GRU, [16, 50, 64, 64]) },
        Case { ragged: true, ..case(Cell::GRU, [16, 50, 64, 64]) },
        Case { storage: wgru::Storage::F16, ..case(Cell::GRU, [16, 50, 256, 256]) },
        case(BEFORE, [16, 50, 64, 64]),
        case(Cell::LSTM, [16, 50, 64, 64]),
        case(Cell::Rnn, [16, 50, 64, 64]),
    ];
    all.extend([1, 64].map(|streams| case(Cell::GRU, [streams, 1, 64, 64])));
    all.push(case(Cell::GRU, [1, 1, 256, 256]));
    all
}

/// DeepBench's shapes for training, and for inference on servers and devices; its layers are square, I = H.
fn deepbench() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |cell, hidden: &[usize], batch: &[usize], steps: &[usize]| {
        for &h in hidden {
            for &b in batch {
                all.extend(steps.iter().map(|&t| Case::new(cell, [b, t, h, h])));
            }
        }
    };
    let (large, long) = ([2816, 2048, 1536, 2560], [1500, 750, 375, 187]);
    add(Cell::Rnn, &[1760, 2048, 2560], &[16, 32, 64, 128], &[50]);
    add(Cell::LSTM, &[512, 1024, 2048, 4096], &[16, 32, 64, 128], &[25]);
    add(Cell::LSTM, &[1536], &[8, 16, 32], &[50]);
    add(Cell::LSTM, &[256], &[16, 32, 64], &[150]);
    add(Cell::GRU, &large, &[32], &long);
    add(Cell::GRU, &[512], &[32], &[1]);
    add(Cell::GRU, &[1024], &[32, 64], &[1500]);

    add(Cell::Rnn, &[32], &[1], &[672]);
    add(Cell::Rnn, &[64], &[1], &[96]);
    let few = [1, 2, 4];
    add(Cell::LSTM, &[512, 1024, 2048], &few, &[25]);
    add(Cell::LSTM, &[1536], &few, &[50]);
    add(Cell::LSTM, &[256], &few, &[150]);
    add(Cell::GRU, &large, &few, &long);
    add(Cell::GRU, &[512], &few, &[1]);
    add(Cell::GRU, &[1024], &few, &[1500]);
    all
}

fn real() -> Vec<Case> {
    let case = Case::new;
    let both = |case: Case| Case { bidirectional: true, ..case };
    vec![
        // GTCRN
        case(Cell::GRU, [33, 1500, 8, 8]),
        both(case(Cell::GRU, [512, 33, 8, 4])),
        // DeepFilterNet
        case(Cell::GRU, [1, 1100, 256, 256]),
        // RNNoise
        case(Cell::GRU, [1, 1100, 114, 96]),
        // Keyword spotting
        case(Cell::GRU, [32, 49, 10, 154]),
        case(Cell::GRU, [32, 49, 10, 400]),
        // Traffic flow
        case(Cell::GRU, [512, 12, 1, 64]),
        // Grapheme to phoneme
        Case { ragged: true, ..case(Cell::GRU, [256, 16, 256, 256]) },
        // Thai segmenter
        both(case(Cell::GRU, [12, 49, 128, 128])),
        // Silero
        case(Cell::LSTM, [1, 1875, 128, 128]),
        // DTLN
        case(Cell::LSTM, [1, 1250, 257, 128]),
        // DeepAR
        case(Cell::LSTM, [64, 192, 25, 40]),
        // Actuators
        case(Cell::LSTM, [384, 200, 2, 8]),
        // Amplifier
        case(Cell::LSTM, [1, 96_000, 1, 3]),
    ]
}

fn steps() -> Vec<Case> {
    let mut all = Vec::new();
    for hidden in [64, 256] {
        all.extend((0..=6).map(|power| Case::new(Cell::GRU, [1 << (2 * power), 1, hidden, hidden])));
    }
    all
}

fn scaling() -> Vec<Case> {
    let mut all: Vec<Case> = Vec::new();
    let gru = |sizes| Case::new(Cell::GRU, sizes);
    all.extend([1, 4, 16, 64, 256].map(|batch| gru([batch, 50, 64, 64])));
    all.extend([16, 32, 128, 256, 512].map(|hidden| gru([16, 50, hidden, hidden])));
    all.extend([10, 200, 1000].map(|steps| gru([16, steps, 64, 64])));
    all.extend([2, 4, 8].map(|layers| Case { layers, ..gru([16, 50, 64, 64]) }));
    // Lengths from 1 to all of the steps: the cost of padding.
    all.push(Case { ragged: true, ..gru([16, 200, 64, 64]) });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_has_cases_that_read_back() {
        for (name, _) in NAMES {
            let all = cases(name).unwrap();
            assert!(all.len() >= 2, "{name}");
            for case in all {
                assert_eq!(case.to_string().parse(), Ok(case));
            }
        }
        assert!(cases("other").is_none());
        let steps = cases("steps").unwrap();
        assert!(steps.len() == 14 && steps.iter().all(|case| case.steps == 1));
    }
}
