//! The public vectors in ONNX's own words, where they are at hand, as goldens: for comparison.

use serde_json::Value;
use wgru::dtype::Precision;
use wgru::{Dims, Fill, Layout, Output};

use crate::common::Inputs;
use crate::golden::{Golden, Made};
use crate::operator::{exchanged, import};
use crate::suite::{Bound, Suite, bound, floats, numbers, shape, text};

/// ONNX's node tests, ONNX Runtime's and ngraph's.
pub fn all() -> Vec<Golden> {
    let of = |file: &'static str, bound: fn(&Value) -> Bound| -> Vec<Golden> {
        let cases = Suite::open(file).map_or(Vec::new(), |suite| suite.cases);
        cases.iter().map(|case| golden(case, bound(case))).collect()
    };
    let own = |case: &Value| bound(&case["tolerance"]);
    let onnx = [of("onnx_node_rnn_1.23.2.json", own), of("ort_gru.json", own)].concat();
    [onnx, of("ngraph_lstm.json", |_| Bound::atol(1e-5))].concat()
}

fn golden(case: &Value, bound: Bound) -> Golden {
    let Bound::Within { atol, rtol } = bound else { panic!("{}: a bound in ULP", case["name"]) };
    let made = Made::Published { atol, rtol };
    let (imported, inputs) = (import(case), &case["inputs"]);
    let batch_first = imported.layout == 1;
    let [first, second, input]: [usize; 3] = shape(&inputs["X"]).try_into().expect("three dimensions");
    let (batch, steps) = if batch_first { (first, second) } else { (second, first) };
    let (dirs, hidden) = (imported.model.states(), imported.model.hidden());
    let initial = |name: &str| {
        let states = floats(&inputs[name])?;
        Some(if batch_first { exchanged(&states, [batch, dirs, hidden]) } else { states })
    };
    let lengths = numbers(&inputs["sequence_lens"]);
    let layouts = match batch_first {
        true => (Layout::BatchMajor, Layout::BatchMajor),
        false => (Layout::TimeMajor, Layout::DirectionMajor),
    };
    // What a case does not give is empty. States of the one batch-first layout are so few that f32 holds them.
    let expected = |name: &str| {
        let values = case["expected_outputs"].get(name).and_then(numbers)?;
        let states: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        let turned = || exchanged(&states, [batch, dirs, hidden]).into_iter().map(f64::from).collect();
        Some(if batch_first && name != "Y" { turned() } else { values })
    };
    Golden {
        name: format!("public {}", text(&case["name"])),
        inputs: Inputs {
            dims: Dims::new(batch, steps).expect("not zero"),
            x: floats(&inputs["X"]).expect("X"),
            h0: initial("initial_h"),
            c0: initial("initial_c"),
            lengths: lengths.map(|all| all.into_iter().map(|length| length as u32).collect()),
            input,
            layouts,
            fill: Fill::Zero,
        },
        expected: Output {
            y: expected("Y").unwrap_or_default(),
            h_n: expected("Y_h").unwrap_or_default(),
            c_n: expected("Y_c"),
            out: None,
        },
        model: imported.model,
        precision: Precision::default(),
        made,
    }
}
