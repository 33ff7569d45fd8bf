//! The suites in ONNX's terms (ONNX's node tests, ONNX Runtime, ngraph). Every case is written as an ONNX file, its
//! attributes as attributes, its weights as initialisers and the rest as the graph's inputs; then the importer reads
//! it, and it runs in the operator's own layout.
//!
//! ```text
//! layout 0   X [T, B, I]   Y [T, D, B, H]   states [D, B, H]
//! layout 1   X [B, T, I]   Y [B, T, D, H]   states [B, D, H]
//! ```

use serde_json::Value;
use wgru::Layout;
use wgru::{Batch, Device, Error};

use super::operator::{exchanged, import};
use super::suite::{Bound, Judge, Suite, bound, floats, numbers, shape};

fn run(case: &Value, device: &Device, judge: &mut Judge, bound: Bound) -> Result<(), Error> {
    let imported = import(case);
    let (inputs, model) = (&case["inputs"], &imported.model);
    let x = floats(&inputs["X"]).expect("X");
    let shape: [usize; 3] = shape(&inputs["X"]).try_into().expect("three dimensions");
    let batch_first = imported.layout == 1;
    let (mut batch, rows) = match batch_first {
        false => (Batch::time_major(&x, shape)?.output_layout(Layout::DirectionMajor), shape[1]),
        true => (Batch::new(&x, shape)?, shape[0]),
    };
    let (dirs, hidden) = (model.num_states(), model.hidden());
    let initial = |name: &str| {
        let states = floats(&inputs[name])?;
        Some(if batch_first { exchanged(&states, [rows, dirs, hidden]) } else { states })
    };
    let (h0, c0) = (initial("initial_h"), initial("initial_c"));
    let lengths: Option<Vec<u32>> =
        numbers(&inputs["sequence_lens"]).map(|lengths| lengths.iter().map(|&v| v as u32).collect());
    if let Some(h0) = &h0 {
        batch = batch.h0(h0);
    }
    if let Some(c0) = &c0 {
        batch = batch.c0(c0);
    }
    if let Some(lengths) = &lengths {
        batch = batch.lengths(lengths);
    }
    let output = device.load_with(model, crate::common::options())?.run(&batch)?;
    let states = |states: &[f32]| match batch_first {
        false => states.to_vec(),
        true => exchanged(states, [dirs, rows, hidden]),
    };
    for (name, expected) in case["expected_outputs"].as_object().expect("arrays") {
        let expected = numbers(expected).expect("numbers");
        let got = match name.as_str() {
            "Y" => output.y.clone(),
            "Y_h" => states(&output.h_n),
            _ => states(output.c_n.as_ref().expect("an LSTM's")),
        };
        judge.holds(name, &got, &expected, bound);
    }
    Ok(())
}

pub fn onnx_node_tests(suite: Suite) {
    suite.holds(|case, device, judge| run(case, device, judge, bound(&case["tolerance"])));
}

/// For a sequence without steps, ONNX Runtime's final state is zero and this crate's is its initial state. Both cases
/// with such a sequence start from zero, so both rules give the same.
pub fn onnx_runtime(suite: Suite) {
    let empty = |case: &&Value| numbers(&case["inputs"]["sequence_lens"]).is_some_and(|l| l.contains(&0.0));
    let empty: Vec<&Value> = suite.cases.iter().filter(empty).collect();
    assert_eq!(empty.len(), 2);
    let zero = |case: &Value| numbers(&case["inputs"]["initial_h"]).expect("given").iter().all(|&h| h == 0.0);
    assert!(empty.iter().all(|case| zero(case)), "the rules for a sequence of no step differ");
    suite.holds(|case, device, judge| run(case, device, judge, bound(&case["tolerance"])));
}

/// The file's own bound is ngraph's comparison of bits; its note gives 1e-5 for others.
pub fn ngraph(suite: Suite) {
    suite.holds(|case, device, judge| run(case, device, judge, Bound::atol(1e-5)));
}
